//! The text form of a graph: one line a node, for `--dump graph` and for snapshots.

use crate::heads::Heads;
use crate::ir::{Graph, Node, ValueId, ValueSource};
use crate::op::{Activation, Epilogue, Op, Start};
use crate::prologue::Prologue;
use crate::state::StateElem;
use std::fmt;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {}{}", self.name, if self.repeatable { " (repeatable)" } else { "" })?;
        for &id in &self.inputs {
            let v = self.value(id);
            writeln!(f, "  input  {} {:?} {:?}", v.name, v.elem, v.shape)?;
        }
        for s in &self.states {
            let elem = if s.elem == StateElem::F16 { " F16" } else { "" };
            writeln!(f, "  state  {} rows of {:?}{elem}", s.name, s.row)?;
        }
        for s in &self.slots {
            writeln!(f, "  slot   {s}")?;
        }
        for n in &self.nodes {
            writeln!(f, "  {}", Line { graph: self, node: n })?;
        }
        for (name, id) in &self.outputs {
            writeln!(f, "  output {name} = {}", self.value(*id).name)?;
        }
        Ok(())
    }
}

/// One node as text.
struct Line<'a> {
    graph: &'a Graph,
    node: &'a Node,
}

impl Line<'_> {
    fn operand(&self, id: ValueId) -> String {
        let v = self.graph.value(id);
        match &v.source {
            ValueSource::Weight(w) => format!("{}:{}", v.name, w.dtype),
            _ => v.name.clone(),
        }
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let out = self.graph.value(self.node.output);
        let operands: Vec<String> = self.node.inputs.iter().map(|&v| self.operand(v)).collect();
        let (op, attributes) = (&self.node.op, attributes(&self.node.op));
        write!(f, "{} {:?} = {}{attributes}({})", out.name, out.shape, op.name(), operands.join(", "))
    }
}

/// What distinguishes two nodes of the same op, empty when nothing does.
fn attributes(op: &Op) -> String {
    let own = match op {
        Op::Conv2d(c) => {
            format!("stride={:?} pad={:?}{:?} groups={}", c.stride, c.pad_height, c.pad_width, c.groups)
        }
        Op::DepthwiseConv1d { pad, .. } => format!("pad={pad:?}"),
        Op::MatMulAfter(Prologue::RmsNorm { eps } | Prologue::LayerNorm { eps }, _) => format!("eps={eps:e}"),
        Op::MatMulAfter(Prologue::Gated(f), _) => f.name().to_owned(),
        Op::Conv1d(c) => format!("stride={} dilation={} pad={:?}", c.stride, c.dilation, c.pad),
        Op::ConvTranspose1d(c) => format!("stride={} pad={:?}", c.stride, c.pad),
        Op::Attention(a) => format!("scale={}", a.scale),
        Op::Unary(Activation::LeakyRelu(slope)) => format!("slope={slope}"),
        Op::Clamp { min, max } => format!("{min}..={max}"),
        Op::RepeatRows { times } => format!("times={times}"),
        Op::SegmentMean { len } => format!("len={len}"),
        Op::InverseStft(i) => format!("hop={}", i.hop),
        Op::Scale(s) => format!("{s}"),
        Op::L2Norm { eps } => format!("eps={eps:e}"),
        Op::LayerNorm { eps } | Op::RmsNorm { eps } | Op::BatchNorm { eps } | Op::BatchNormScale { eps } => {
            format!("eps={eps:e}")
        }
        Op::RelPosAttention(a) => match a.window {
            Some([left, right]) => format!("heads={} window={left},{right}", a.heads),
            None => format!("heads={}", a.heads),
        },
        Op::Permute(perm) => format!("{perm:?}"),
        Op::Slice { axis, start: Start::Fixed(n), len } => format!("axis={axis} {n}..+{len}"),
        Op::Slice { axis, start: Start::Slot(s), len } => format!("axis={axis} slot{}..+{len}", s.0),
        Op::Concat { axis } => format!("axis={axis}"),
        Op::StateGather(s) | Op::StateScatter(s) => format!("state{}", s.0),
        Op::StateAppend { state, at } => format!("state{} at slot{}", state.0, at.0),
        Op::StateNumbers { state, column } => format!("state{} column={column}", state.0),
        Op::Gated(f) => activation(*f),
        Op::Rope(r) => {
            let scaling = r.scaling.map(|s| format!(" *{} {}..{}/{}", s.factor, s.low, s.high, s.original));
            format!("dims={} theta={}{}", r.dims, r.theta, scaling.unwrap_or_default())
        }
        Op::CausalConv1d(c) => {
            let then = c.activation.map(|f| format!(" +{}", activation(f))).unwrap_or_default();
            format!("state{} snapshots={}{then}", c.state.0, c.snapshots)
        }
        Op::CausalAttention(a) => format!("state{} state{} scale={}", a.keys.0, a.values.0, a.scale),
        Op::ExpertChoice(c) => {
            format!("{} used={}{}", c.score.name(), c.used, if c.bias { " +bias" } else { "" })
        }
        Op::ExpertWeights(w) => {
            let least = w.normalise.map(|least| format!(" sum>={least}")).unwrap_or_default();
            format!("{}{least} *{}", w.score.name(), w.scale)
        }
        Op::ExpertGateUp(g) => {
            let limit = g.limit.map(|limit| format!(" limit={limit}")).unwrap_or_default();
            format!("{}{limit}{}", activation(g.activation), if g.fused { " fused" } else { "" })
        }
        Op::Heads(Heads::Delta(h)) => {
            let conv = h.conv.map(|c| format!("state{} ", c.state.0)).unwrap_or_default();
            format!("{conv}state{} snapshots={}", h.delta.state.0, h.delta.snapshots)
        }
        Op::Heads(Heads::Attention(h)) => {
            format!("state{} state{} dims={}", h.attention.keys.0, h.attention.values.0, h.rope.dims)
        }
        Op::LstmStep { hidden, cell } => format!("state{} state{}", hidden.0, cell.0),
        Op::TransducerJoin(j) => format!("state{} state{} ahead={}", j.frames.0, j.cursors.0, j.ahead),
        Op::TransducerAdvance(a) => {
            format!(
                "state{} blank={} durations={:?} max_symbols={}",
                a.cursors.0, a.blank, a.durations, a.max_symbols
            )
        }
        _ => String::new(),
    };
    let tail = op.epilogue().map(epilogue).unwrap_or_default();
    let parts: Vec<String> = [own, tail].into_iter().filter(|s| !s.is_empty()).collect();
    if parts.is_empty() { String::new() } else { format!("<{}>", parts.join(" ")) }
}

fn epilogue(e: &Epilogue) -> String {
    let mut parts = Vec::new();
    if e.bias {
        parts.push("+bias".to_owned());
    }
    parts.extend(e.activation.map(|a| format!("+{}", activation(a))));
    if e.scale != 1.0 {
        parts.push(format!("*{}", e.scale));
    }
    if e.residual {
        parts.push("+residual".to_owned());
    }
    parts.join(" ")
}

/// An activation with its attribute.
fn activation(f: Activation) -> String {
    match f {
        Activation::LeakyRelu(slope) => format!("{}({slope})", f.name()),
        _ => f.name().to_owned(),
    }
}
