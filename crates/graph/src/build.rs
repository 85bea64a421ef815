//! Builds a [`Graph`] so that a model's forward pass reads like its paper.
//!
//! Methods hand back a [`ValueId`] at once and keep the first error for [`GraphBuilder::finish`]: a model's text is
//! then free of `?` at every line, and nothing built on a faulty value is ever run.

use crate::decoder::Rope;
use crate::error::GraphError;
use crate::ir::{ElemType, Graph, Node, SlotId, StateId, Value, ValueId, ValueSource, WeightSpec};
use crate::op::{Activation, BinaryOp, Conv2d, Epilogue, Op, RelPosAttention, Start};
use crate::shape;
use crate::state::StateDecl;
use crate::vocoder::{Attention, Conv1d, ConvTranspose1d, InverseStft};
use mynah_tensor::Shape;
use std::collections::HashMap;

/// A graph under construction.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
    scope: Vec<String>,
    weights: HashMap<String, ValueId>,
    names: HashMap<String, u32>,
    error: Option<GraphError>,
}

impl GraphBuilder {
    /// An empty graph called `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            graph: Graph {
                name: name.into(),
                values: Vec::new(),
                nodes: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
                states: Vec::new(),
                slots: Vec::new(),
                repeatable: false,
            },
            scope: Vec::new(),
            weights: HashMap::new(),
            names: HashMap::new(),
            error: None,
        }
    }

    /// Runs `body` with `name` put before the names of the values it makes.
    pub fn scope<R>(&mut self, name: impl Into<String>, body: impl FnOnce(&mut Self) -> R) -> R {
        self.scope.push(name.into());
        let result = body(self);
        self.scope.pop();
        result
    }

    /// Lets a run go through the graph several times with the same inputs; what one time leaves to the next is in states.
    pub fn repeatable(&mut self) {
        self.graph.repeatable = true;
    }

    /// Declares an input given at each run.
    pub fn input(&mut self, name: &str, elem: ElemType, shape: impl Into<Shape>) -> ValueId {
        let id = self.push(name.to_owned(), elem, shape.into(), ValueSource::Input);
        self.graph.inputs.push(id);
        id
    }

    /// Reads a weight; the same name gives the same value.
    pub fn weight(&mut self, spec: &WeightSpec) -> ValueId {
        if let Some(&id) = self.weights.get(&spec.name) {
            if self.graph.weight(id) != Some(spec) {
                self.fail(GraphError::Redeclared { kind: "weight", name: spec.name.clone() });
            }
            return id;
        }
        let id = self.push(spec.name.clone(), ElemType::F32, spec.shape, ValueSource::Weight(spec.clone()));
        self.weights.insert(spec.name.clone(), id);
        id
    }

    /// Declares a state tensor of 32-bit floats; the same name gives the same state.
    pub fn state(&mut self, name: &str, row: impl Into<Shape>) -> StateId {
        self.declare(&StateDecl::new(name, row))
    }

    /// Declares a state tensor; the same name gives the same state.
    pub fn declare(&mut self, decl: &StateDecl) -> StateId {
        if let Some(i) = self.graph.states.iter().position(|s| s.name == decl.name) {
            if self.graph.states[i] != *decl {
                self.fail(GraphError::Redeclared { kind: "state", name: decl.name.clone() });
            }
            return StateId(i as u32);
        }
        self.graph.states.push(decl.clone());
        StateId(self.graph.states.len() as u32 - 1)
    }

    /// Declares a runtime scalar; the same name gives the same slot.
    pub fn slot(&mut self, name: &str) -> SlotId {
        if let Some(i) = self.graph.slots.iter().position(|s| s == name) {
            return SlotId(i as u32);
        }
        self.graph.slots.push(name.to_owned());
        SlotId(self.graph.slots.len() as u32 - 1)
    }

    /// Names a value an output.
    pub fn output(&mut self, name: &str, value: ValueId) {
        self.graph.outputs.push((name.to_owned(), value));
    }

    /// The shape of a value made so far.
    pub fn shape(&self, value: ValueId) -> Shape {
        self.graph.shape(value)
    }

    /// Applies any op.
    pub fn op(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        let (shape, elem) = match shape::infer(&self.graph, &op, inputs) {
            Ok(found) => found,
            Err(e) => {
                self.fail(e);
                (Shape::from([1]), ElemType::F32)
            }
        };
        let output = self.push(op.name().to_owned(), elem, shape, ValueSource::Node);
        self.graph.nodes.push(Node { op, inputs: inputs.to_vec(), output });
        output
    }

    /// `x · wᵀ`.
    pub fn matmul(&mut self, x: ValueId, w: ValueId) -> ValueId {
        self.op(Op::MatMul(Epilogue::default()), &[x, w])
    }

    /// `x · wᵀ + bias`, the bias optional.
    pub fn linear(&mut self, x: ValueId, w: ValueId, bias: Option<ValueId>) -> ValueId {
        let y = self.matmul(x, w);
        bias.map_or(y, |b| self.add(y, b))
    }

    /// `a + b`, `b` broadcast to `a`.
    pub fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Op::Binary(BinaryOp::Add), &[a, b])
    }

    /// `a · b`, `b` broadcast to `a`.
    pub fn mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Op::Binary(BinaryOp::Mul), &[a, b])
    }

    /// `factor · x`.
    pub fn scale(&mut self, x: ValueId, factor: f32) -> ValueId {
        self.op(Op::Scale(factor), &[x])
    }

    /// An activation.
    pub fn unary(&mut self, f: Activation, x: ValueId) -> ValueId {
        self.op(Op::Unary(f), &[x])
    }

    /// Rectified linear unit.
    pub fn relu(&mut self, x: ValueId) -> ValueId {
        self.unary(Activation::Relu, x)
    }

    /// Sigmoid linear unit.
    pub fn silu(&mut self, x: ValueId) -> ValueId {
        self.unary(Activation::Silu, x)
    }

    /// Gated linear unit over the last dimension.
    pub fn glu(&mut self, x: ValueId) -> ValueId {
        self.op(Op::Glu, &[x])
    }

    /// `a · act(b)`.
    pub fn gated(&mut self, f: Activation, a: ValueId, b: ValueId) -> ValueId {
        self.op(Op::Gated(f), &[a, b])
    }

    /// Root-mean-square normalisation.
    pub fn rms_norm(&mut self, x: ValueId, gain: ValueId, eps: f32) -> ValueId {
        self.op(Op::RmsNorm { eps }, &[x, gain])
    }

    /// Rows of length one.
    pub fn l2_norm(&mut self, x: ValueId, eps: f32) -> ValueId {
        self.op(Op::L2Norm { eps }, &[x])
    }

    /// Rotary positions.
    pub fn rope(&mut self, x: ValueId, positions: ValueId, rope: Rope) -> ValueId {
        self.op(Op::Rope(rope), &[x, positions])
    }

    /// Layer normalisation.
    pub fn layer_norm(&mut self, x: ValueId, gain: ValueId, bias: ValueId, eps: f32) -> ValueId {
        self.op(Op::LayerNorm { eps }, &[x, gain, bias])
    }

    /// A 2-D convolution with an optional bias.
    pub fn conv2d(&mut self, x: ValueId, w: ValueId, bias: Option<ValueId>, conv: Conv2d) -> ValueId {
        let y = self.op(Op::Conv2d(conv), &[x, w]);
        bias.map_or(y, |b| self.add(y, b))
    }

    /// A depthwise convolution over time with an optional bias.
    pub fn depthwise_conv1d(
        &mut self,
        x: ValueId,
        w: ValueId,
        bias: Option<ValueId>,
        pad: [usize; 2],
    ) -> ValueId {
        let y = self.op(Op::DepthwiseConv1d { pad, epilogue: Epilogue::default() }, &[x, w]);
        bias.map_or(y, |b| self.add(y, b))
    }

    /// A convolution over time with an optional bias.
    pub fn conv1d(&mut self, x: ValueId, w: ValueId, bias: Option<ValueId>, conv: Conv1d) -> ValueId {
        let y = self.op(Op::Conv1d(conv), &[x, w]);
        bias.map_or(y, |b| self.add(y, b))
    }

    /// A transposed convolution over time with an optional bias.
    pub fn conv_transpose1d(
        &mut self,
        x: ValueId,
        w: ValueId,
        bias: Option<ValueId>,
        conv: ConvTranspose1d,
    ) -> ValueId {
        let y = self.op(Op::ConvTranspose1d(conv), &[x, w]);
        bias.map_or(y, |b| self.add(y, b))
    }

    /// `x + sin²(alpha·x) / alpha` for each channel.
    pub fn snake(&mut self, x: ValueId, alpha: ValueId) -> ValueId {
        self.op(Op::Snake, &[x, alpha])
    }

    /// Elements within two bounds.
    pub fn clamp(&mut self, x: ValueId, min: f32, max: f32) -> ValueId {
        self.op(Op::Clamp { min, max }, &[x])
    }

    /// Full attention of `q` over `k` and `v`; `lengths` says how many keys of each sequence there are.
    pub fn attention(&mut self, q: ValueId, k: ValueId, v: ValueId, lengths: ValueId, scale: f32) -> ValueId {
        self.op(Op::Attention(Attention { scale }), &[q, k, v, lengths])
    }

    /// Each row `times` times.
    pub fn repeat_rows(&mut self, x: ValueId, times: usize) -> ValueId {
        self.op(Op::RepeatRows { times }, &[x])
    }

    /// Means over stretches of `len` rows.
    pub fn segment_mean(&mut self, x: ValueId, len: usize) -> ValueId {
        self.op(Op::SegmentMean { len }, &[x])
    }

    /// Samples of a spectrum.
    pub fn inverse_stft(&mut self, x: ValueId, hop: usize) -> ValueId {
        self.op(Op::InverseStft(InverseStft { hop }), &[x])
    }

    /// Zeroes rows past each sequence's length.
    pub fn mask_rows(&mut self, x: ValueId, lengths: ValueId) -> ValueId {
        self.op(Op::MaskRows, &[x, lengths])
    }

    /// Relative-position attention; operands as [`Op::RelPosAttention`] documents.
    pub fn rel_pos_attention(&mut self, attention: RelPosAttention, operands: &[ValueId; 7]) -> ValueId {
        self.op(Op::RelPosAttention(attention), operands)
    }

    /// The same elements under another shape.
    pub fn reshape(&mut self, x: ValueId, dims: &[usize]) -> ValueId {
        self.op(Op::Reshape(dims.to_vec()), &[x])
    }

    /// Reorders dimensions.
    pub fn permute(&mut self, x: ValueId, perm: &[usize]) -> ValueId {
        self.op(Op::Permute(perm.to_vec()), &[x])
    }

    /// `len` entries of one axis from a constant start.
    pub fn slice(&mut self, x: ValueId, axis: usize, start: usize, len: usize) -> ValueId {
        self.op(Op::Slice { axis, start: Start::Fixed(start), len }, &[x])
    }

    /// Rows of a table by id.
    pub fn gather(&mut self, table: ValueId, ids: ValueId) -> ValueId {
        self.op(Op::Gather, &[table, ids])
    }

    /// The finished graph.
    ///
    /// # Errors
    /// The first rule that was broken while building.
    pub fn finish(self) -> Result<Graph, GraphError> {
        match self.error {
            Some(e) => Err(e),
            None => {
                self.graph.check()?;
                Ok(self.graph)
            }
        }
    }

    /// Keeps the first error; later ones are often its consequences.
    fn fail(&mut self, error: GraphError) {
        self.error.get_or_insert(error);
    }

    /// Adds a value under a name made unique by the scope and, where needed, a number.
    fn push(&mut self, name: String, elem: ElemType, shape: Shape, source: ValueSource) -> ValueId {
        let name = match (&source, self.scope.is_empty()) {
            (ValueSource::Node, false) => format!("{}.{name}", self.scope.join(".")),
            _ => name,
        };
        let seen = self.names.entry(name.clone()).or_insert(0);
        *seen += 1;
        let name = if *seen == 1 { name } else { format!("{name}#{seen}") };
        let id = ValueId(self.graph.values.len() as u32);
        self.graph.values.push(Value { name, elem, shape, source });
        id
    }
}
