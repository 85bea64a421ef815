//! Resolves a node's operands to memory, and makes sure that no kernel reads what it writes by accident.

use crate::simd::{Isa, SimdLevel};
use crate::weights::{ConvKernel, Elements, Line, Panels, Stack, Store, Table};
use mynah_device::{DeviceError, Location, Plan, Policy, weight_use};
use mynah_graph::{Epilogue, Graph, Node, ValueId};
use mynah_tensor::Shape;
use std::ops::Range;
use std::sync::Arc;

/// Where an operand's elements are.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// From this byte of the arena on.
    Arena(usize),
    /// Among the weights.
    Elements(Arc<Elements>),
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Arena(a), Self::Arena(b)) => a == b,
            (Self::Elements(a), Self::Elements(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// An operand of four-byte elements.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operand {
    pub(super) place: Place,
    pub(super) len: usize,
    /// Whether the output is the same memory.
    pub(super) in_place: bool,
}

/// The output's place in the arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(super) offset: usize,
    pub(super) len: usize,
}

impl Operand {
    /// Whether the kernel writes over this operand.
    pub(crate) fn in_place(&self) -> bool {
        self.in_place
    }
}

/// A node being compiled.
pub(crate) struct Bind<'a> {
    pub(super) plan: &'a Plan,
    pub(super) node: &'a Node,
    pub(super) store: &'a Store,
    pub(super) policy: &'a Policy,
    pub(super) level: SimdLevel,
    pub(super) threads: usize,
}

impl<'a> Bind<'a> {
    /// The graph.
    pub(crate) fn graph(&self) -> &'a Graph {
        &self.plan.graph
    }

    /// The node.
    pub(crate) fn node(&self) -> &'a Node {
        self.node
    }

    /// Which fast routes may be taken.
    pub(crate) fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// The instruction set with its extensions.
    pub(crate) fn level(&self) -> SimdLevel {
        self.level
    }

    /// The instruction set of float kernels.
    pub(crate) fn isa(&self) -> Isa {
        self.level.isa()
    }

    /// Threads that will run the kernel.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Number of operands.
    pub(crate) fn operands(&self) -> usize {
        self.node.inputs.len()
    }

    /// Shape of an operand.
    pub(crate) fn shape(&self, operand: usize) -> Shape {
        self.node.inputs.get(operand).map_or_else(Shape::default, |&v| self.graph().shape(v))
    }

    /// Shape of the output.
    pub(crate) fn out_shape(&self) -> Shape {
        self.graph().shape(self.node.output)
    }

    /// The output's memory.
    pub(crate) fn target(&self) -> Result<Target, DeviceError> {
        let range = self.arena_range(self.node.output)?;
        Ok(Target { offset: range.start, len: range.len() / 4 })
    }

    /// An operand that the kernel reads while it writes.
    pub(crate) fn operand(&self, operand: usize) -> Result<Operand, DeviceError> {
        let found = self.resolve(operand)?;
        if let Place::Arena(offset) = found.place
            && overlap(&(offset..offset + 4 * found.len), &self.arena_range(self.node.output)?)
        {
            return Err(self.misplaced("an operand lies where the output is written"));
        }
        Ok(found)
    }

    /// An operand the kernel may write over, element by element: it lies apart from the output or is the same
    /// memory.
    pub(crate) fn operand_in_place(&self, operand: usize) -> Result<Operand, DeviceError> {
        let mut found = self.resolve(operand)?;
        if let Place::Arena(offset) = found.place {
            let (range, out) = (offset..offset + 4 * found.len, self.arena_range(self.node.output)?);
            found.in_place = range == out && !out.is_empty();
            if overlap(&range, &out) && !found.in_place {
                return Err(self.misplaced("an operand partly lies where the output is written"));
            }
        }
        Ok(found)
    }

    /// The operands of an epilogue that follow `own` operands of the op: bias, then residual.
    pub(crate) fn epilogue(
        &self,
        e: &Epilogue,
        own: usize,
    ) -> Result<(Option<Operand>, Option<Operand>), DeviceError> {
        let bias = e.bias.then(|| self.operand(own)).transpose()?;
        let residual = e.residual.then(|| self.operand_in_place(own + usize::from(e.bias))).transpose()?;
        Ok((bias, residual))
    }

    /// Whether an operand is a weight.
    pub(crate) fn is_weight(&self, operand: usize) -> bool {
        self.node.inputs.get(operand).is_some_and(|&v| self.graph().weight(v).is_some())
    }

    /// A weight laid out for matrix products.
    pub(crate) fn panels(&self, operand: usize) -> Result<Arc<Panels>, DeviceError> {
        self.weight(operand, Store::panels)
    }

    /// The weights of experts laid out for matrix products.
    pub(crate) fn stack(&self, operand: usize) -> Result<Arc<Stack>, DeviceError> {
        self.weight(operand, Store::stack)
    }

    /// A convolution's kernel.
    pub(crate) fn conv_kernel(&self, operand: usize) -> Result<Arc<ConvKernel>, DeviceError> {
        self.weight(operand, Store::conv)
    }

    /// The kernel of a convolution over time, or of a transposed one.
    pub(crate) fn line(&self, operand: usize) -> Result<Arc<Line>, DeviceError> {
        self.weight(operand, Store::line)
    }

    /// A table read by row.
    pub(crate) fn table(&self, operand: usize) -> Result<Arc<Table>, DeviceError> {
        self.weight(operand, Store::table)
    }

    /// An error about the plan, naming the node.
    pub(crate) fn misplaced(&self, reason: &str) -> DeviceError {
        let node = &self.graph().value(self.node.output).name;
        DeviceError::Arguments { graph: self.graph().name.clone(), reason: format!("'{node}': {reason}") }
    }

    fn weight<T>(
        &self,
        operand: usize,
        get: fn(&Store, &str, mynah_device::WeightUse) -> Option<Arc<T>>,
    ) -> Result<Arc<T>, DeviceError> {
        let spec = self.node.inputs.get(operand).and_then(|&v| self.graph().weight(v));
        let spec = spec.ok_or_else(|| self.misplaced("a weight was expected"))?;
        get(self.store, &spec.name, weight_use(self.node, operand)).ok_or_else(|| DeviceError::Weight {
            name: spec.name.clone(),
            reason: "it was not prepared for this use".to_owned(),
        })
    }

    fn resolve(&self, operand: usize) -> Result<Operand, DeviceError> {
        let value = *self.node.inputs.get(operand).ok_or_else(|| self.misplaced("an operand is missing"))?;
        let len = self.graph().shape(value).numel();
        if self.graph().weight(value).is_some() {
            let elements = self.weight(operand, Store::elements)?;
            if elements.as_f32().len() < len {
                return Err(self.misplaced("a weight is smaller than its shape"));
            }
            return Ok(Operand { place: Place::Elements(elements), len, in_place: false });
        }
        let range = self.arena_range(value)?;
        Ok(Operand { place: Place::Arena(range.start), len, in_place: false })
    }

    fn arena_range(&self, value: ValueId) -> Result<Range<usize>, DeviceError> {
        arena_range(self.plan, value).map_err(|reason| self.misplaced(&reason))
    }
}

/// The bytes of a value in the arena, checked against the arena's size.
pub(super) fn arena_range(plan: &Plan, value: ValueId) -> Result<Range<usize>, String> {
    let name = &plan.graph.value(value).name;
    let Location::Arena { offset, bytes } = plan.location(value) else {
        return Err(format!("value '{name}' has no place in the arena"));
    };
    let wanted = plan.graph.shape(value).numel().checked_mul(4).ok_or("a value is too large")?;
    let end = offset.checked_add(wanted).filter(|&end| end <= plan.arena_bytes);
    match end {
        Some(end) if wanted <= bytes && offset.is_multiple_of(Plan::ALIGN) => Ok(offset..end),
        _ => Err(format!("value '{name}' does not fit its place in the arena")),
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    !a.is_empty() && !b.is_empty() && a.start < b.end && b.start < a.end
}
