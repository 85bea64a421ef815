//! The products of experts: what they read, what becomes of their sums, and which kernel takes them.

use super::grouped::Sorted;
use super::{check_ids, few};
use crate::caps::Capabilities;
use crate::kernels::common::{ACTIVATIONS, Factor, GRID, function};
use crate::program::{Bind, Compiled, Dispatch, Kernel, Matrix, Operand};
use mynah_device::DeviceError;
use mynah_graph::ExpertGateUp;
use std::ops::Range;

/// Slots of an expert, on average, from which sorting them pays: tiles fetch a row of an expert once for all of theirs, but tiles with
/// few rows compute for nothing.
const MANY: usize = 8;
/// Threads of the kernel of one element or vector.
const THREADS: usize = 256;

/// What becomes of a slot's sums.
#[derive(Clone, Debug)]
pub(super) enum Finish<'b> {
    /// They are the result.
    Store,
    /// They are what a gate multiplies: the sums of a second stack in the same dispatch, or of the same slots in memory.
    Join(&'b ExpertGateUp, Option<Operand>),
    /// Those of a token's slots are added up, each times its weight.
    Sum(Operand),
}

/// Rows of `x` times those of the experts chosen for them.
pub(super) struct Product<'b, 'a> {
    pub(super) bind: &'b Bind<'a>,
    pub(super) x: Operand,
    /// Slots to a row of `x`.
    pub(super) share: usize,
    pub(super) slots: usize,
    /// Experts of a token.
    pub(super) used: usize,
    pub(super) stack: Stack,
    /// Results of a slot.
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) finish: Finish<'b>,
    pub(super) y: Operand,
}

/// One or two matrices of each expert, or of some of them.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    /// All experts there are.
    pub(super) experts: usize,
    /// Those whose rows are here.
    pub(super) own: Range<usize>,
    /// Rows of an expert.
    pub(super) rows: usize,
    /// The first of them that counts.
    pub(super) offset: usize,
    pub(super) first: Factor,
    /// What the gate multiplies, where it is a stack of its own and taken along.
    pub(super) second: Option<Factor>,
}

impl Stack {
    fn new(bind: &Bind<'_>, operand: usize) -> Result<Self, DeviceError> {
        let &[experts, rows, k] = bind.shape(operand).dims() else {
            return Err(bind.unsupported("a stack of another rank".into()));
        };
        let first = match bind.matrix(operand)? {
            Some(matrix) => Factor::Weight(matrix),
            None => Factor::Computed { operand: bind.operand(operand)?, k },
        };
        Ok(Self { experts, own: 0..experts, rows, offset: 0, first, second: None })
    }

    /// Whether it is not of all experts.
    pub(super) fn is_part(&self) -> bool {
        self.own.len() < self.experts
    }

    /// Parts that bindings of the adapter can hold, one where all fit.
    fn parts(&self, caps: &Capabilities) -> Vec<Self> {
        let whole = || vec![self.clone()];
        let Factor::Weight(matrix) = &self.first else { return whole() };
        let strides = matrix.strides;
        let row = 4 * strides.low.max(strides.high).max(strides.scale).max(1);
        let most = usize::try_from(caps.max_binding).unwrap_or(usize::MAX) / row / self.rows.max(1);
        if most >= self.experts {
            return whole();
        }
        // Experts that begin where a binding may.
        let apart = Matrix::STEP / (1 << self.rows.trailing_zeros().min(Matrix::STEP.trailing_zeros()));
        let step = most / apart * apart;
        if step == 0 {
            return whole();
        }
        let cut = |factor: &Factor, own: &Range<usize>| match factor {
            Factor::Weight(m) => Factor::Weight(m.part(own.start * self.rows..own.end * self.rows)),
            Factor::Computed { .. } => factor.clone(),
        };
        let starts = (0..self.experts).step_by(step);
        let parts = starts.map(|start| start..self.experts.min(start + step));
        let part = |own: Range<usize>| Self {
            first: cut(&self.first, &own),
            second: self.second.as_ref().map(|second| cut(second, &own)),
            own,
            ..self.clone()
        };
        parts.map(part).collect()
    }
}

impl Product<'_, '_> {
    /// Whether slots are sorted by expert.
    fn is_grouped(&self) -> bool {
        !few::suits(self) || self.slots >= MANY * self.stack.experts
    }

    /// Adds the dispatches, using scratch memory from the end of what is taken.
    fn add_to(&self, all: &mut Compiled, sorted: &mut Option<Sorted>) -> Result<(), DeviceError> {
        let dispatch = if self.is_grouped() {
            let sorted = match sorted {
                Some(sorted) => sorted,
                None => sorted.insert(Sorted::new(self, all)?),
            };
            sorted.multiply(self)?
        } else {
            few::compile(self)?
        };
        all.name.clone_from(&dispatch.shader.name);
        all.dispatches.push(dispatch);
        Ok(())
    }

    /// The same on some experts only.
    pub(super) fn on(&self, stack: Stack) -> Self {
        let finish = self.finish.clone();
        Self { stack, finish, x: self.x.clone(), y: self.y.clone(), ..*self }
    }

    /// Declares `finish(sum, at)`, the result `y` and what they read.
    pub(super) fn declare(&self, k: &mut Kernel<'_, '_>) -> Result<(), DeviceError> {
        let join = match &self.finish {
            Finish::Join(op, gates) => {
                if let Some(gates) = gates {
                    k.bind("gates", "f32", gates);
                }
                k.param_f32("limit", op.limit.unwrap_or(f32::INFINITY));
                Some(op)
            }
            Finish::Sum(weights) => {
                k.bind("weights", "f32", weights);
                None
            }
            Finish::Store => None,
        };
        k.bind("y", "f32", &self.y);
        let source = k.source();
        source.flag("PART", self.stack.is_part());
        source.flag("JOIN", join.is_some());
        source.flag("LIMIT", join.is_some_and(|op| op.limit.is_some()));
        source.flag("GATES", matches!(self.finish, Finish::Join(_, Some(_))));
        if let Some(op) = join {
            source.include(ACTIVATIONS);
            let name = function(source, op.activation);
            source.define("ACTIVATE", name);
        }
        for (name, value) in [
            ("EXPERTS", self.stack.experts),
            ("FIRST_EXPERT", self.stack.own.start),
            ("OWN_EXPERTS", self.stack.own.len()),
            ("EXPERT_ROWS", self.stack.rows),
            ("MATRIX", self.stack.offset),
            ("SHARE", self.share),
            ("N", self.n),
        ] {
            source.constant(name, value as u32);
        }
        source.include(GRID);
        source.include(include_str!("finish.wgsl"));
        Ok(())
    }
}

/// Scratch memory of so many words.
pub(super) fn scratch(all: &mut Compiled, words: usize) -> Operand {
    let bytes = 4 * words as u64;
    let operand = Operand::scratch(all.scratch, bytes);
    all.scratch = (all.scratch + bytes.max(4)).next_multiple_of(256);
    operand
}

/// `x [.., K]`, `ids [.., k]`, the stacks of gates and of what they multiply → `[.., k, F]`.
pub(in crate::kernels) fn compile_gate_up(
    bind: &Bind<'_>,
    op: &ExpertGateUp,
) -> Result<Compiled, DeviceError> {
    let (mut all, mut sorted) = (Compiled::default(), None);
    let ids = bind.shape(1);
    let gate = Stack::new(bind, 2)?;
    check_ids(bind, gate.experts, &mut all)?;
    let product = Product {
        bind,
        x: bind.operand(0)?,
        share: ids.last(),
        slots: ids.numel(),
        used: ids.last(),
        n: bind.out_shape().last(),
        k: bind.shape(0).last(),
        finish: Finish::Join(op, None),
        y: bind.target()?,
        stack: gate,
    };
    let up = if op.fused { product.stack.first.clone() } else { Stack::new(bind, 3)?.first };
    // Both at once where they are alike and the adapter has the bindings.
    let both = Stack { second: (!op.fused).then(|| up.clone()), ..product.stack.clone() };
    let bindings = 3 + both.first.bindings() + both.second.as_ref().map_or(0, Factor::bindings);
    let alike =
        up.stored() == product.stack.first.stored() && up.bindings() == product.stack.first.bindings();
    let product = product.on(both);
    if alike && bindings <= bind.caps().max_bindings as usize && !product.is_grouped() {
        for part in product.stack.parts(bind.caps()) {
            product.on(part).add_to(&mut all, &mut sorted)?;
        }
        return Ok(all);
    }
    let gates = scratch(&mut all, product.slots * product.n);
    let first = Stack { second: None, ..product.stack.clone() };
    for part in first.parts(bind.caps()) {
        let gate = Product { finish: Finish::Store, y: gates.clone(), ..product.on(part) };
        gate.add_to(&mut all, &mut sorted)?;
    }
    let offset = if op.fused { product.n } else { 0 };
    let second = Stack { first: up, offset, ..first };
    for part in second.parts(bind.caps()) {
        let up = Product { finish: Finish::Join(op, Some(gates.clone())), ..product.on(part) };
        up.add_to(&mut all, &mut sorted)?;
    }
    Ok(all)
}

/// `h [.., k, F]`, `ids [.., k]`, `weights [.., k]`, the stack → `[.., N]`.
pub(in crate::kernels) fn compile_down(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    let (mut all, mut sorted) = (Compiled::default(), None);
    let ids = bind.shape(1);
    let stack = Stack::new(bind, 3)?;
    check_ids(bind, stack.experts, &mut all)?;
    let weights = bind.operand(2)?;
    let product = Product {
        bind,
        x: bind.operand(0)?,
        share: 1,
        slots: ids.numel(),
        used: ids.last(),
        n: bind.out_shape().last(),
        k: bind.shape(0).last(),
        finish: Finish::Sum(weights.clone()),
        y: bind.target()?,
        stack,
    };
    let parts = product.stack.parts(bind.caps());
    if parts.len() == 1 && !product.is_grouped() {
        product.add_to(&mut all, &mut sorted)?;
        return Ok(all);
    }
    let products = scratch(&mut all, product.slots * product.n);
    for part in parts {
        Product { finish: Finish::Store, y: products.clone(), ..product.on(part) }
            .add_to(&mut all, &mut sorted)?;
    }
    all.dispatches.push(sum(&product, &products, &weights)?);
    Ok(all)
}

/// Adds up the products of each token's slots, each times its weight, in the order of the ids.
fn sum(product: &Product<'_, '_>, products: &Operand, weights: &Operand) -> Result<Dispatch, DeviceError> {
    let mut k = product.bind.kernel();
    let (element, lanes) = if product.n.is_multiple_of(4) { ("vec4<f32>", 4) } else { ("f32", 1) };
    let width = product.n / lanes;
    let count = product.slots / product.used.max(1) * width;
    k.bind("products", element, products).bind("weights", "f32", weights).bind("y", element, &product.y);
    k.param("len", count);
    k.source().constant("WIDTH", width as u32);
    k.source().constant("USED", product.used as u32);
    k.source().define("T", element);
    k.source().include(GRID);
    let grid = k.grid(count.div_ceil(THREADS));
    k.finish("expert_sum", include_str!("sum.wgsl"), [THREADS as u32, 1, 1], grid)
}
