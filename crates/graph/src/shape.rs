//! The shape rule of every op: what operands it takes and what comes out.
//!
//! The builder calls [`infer`] for each new node and [`crate::Graph::check`] again after every rewrite, so a rewrite
//! that changes a shape by mistake is caught where it happens.

mod decoder;
mod experts;
mod heads;
mod vocoder;

use crate::error::GraphError;
use crate::heads::Heads;
use crate::ir::{ElemType, Graph, StateId, ValueId};
use crate::op::{Conv2d, Epilogue, GatedDeltaNet, Op, RelPosAttention, Start};
use crate::prologue::Prologue;
use crate::state::{HALVES_TOGETHER, StateDecl, StateElem};
use crate::transducer::{LIMIT, TransducerAdvance, TransducerJoin};
use mynah_tensor::Shape;

/// The shape and element type of an op's result.
///
/// # Errors
/// [`GraphError::Operands`], [`GraphError::Shape`] or [`GraphError::Element`] when the operands don't fit,
/// [`GraphError::Unknown`] for an operand, state or slot the graph doesn't have.
pub fn infer(graph: &Graph, op: &Op, inputs: &[ValueId]) -> Result<(Shape, ElemType), GraphError> {
    let values = graph.values();
    let known = |v: &ValueId| {
        let missing = GraphError::Unknown { op: op.name(), kind: "value", id: v.0 };
        values.get(v.0 as usize).ok_or(missing)
    };
    let operands = inputs.iter().map(known).collect::<Result<Vec<_>, _>>()?;
    let wanted = operand_count(op, inputs.len());
    if inputs.len() != wanted {
        return Err(GraphError::Operands { op: op.name(), wanted, found: inputs.len() });
    }
    let first = operands[0].elem;
    for (operand, value) in operands.iter().enumerate() {
        let wanted = reads(op, operand).unwrap_or(first);
        if value.elem != wanted {
            return Err(GraphError::Element { op: op.name(), operand, wanted });
        }
    }
    let elem = match op {
        Op::Argmax | Op::StateNumbers { .. } | Op::ExpertChoice(_) => ElemType::I32,
        Op::Reshape(_) | Op::Permute(_) | Op::Slice { .. } | Op::Concat { .. } => first,
        _ => ElemType::F32,
    };
    let shapes: Vec<Shape> = operands.iter().map(|v| v.shape).collect();
    let rule = Rule { op: op.name(), shapes: &shapes };
    let declared = |s: StateId| {
        let missing = GraphError::Unknown { op: op.name(), kind: "state", id: s.0 };
        let decl = graph.states().get(s.0 as usize).ok_or(missing)?;
        let whole = decl.elem == StateElem::F32 || decl.row.last().is_multiple_of(HALVES_TOGETHER);
        rule.need(whole, || format!("rows of halves must be whole vectors of {HALVES_TOGETHER}"))?;
        Ok::<&StateDecl, GraphError>(decl)
    };
    let mistyped = |decl: &StateDecl| {
        let (op, state) = (op.name(), decl.name.clone());
        GraphError::StateElement { op, state, found: decl.elem }
    };
    let state_row = |s: StateId| match declared(s)? {
        decl if decl.elem == StateElem::F32 => Ok(decl.row),
        decl => Err(mistyped(decl)),
    };
    let copied_row = |s: StateId| declared(s).map(|decl| decl.row);
    let cached_rows = |[keys, values]: [StateId; 2]| {
        let (keys, values) = (declared(keys)?, declared(values)?);
        if keys.elem == values.elem { Ok([keys.row, values.row]) } else { Err(mistyped(values)) }
    };
    let shape = match op {
        Op::StateGather(s) => rule.state_rows(copied_row(*s)?)?,
        Op::StateScatter(s) => {
            let rows = rule.state_rows(copied_row(*s)?)?;
            rule.need(rows == shapes[1], || format!("value must be {rows:?}"))?;
            rows
        }
        Op::StateAppend { state, .. } => {
            let row = copied_row(*state)?;
            let fits = shapes[0].dims().get(1..) == Some(row.dims());
            rule.need(fits, || format!("the value must be rows of {row:?}"))?;
            shapes[0]
        }
        Op::GatedDeltaNet(d) => rule.gated_delta_net(d, state_row(d.state)?)?,
        Op::CausalConv1d(c) => rule.causal_conv1d(c, state_row(c.state)?)?,
        Op::CausalAttention(a) => {
            rule.two_states(a.keys, a.values)?;
            rule.causal_attention(cached_rows([a.keys, a.values])?)?
        }
        Op::Heads(Heads::Delta(h)) => {
            if let Some(conv) = &h.conv {
                rule.two_states(conv.state, h.delta.state)?;
                rule.conv_of_heads(conv, state_row(conv.state)?)?;
            }
            rule.delta_heads(h, state_row(h.delta.state)?)?
        }
        Op::Heads(Heads::Attention(h)) => {
            let a = h.attention;
            rule.two_states(a.keys, a.values)?;
            rule.attention_heads(h, cached_rows([a.keys, a.values])?)?
        }
        Op::StateNumbers { state, column } => rule.state_numbers(state_row(*state)?, *column)?,
        Op::LstmStep { hidden, cell } => {
            rule.two_states(*hidden, *cell)?;
            rule.lstm_step([state_row(*hidden)?, state_row(*cell)?])?
        }
        Op::TransducerJoin(j) => {
            rule.two_states(j.frames, j.cursors)?;
            rule.join(j, [state_row(j.frames)?, state_row(j.cursors)?])?
        }
        Op::TransducerAdvance(a) => rule.advance(a, state_row(a.cursors)?)?,
        _ => rule.infer(op)?,
    };
    match op {
        Op::Slice { start: Start::Slot(slot), .. } | Op::StateAppend { at: slot, .. }
            if slot.0 as usize >= graph.slots().len() =>
        {
            Err(GraphError::Unknown { op: op.name(), kind: "slot", id: slot.0 })
        }
        _ => Ok((shape, elem)),
    }
}

/// The element type an op reads as operand number `operand`, `None` where it takes what its first operand has.
fn reads(op: &Op, operand: usize) -> Option<ElemType> {
    match (op, operand) {
        (Op::Reshape(_) | Op::Permute(_) | Op::Slice { .. } | Op::Concat { .. }, _) => None,
        (Op::Gather | Op::MaskRows, 1) | (Op::RelPosAttention(_), 6) | (Op::GatedDeltaNet(_), 5) => {
            Some(ElemType::I32)
        }
        (Op::StateGather(_) | Op::StateScatter(_) | Op::StateNumbers { .. }, 0) => Some(ElemType::I32),
        (Op::TransducerJoin(_) | Op::TransducerAdvance(_), 1) => Some(ElemType::I32),
        (Op::Rope(_), 1) | (Op::CausalConv1d(_), 2) | (Op::CausalAttention(_), 3 | 4) => Some(ElemType::I32),
        (Op::Heads(Heads::Delta(_)), 6) | (Op::Heads(Heads::Attention(_)), 5..=7) => Some(ElemType::I32),
        (Op::LstmStep { .. }, 1 | 2) | (Op::Attention(_), 3) => Some(ElemType::I32),
        (Op::ExpertWeights(_) | Op::ExpertGateUp(_) | Op::ExpertDown, 1) => Some(ElemType::I32),
        _ => Some(ElemType::F32),
    }
}

fn operand_count(op: &Op, found: usize) -> usize {
    let own = match op {
        Op::Unary(_) | Op::Scale(_) | Op::Glu | Op::Softmax | Op::LogSoftmax | Op::Argmax => 1,
        Op::Reshape(_) | Op::Permute(_) | Op::Slice { .. } | Op::StateGather(_) | Op::StateAppend { .. } => 1,
        Op::StateNumbers { .. } | Op::L2Norm { .. } | Op::Clamp { .. } => 1,
        Op::RepeatRows { .. } | Op::SegmentMean { .. } | Op::InverseStft(_) => 1,
        Op::Conv1d(_) | Op::ConvTranspose1d(_) | Op::Snake => 2,
        Op::TransducerJoin(_) | Op::TransducerAdvance(_) | Op::Gated(_) | Op::Rope(_) => 2,
        Op::MatMul(_) | Op::Conv2d(_) | Op::DepthwiseConv1d { .. } | Op::Binary(_) | Op::RmsNorm { .. } => 2,
        Op::Gather | Op::MaskRows | Op::LstmCell | Op::StateScatter(_) | Op::BatchNormScale { .. } => 2,
        Op::MatMulAfter(prologue, _) => 2 + prologue.extra_inputs(),
        Op::LayerNorm { .. } | Op::LstmStep { .. } | Op::CausalConv1d(_) => 3,
        Op::BatchNorm { .. } | Op::CausalAttention(_) => 5,
        Op::ExpertChoice(c) => 1 + usize::from(c.bias),
        Op::ExpertWeights(_) => 2,
        Op::Attention(_) => 4,
        Op::ExpertGateUp(g) => 4 - usize::from(g.fused),
        Op::ExpertDown => 4,
        Op::GatedDeltaNet(_) => 6,
        Op::Heads(Heads::Delta(h)) => 7 + usize::from(h.conv.is_some()),
        Op::RelPosAttention(_) => 7,
        Op::Heads(Heads::Attention(_)) => 8,
        Op::Concat { .. } => found.max(2),
    };
    own + op.epilogue().map_or(0, Epilogue::extra_inputs)
}

/// The operands' shapes with the op's name, for messages.
struct Rule<'a> {
    op: &'static str,
    shapes: &'a [Shape],
}

impl Rule<'_> {
    fn need(&self, holds: bool, rule: impl FnOnce() -> String) -> Result<(), GraphError> {
        if holds {
            return Ok(());
        }
        Err(GraphError::Shape { op: self.op, rule: rule(), shapes: self.shapes.to_vec() })
    }

    fn make(&self, dims: &[usize]) -> Result<Shape, GraphError> {
        Shape::new(dims).map_err(|e| GraphError::Shape {
            op: self.op,
            rule: e.to_string(),
            shapes: self.shapes.to_vec(),
        })
    }

    fn infer(&self, op: &Op) -> Result<Shape, GraphError> {
        let x = self.shapes[0];
        match op {
            Op::MatMul(e) => self.matmul(e, 2),
            Op::MatMulAfter(p, e) => {
                self.prologue(p)?;
                self.matmul(e, 2 + p.extra_inputs())
            }
            Op::Conv2d(c) => self.conv2d(c),
            Op::DepthwiseConv1d { pad, epilogue } => self.depthwise(*pad, epilogue),
            Op::Binary(_) => {
                self.need(broadcasts(self.shapes[1], x), || "the second must broadcast to the first".into())?;
                Ok(x)
            }
            Op::Conv1d(c) => self.conv1d(c),
            Op::ConvTranspose1d(c) => self.conv_transpose1d(c),
            Op::Clamp { min, max } => {
                self.need(min <= max, || format!("no number lies between {min} and {max}"))?;
                Ok(x)
            }
            Op::Attention(_) => self.full_attention(),
            Op::RepeatRows { times } => self.repeat_rows(*times),
            Op::SegmentMean { len } => self.segment_mean(*len),
            Op::InverseStft(i) => self.inverse_stft(i),
            Op::Unary(_) | Op::Scale(_) | Op::Softmax | Op::LogSoftmax | Op::L2Norm { .. } => Ok(x),
            Op::Gated(_) => {
                self.need(self.shapes[1] == x, || "both must have one shape".into())?;
                Ok(x)
            }
            Op::Rope(r) => self.rope(r),
            Op::ExpertChoice(c) => self.expert_choice(c),
            Op::ExpertWeights(w) => self.expert_weights(w),
            Op::ExpertGateUp(g) => self.expert_gate_up(g),
            Op::ExpertDown => self.expert_down(),
            Op::Glu => {
                self.need(x.last().is_multiple_of(2), || "the last dimension must be even".into())?;
                self.make(&with_last(x, x.last() / 2))
            }
            Op::LayerNorm { .. } | Op::RmsNorm { .. } | Op::BatchNorm { .. } | Op::Snake => {
                let fits = self.shapes[1..].iter().all(|s| s.dims() == [x.last()]);
                self.need(fits, || format!("parameters must be [{}]", x.last()))?;
                Ok(x)
            }
            Op::BatchNormScale { .. } => {
                self.need(x.rank() == 1 && self.shapes[1] == x, || {
                    "gain and variance must be one [C]".into()
                })?;
                Ok(x)
            }
            Op::Argmax => {
                self.need(x.last() > 0, || "the last dimension must not be empty".into())?;
                self.make(&x.dims()[..x.rank().saturating_sub(1)])
            }
            Op::Gather => {
                self.need(x.rank() == 2, || "the table must be [rows, width]".into())?;
                let mut dims = self.shapes[1].dims().to_vec();
                dims.push(x.last());
                self.make(&dims)
            }
            Op::MaskRows => {
                let fits = x.rank() >= 2 && self.shapes[1].dims() == [x.dims()[0]];
                self.need(fits, || "x must be [batch, time, ..], lengths [batch]".into())?;
                Ok(x)
            }
            Op::RelPosAttention(a) => self.attention(a),
            Op::LstmCell => {
                let c = self.shapes[1];
                let fits = x.rank() == 2
                    && c.rank() == 2
                    && x.dims()[0] == c.dims()[0]
                    && Some(x.last()) == c.last().checked_mul(4);
                self.need(fits, || "gates must be [batch, 4·hidden], cell [batch, hidden]".into())?;
                self.make(&[x.dims()[0], 2 * c.last()])
            }
            Op::Reshape(dims) => {
                let to = self.make(dims)?;
                self.need(to.numel() == x.numel(), || format!("{to:?} has another number of elements"))?;
                Ok(to)
            }
            Op::Permute(perm) => self.permute(perm),
            Op::Slice { axis, start, len } => {
                let extent = x.dims().get(*axis).copied();
                let first = if let Start::Fixed(n) = start { *n } else { 0 };
                let fits = first.checked_add(*len).is_some_and(|end| extent.is_some_and(|e| end <= e));
                self.need(fits, || format!("entries {first}..+{len} of axis {axis}"))?;
                let mut dims = x.dims().to_vec();
                dims[*axis] = *len;
                self.make(&dims)
            }
            Op::Concat { axis } => self.concat(*axis),
            // Those that need a state's row have their rules where it is known.
            Op::StateGather(_) | Op::StateScatter(_) | Op::StateAppend { .. } | Op::GatedDeltaNet(_) => Ok(x),
            Op::StateNumbers { .. } | Op::LstmStep { .. } => Ok(x),
            Op::TransducerJoin(_) | Op::TransducerAdvance(_) => Ok(x),
            Op::CausalConv1d(_) | Op::CausalAttention(_) | Op::Heads(_) => Ok(x),
        }
    }

    fn epilogue(&self, e: &Epilogue, own: usize, out: Shape) -> Result<Shape, GraphError> {
        let mut next = own;
        if e.bias {
            let bias = self.shapes[next];
            self.need(bias.dims() == [out.last()], || format!("the bias must be [{}]", out.last()))?;
            next += 1;
        }
        if e.residual {
            self.need(self.shapes[next] == out, || format!("the residual must be {out:?}"))?;
        }
        Ok(out)
    }

    fn prologue(&self, p: &Prologue) -> Result<(), GraphError> {
        let x = self.shapes[0];
        for &shape in &self.shapes[2..2 + p.extra_inputs()] {
            match p {
                Prologue::Gated(_) => self.need(shape == x, || "both operands must have one shape".into())?,
                _ => {
                    let width = x.last();
                    self.need(shape.dims() == [width], || format!("gain and bias must be [{width}]"))?;
                }
            }
        }
        Ok(())
    }

    /// A product whose own operands are so many.
    fn matmul(&self, e: &Epilogue, own: usize) -> Result<Shape, GraphError> {
        let (x, w) = (self.shapes[0], self.shapes[1]);
        let fits = w.rank() == 2 && x.rank() >= 1 && x.last() == w.last();
        self.need(fits, || "x must be [.., K], weight [N, K]".into())?;
        self.epilogue(e, own, self.make(&with_last(x, w.dims()[0]))?)
    }

    fn conv2d(&self, c: &Conv2d) -> Result<Shape, GraphError> {
        let (x, w) = (self.shapes[0], self.shapes[1]);
        let fits = x.rank() == 4 && w.rank() == 4 && c.groups > 0 && c.stride.iter().all(|&s| s > 0);
        self.need(fits, || {
            "x must be [B, H, W, C], weight [N, C/groups, kh, kw], stride and groups > 0".into()
        })?;
        let (xd, wd) = (x.dims(), w.dims());
        let grouped = wd[1].checked_mul(c.groups) == Some(xd[3]) && wd[0].is_multiple_of(c.groups);
        self.need(grouped, || format!("channels don't divide into {} groups", c.groups))?;
        let height = conv_extent(xd[1], c.pad_height, wd[2], c.stride[0]);
        let width = conv_extent(xd[2], c.pad_width, wd[3], c.stride[1]);
        let (Some(height), Some(width)) = (height, width) else {
            return self.need(false, || "the kernel is larger than the padded input".into()).map(|()| x);
        };
        self.epilogue(&c.epilogue, 2, self.make(&[xd[0], height, width, wd[0]])?)
    }

    fn depthwise(&self, pad: [usize; 2], e: &Epilogue) -> Result<Shape, GraphError> {
        let (x, w) = (self.shapes[0], self.shapes[1]);
        let fits = x.rank() == 3 && w.rank() == 3 && w.dims()[1] == 1 && w.dims()[0] == x.last();
        self.need(fits, || "x must be [B, T, C], weight [C, 1, K]".into())?;
        let Some(time) = conv_extent(x.dims()[1], pad, w.last(), 1) else {
            return self.need(false, || "the kernel is longer than the padded input".into()).map(|()| x);
        };
        self.epilogue(e, 2, self.make(&[x.dims()[0], time, x.last()])?)
    }

    fn attention(&self, a: &RelPosAttention) -> Result<Shape, GraphError> {
        let [q, k, v, p, u, w, lengths] = self.shapes else { return Ok(self.shapes[0]) };
        let fits = q.rank() == 3 && k == q && v == q && a.heads > 0 && q.last().is_multiple_of(a.heads);
        self.need(fits, || format!("q, k, v must be one [B, T, C] with C divisible by {} heads", a.heads))?;
        let per_head = [a.heads, q.last() / a.heads];
        self.need(u.dims() == per_head && w.dims() == per_head, || format!("biases must be {per_head:?}"))?;
        self.need(lengths.dims() == [q.dims()[0]], || "lengths must be [B]".into())?;
        self.need(p.rank() == 2 && p.last() == q.last(), || "positions must be [R, C]".into())?;
        // Offsets i − j that can occur, and the table rows they need.
        let Some(span) = q.dims()[1].checked_sub(1) else { return Ok(*q) };
        let [left, right] = a.window.unwrap_or([span; 2]);
        let (top, bottom) = (span.min(left) as i128, -(span.min(right) as i128));
        let first = i128::from(a.first_offset);
        let covered = first >= top && first - bottom < p.dims()[0] as i128;
        self.need(covered, || format!("the position table must hold the offsets {top} to {bottom}"))?;
        Ok(*q)
    }

    fn permute(&self, perm: &[usize]) -> Result<Shape, GraphError> {
        let x = self.shapes[0];
        let mut sorted = perm.to_vec();
        sorted.sort_unstable();
        self.need(sorted.iter().copied().eq(0..x.rank()), || format!("{perm:?} is no permutation"))?;
        self.make(&perm.iter().map(|&i| x.dims()[i]).collect::<Vec<_>>())
    }

    fn concat(&self, axis: usize) -> Result<Shape, GraphError> {
        let x = self.shapes[0];
        self.need(axis < x.rank(), || format!("there is no axis {axis}"))?;
        let same = |s: &Shape| {
            s.rank() == x.rank()
                && s.dims().iter().zip(x.dims()).enumerate().all(|(i, (a, b))| i == axis || a == b)
        };
        self.need(self.shapes.iter().all(same), || format!("shapes may differ on axis {axis} only"))?;
        let mut dims = x.dims().to_vec();
        let total = self.shapes.iter().try_fold(0usize, |sum, s| sum.checked_add(s.dims()[axis]));
        dims[axis] = total.unwrap_or(usize::MAX);
        self.make(&dims)
    }

    /// `[B, T, Hv, S]` from q, k, v, gates, beta, sequences and the row of the state tensor.
    fn gated_delta_net(&self, d: &GatedDeltaNet, row: Shape) -> Result<Shape, GraphError> {
        let [q, k, v, gate, beta, sequences] = [0, 1, 2, 3, 4, 5].map(|i| self.shapes[i]);
        let (&[qb, qt, key_heads, width], &[batch, time, heads, size]) = (q.dims(), v.dims()) else {
            self.need(false, || "q, k and v must be [batch, time, heads, width]".into())?;
            return Ok(v);
        };
        self.need(q == k && [qb, qt, width] == [batch, time, size], || {
            "q and k must be [batch, time, key heads, width] with the batch, time and width of v".into()
        })?;
        self.need(key_heads > 0 && heads.is_multiple_of(key_heads), || {
            "the value heads must be a multiple of the key heads".into()
        })?;
        self.need(size > 0 && beta.dims() == [batch, time, heads] && (gate == beta || gate == v), || {
            "beta must be [batch, time, heads], the gates the same or [batch, time, heads, width]".into()
        })?;
        self.need(sequences.dims() == [batch, 3], || "sequences must be [batch, 3]".into())?;
        let matrices = d.snapshots.checked_mul(heads).filter(|&n| n > 0);
        self.need(matrices.is_some_and(|n| row.dims() == [n, size, size]), || {
            format!("state rows must be [{} · {heads}, {size}, {size}], not {row:?}", d.snapshots)
        })?;
        Ok(v)
    }

    /// `[B]` from row numbers.
    fn state_numbers(&self, row: Shape, column: usize) -> Result<Shape, GraphError> {
        let rows = self.shapes[0];
        self.need(rows.rank() == 1, || "row numbers must be [B]".into())?;
        self.need(column < row.numel(), || format!("rows of {row:?} have no number {column}"))?;
        Ok(rows)
    }

    fn two_states(&self, a: StateId, b: StateId) -> Result<(), GraphError> {
        self.need(a != b, || format!("state {} can't be both of its state tensors", a.0))
    }

    /// `[B, H]` from gates, row numbers, activity and the rows of the two state tensors.
    fn lstm_step(&self, state_rows: [Shape; 2]) -> Result<Shape, GraphError> {
        let [gates, rows, active] = [0, 1, 2].map(|i| self.shapes[i]);
        let [hidden, cell] = state_rows;
        self.need(rows.rank() == 1 && active == rows, || "row numbers and activity must be [B]".into())?;
        self.need(hidden.rank() == 1 && cell == hidden, || {
            format!("hidden and cell state must have one width, not {hidden:?} and {cell:?}")
        })?;
        let fits = hidden.last().checked_mul(4).is_some_and(|n| gates.dims() == [rows.last(), n]);
        self.need(fits, || format!("gates must be [{}, 4·{}]", rows.last(), hidden.last()))?;
        self.make(&[rows.last(), hidden.last()])
    }

    /// `[B, ahead, J]` from predictions, row numbers and the rows of frames and cursors.
    fn join(&self, j: &TransducerJoin, state_rows: [Shape; 2]) -> Result<Shape, GraphError> {
        let [predicted, rows] = [0, 1].map(|i| self.shapes[i]);
        let [frame, cursor] = state_rows;
        self.cursor(rows, cursor)?;
        self.need(j.ahead > 0, || "at least one frame must be looked at".into())?;
        let fits = frame.rank() == 1 && predicted.dims() == [rows.last(), frame.last()];
        self.need(fits, || {
            format!("predicted must be [{}, J], frames rows of [J], not {frame:?}", rows.last())
        })?;
        self.make(&[rows.last(), j.ahead, frame.last()])
    }

    /// `[B, row]` from logits, row numbers and the row of cursors.
    fn advance(&self, a: &TransducerAdvance, row: Shape) -> Result<Shape, GraphError> {
        let [logits, rows] = [0, 1].map(|i| self.shapes[i]);
        self.cursor(rows, row)?;
        let outputs = a.blank.checked_add(1).and_then(|n| n.checked_add(a.durations.len()));
        let fits =
            matches!(logits.dims(), &[b, ahead, n] if b == rows.last() && ahead > 0 && Some(n) == outputs);
        self.need(fits, || {
            let (labels, durations) = (a.blank.saturating_add(1), a.durations.len());
            format!("logits must be [{}, ahead, {labels} + {durations}]", rows.last())
        })?;
        let small =
            a.durations.iter().all(|&d| d < LIMIT) && a.blank < LIMIT && (1..LIMIT).contains(&a.max_symbols);
        self.need(small, || format!("numbers must be below {LIMIT}, at least one symbol allowed"))?;
        self.make(&[rows.last(), row.last()])
    }

    fn cursor(&self, rows: Shape, row: Shape) -> Result<(), GraphError> {
        self.need(rows.rank() == 1, || "row numbers must be [B]".into())?;
        let fits = row.rank() == 1 && TransducerAdvance::capacity(row.last()).is_some();
        self.need(fits, || format!("rows of cursors must be a cursor and whole log entries, not {row:?}"))
    }

    fn state_rows(&self, row: Shape) -> Result<Shape, GraphError> {
        self.need(self.shapes[0].rank() == 1, || "row numbers must be [B]".into())?;
        let mut dims = vec![self.shapes[0].last()];
        dims.extend_from_slice(row.dims());
        self.make(&dims)
    }
}

/// Whether `b` broadcasts to `a` by NumPy's rules without enlarging `a`.
pub fn broadcasts(b: Shape, a: Shape) -> bool {
    b.rank() <= a.rank()
        && b.dims().iter().rev().zip(a.dims().iter().rev()).all(|(&from, &to)| from == to || from == 1)
}

/// Output extent of a convolution along one axis, `None` when the kernel doesn't fit.
pub fn conv_extent(input: usize, pad: [usize; 2], kernel: usize, stride: usize) -> Option<usize> {
    Some(input.checked_add(pad[0])?.checked_add(pad[1])?.checked_sub(kernel)? / stride + 1)
}

fn with_last(shape: Shape, last: usize) -> Vec<usize> {
    let mut dims = shape.dims().to_vec();
    if let Some(d) = dims.last_mut() {
        *d = last;
    }
    dims
}
