//! A node on its way to dispatches: its operands' places and shapes, the adapter's limits, the policy.

use super::{Kernel, Place};
use crate::caps::Capabilities;
use crate::check::{Check, Limit, Numbers};
use crate::weights::{self, Layout};
use mynah_device::{DeviceError, Location, Plan, Policy, Unsupported, weight_use};
use mynah_graph::{Epilogue, Graph, Node, Op, StateElem, ValueId};
use mynah_tensor::{LevelFormat, Shape};
use std::collections::HashSet;

/// An operand's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operand {
    pub(crate) place: Place,
    /// Length in bytes.
    pub(crate) bytes: u64,
}

impl Operand {
    /// Bytes of scratch memory from `offset` on, a multiple of [`Plan::ALIGN`].
    pub(crate) fn scratch(offset: u64, bytes: u64) -> Self {
        Self { place: Place::Scratch(offset), bytes }
    }
}

/// A node being compiled.
pub(crate) struct Bind<'a> {
    graph: &'a Graph,
    node: &'a Node,
    /// `None` on trial: places are made up then.
    plan: Option<&'a Plan>,
    caps: &'a Capabilities,
    policy: &'a Policy,
    halves: Option<&'a HashSet<ValueId>>,
}

impl<'a> Bind<'a> {
    pub(crate) fn new(plan: &'a Plan, node: &'a Node, caps: &'a Capabilities, policy: &'a Policy) -> Self {
        Self { graph: &plan.graph, node, plan: Some(plan), caps, policy, halves: None }
    }

    /// The same, where these values are kept as halves.
    pub(crate) fn with_halves(self, halves: &'a HashSet<ValueId>) -> Self {
        Self { halves: Some(halves), ..self }
    }

    /// Whether an operand is kept as halves, in the first half of its place.
    pub(crate) fn half(&self, operand: usize) -> bool {
        self.node.inputs.get(operand).is_some_and(|&value| self.is_half(value))
    }

    /// Whether the result is to be kept as halves.
    pub(crate) fn half_target(&self) -> bool {
        self.is_half(self.node.output)
    }

    fn is_half(&self, value: ValueId) -> bool {
        self.halves.is_some_and(|halves| halves.contains(&value))
    }

    /// A node without memory, to see whether its kernel can be made.
    pub(crate) fn trial(
        graph: &'a Graph,
        node: &'a Node,
        caps: &'a Capabilities,
        policy: &'a Policy,
    ) -> Self {
        Self { graph, node, plan: None, caps, policy, halves: None }
    }

    /// The node.
    pub(crate) fn node(&self) -> &'a Node {
        self.node
    }

    /// Limits and features.
    pub(crate) fn caps(&self) -> &'a Capabilities {
        self.caps
    }

    /// Which fast routes may be taken.
    pub(crate) fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// A dispatch to be built.
    pub(crate) fn kernel(&self) -> Kernel<'_, 'a> {
        Kernel::new(self)
    }

    /// Number of operands.
    pub(crate) fn operands(&self) -> usize {
        self.node.inputs.len()
    }

    /// Shape of an operand.
    pub(crate) fn shape(&self, operand: usize) -> Shape {
        self.node.inputs.get(operand).map_or_else(Shape::default, |&v| self.graph.shape(v))
    }

    /// Shape of the output.
    pub(crate) fn out_shape(&self) -> Shape {
        self.graph.shape(self.node.output)
    }

    /// Elements of a row of a state tensor.
    pub(crate) fn state_row(&self, state: u32) -> usize {
        self.graph.states().get(state as usize).map_or(0, |decl| decl.row.numel())
    }

    /// How a state tensor is stored.
    pub(crate) fn state_elem(&self, state: u32) -> StateElem {
        self.graph.states().get(state as usize).map_or(StateElem::F32, |decl| decl.elem)
    }

    /// The output's memory.
    pub(crate) fn target(&self) -> Result<Operand, DeviceError> {
        self.place_of(self.node.output)
    }

    /// An operand of four-byte elements: an activation, or a weight's elements.
    pub(crate) fn operand(&self, operand: usize) -> Result<Operand, DeviceError> {
        let value = self.input(operand)?;
        let Some(spec) = self.graph.weight(value) else { return self.place_of(value) };
        let use_ = weight_use(self.node, operand);
        match weights::plan(spec.dtype, spec.shape, use_, self.caps, self.policy) {
            Layout::Elements => Ok(Operand {
                place: Place::Weight { name: spec.name.clone(), use_, plane: 0, offset: 0 },
                bytes: 4 * spec.shape.numel() as u64,
            }),
            Layout::Matrix { .. } => Err(self.unsupported(format!("'{}' is read as a matrix", spec.name))),
        }
    }

    /// A weight laid out as a matrix, `None` for an operand that was computed.
    pub(crate) fn matrix(&self, operand: usize) -> Result<Option<Matrix>, DeviceError> {
        let value = self.input(operand)?;
        let Some(spec) = self.graph.weight(value) else { return Ok(None) };
        let use_ = weight_use(self.node, operand);
        match weights::plan(spec.dtype, spec.shape, use_, self.caps, self.policy) {
            Layout::Matrix { stored, n, k } => Ok(Some(Matrix {
                name: spec.name.clone(),
                use_,
                stored,
                first: 0,
                n,
                strides: weights::Strides::of(stored, k),
            })),
            Layout::Elements => Err(self.unsupported(format!("'{}' is read by element", spec.name))),
        }
    }

    /// The operands of an epilogue, which follow `first` others: bias and residual.
    pub(crate) fn epilogue(
        &self,
        e: &Epilogue,
        first: usize,
    ) -> Result<(Option<Operand>, Option<Operand>), DeviceError> {
        let bias = e.bias.then(|| self.operand(first)).transpose()?;
        let residual = e.residual.then(|| self.operand(first + usize::from(e.bias))).transpose()?;
        Ok((bias, residual))
    }

    /// The check that operand `operand` holds numbers below `limit`, or `None` where a kernel computed them and a guard must
    /// look instead.
    pub(crate) fn check(
        &self,
        operand: usize,
        what: &'static str,
        limit: Limit,
        distinct: bool,
    ) -> Result<Option<Check>, DeviceError> {
        Ok(self.input_index(operand)?.map(|i| self.check_of(Numbers::Input(i), what, limit, distinct)))
    }

    /// Which of the graph's inputs an operand is, reshaped at most; `None` where a kernel computed it.
    pub(crate) fn input_index(&self, operand: usize) -> Result<Option<usize>, DeviceError> {
        let mut value = self.input(operand)?;
        // A reshape only renames.
        while let Some(node) = self.graph.producer(value).map(|id| &self.graph.nodes()[id.0 as usize]) {
            match (&node.op, node.inputs.first()) {
                (Op::Reshape(_), Some(&inner)) => value = inner,
                _ => return Ok(None),
            }
        }
        Ok(self.graph.inputs().iter().position(|&v| v == value))
    }

    /// Among how many experts a kernel chose the ids of an operand, reshaped at most; `None` where another op gave them.
    pub(crate) fn chosen_among(&self, operand: usize) -> Result<Option<usize>, DeviceError> {
        let mut value = self.input(operand)?;
        while let Some(node) = self.graph.producer(value).map(|id| &self.graph.nodes()[id.0 as usize]) {
            match (&node.op, node.inputs.first()) {
                (Op::Reshape(_), Some(&inner)) => value = inner,
                (Op::ExpertChoice(_), Some(&logits)) => return Ok(Some(self.graph.shape(logits).last())),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The name of the node's value.
    pub(crate) fn name(&self) -> String {
        self.graph.value(self.node.output).name.clone()
    }

    /// The check of a slot.
    pub(crate) fn check_slot(&self, slot: u32, what: &'static str, limit: Limit) -> Check {
        self.check_of(Numbers::Slot(slot), what, limit, false)
    }

    fn check_of(&self, numbers: Numbers, what: &'static str, limit: Limit, distinct: bool) -> Check {
        let node = self.name();
        Check { node, what, numbers, limit, distinct, column: [0, 1] }
    }

    /// An error that names the op.
    pub(crate) fn unsupported(&self, reason: String) -> DeviceError {
        Unsupported { op: self.node.op.name(), reason }.into()
    }

    fn input(&self, operand: usize) -> Result<ValueId, DeviceError> {
        let found = self.node.inputs.get(operand).copied();
        found.ok_or_else(|| self.unsupported(format!("there is no operand {operand}")))
    }

    fn place_of(&self, value: ValueId) -> Result<Operand, DeviceError> {
        let each = if self.is_half(value) { 2 } else { 4 };
        let bytes = each * self.graph.shape(value).numel() as u64;
        let Some(plan) = self.plan else { return Ok(Operand { place: Place::Arena(0), bytes }) };
        match plan.location(value) {
            Location::Arena { offset, .. } => Ok(Operand { place: Place::Arena(offset as u64), bytes }),
            _ => {
                Err(self.unsupported(format!("'{}' has no place in the arena", self.graph.value(value).name)))
            }
        }
    }
}

/// A weight in the planes that [`crate::weights`] describes.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    name: String,
    use_: mynah_device::WeightUse,
    /// How elements are stored.
    pub(crate) stored: weights::MatrixType,
    /// The first row, where not all are meant.
    first: usize,
    /// Rows.
    pub(crate) n: usize,
    /// Words of a row in each plane.
    pub(crate) strides: weights::Strides,
}

impl Matrix {
    /// Some of its rows. The first must be a multiple of [`Matrix::STEP`].
    pub(crate) fn part(&self, rows: std::ops::Range<usize>) -> Self {
        Self { first: self.first + rows.start, n: rows.len(), ..self.clone() }
    }

    /// Rows that begin where an adapter lets a binding begin, in every plane and in that of the rows' factors.
    pub(crate) const STEP: usize = 64;

    /// Bytes of a row in the plane where it takes most, or as halves, in which some kernels write it down first.
    pub(crate) fn row_bytes(&self) -> usize {
        let strides = self.strides;
        let halves = match self.stored {
            weights::MatrixType::Blocks(dtype) => {
                // Four levels to a word, or eight; two halves to a word.
                let narrow = LevelFormat::of(dtype).is_none_or(|format| format.bits < 8);
                if narrow { 4 * strides.low } else { 2 * strides.low }
            }
            _ => 0,
        };
        4 * strides.low.max(strides.high).max(strides.scale).max(halves).max(1)
    }

    /// The factors of the rows, in the plane after all others.
    pub(crate) fn factors(&self) -> Operand {
        self.plane(weights::element_planes(self.strides), 1)
    }

    /// The first plane: elements, or the low bits of levels.
    pub(crate) fn low(&self) -> Operand {
        self.plane(0, self.strides.low)
    }

    /// The plane of upper bits, where there is one.
    pub(crate) fn high(&self) -> Option<Operand> {
        (self.strides.high > 0).then(|| self.plane(1, self.strides.high))
    }

    /// The plane of scales, where there is one.
    pub(crate) fn scale(&self) -> Option<Operand> {
        let plane = 1 + usize::from(self.strides.high > 0);
        (self.strides.scale > 0).then(|| self.plane(plane, self.strides.scale))
    }

    fn plane(&self, plane: usize, words: usize) -> Operand {
        let offset = 4 * (words * self.first) as u64;
        let place = Place::Weight { name: self.name.clone(), use_: self.use_, plane, offset };
        Operand { place, bytes: 4 * (words * self.n) as u64 }
    }
}
