//! The gated units of the chosen experts.
//!
//! A task multiplies some rows of one expert with some panels of its gate and of its up, and joins the two while they are in the
//! cache.

use super::assign::{Assignments, Share};
use crate::matmul::{Group, GroupedProduct};
use crate::memory::{Output, ScratchNeed};
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::math::activate;
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;
use mynah_graph::ExpertGateUp;

struct GateUp {
    op: ExpertGateUp,
    x: Operand,
    ids: Operand,
    gate: GroupedProduct,
    up: GroupedProduct,
    out: Target,
    isa: Isa,
    used: usize,
    k: usize,
    units: usize,
    /// Rows of a task.
    most: usize,
    threads: usize,
}

/// Compiles the gated units.
pub(crate) fn compile(bind: &Bind<'_>, op: ExpertGateUp) -> Result<Box<dyn Kernel>, DeviceError> {
    let (k, units) = (bind.shape(0).last(), bind.out_shape().last());
    let gate = GroupedProduct::new(bind, 2, 0, [units, k])?;
    let up = if op.fused { (2, 1) } else { (3, 0) };
    let up = GroupedProduct::new(bind, up.0, up.1, [units, k])?;
    let most = gate.most_rows().min(up.most_rows()).min(bind.shape(1).numel());
    Ok(Box::new(GateUp {
        op,
        x: bind.operand(0)?,
        ids: bind.operand(1)?,
        out: bind.target()?,
        isa: bind.isa(),
        used: bind.shape(1).last(),
        most,
        k,
        units,
        gate,
        up,
        threads: bind.threads(),
    }))
}

impl GateUp {
    /// Floats for packed rows, for sums, and for the products of gate and up.
    fn private(&self) -> [usize; 3] {
        let packed = self.gate.packed(self.most).max(self.up.packed(self.most));
        let scratch = self.gate.scratch(self.most).max(self.up.scratch(self.most));
        [packed, scratch, self.most * self.units]
    }

    fn compute(&self, share: &Share, order: &[u32], x: &[f32], private: &mut [f32], out: &Output<'_, f32>) {
        let [packed, scratch, product] = self.private();
        let (packed, rest) = private.split_at_mut(packed);
        let (scratch, rest) = rest.split_at_mut(scratch);
        let (a, b) = rest[..2 * product].split_at_mut(product);
        let order = &order[share.rows.clone()];
        let group = Group { expert: share.expert, rows: order.len(), panels: share.panels.clone() };
        let row = |i: usize| {
            let token = order[i] as usize / self.used;
            &x[token * self.k..(token + 1) * self.k]
        };
        self.gate.pack(group.rows, row, packed);
        // SAFETY: the memory is this task's own and long enough for its rows.
        unsafe { self.gate.multiply(&group, packed, scratch, Output::new(a.as_mut_ptr(), a.len())) };
        if !self.up.packs_like(&self.gate) {
            self.up.pack(group.rows, row, packed);
        }
        // SAFETY: as above.
        unsafe { self.up.multiply(&group, packed, scratch, Output::new(b.as_mut_ptr(), b.len())) };
        let columns = self.gate.columns(&share.panels);
        let limit = self.op.limit.unwrap_or(f32::INFINITY);
        for (i, &place) in order.iter().enumerate() {
            let part = i * self.units + columns.start..i * self.units + columns.end;
            let (a, b, to) = (&a[part.clone()], &b[part], place as usize * self.units);
            // SAFETY: these columns of this row are the task's alone; the isa was checked by the device.
            unsafe {
                let out = out.slice(to + columns.start..to + columns.end);
                join(self.isa, self.op, limit, a, b, out);
            }
        }
    }
}

impl Kernel for GateUp {
    fn name(&self) -> String {
        format!("expert_gate_up/{}", self.gate.name())
    }

    fn scratch(&self) -> ScratchNeed {
        let [packed, scratch, product] = self.private();
        ScratchNeed { shared: 0, private: 4 * (packed + scratch + 2 * product) }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, ids, out) = (launch.read(&self.x), launch.read_i32(&self.ids), launch.output(&self.out));
        let assigned = Assignments::new(ids, self.gate.experts())?;
        let shares = assigned.shares(self.most, self.gate.panels(), self.threads);
        launch.pool().run(shares.len(), &|task| {
            let private = launch.scratch().private(task.thread);
            // SAFETY: the private part belongs to this thread.
            let private = unsafe { private.slice(0..private.len()) };
            self.compute(&shares[task.index], &assigned.order, x, private, &out);
        })?;
        Ok(())
    }
}

dispatch! {
    /// `out = clamp(b) · act(min(a))`.
    fn join(op: ExpertGateUp, limit: f32, a: &[f32], b: &[f32], out: &mut [f32]) = join_body;
}

#[inline(always)]
unsafe fn join_body<S: Simd>(s: S, op: ExpertGateUp, limit: f32, a: &[f32], b: &[f32], out: &mut [f32]) {
    let n = out.len();
    assert!(a.len() == n && b.len() == n);
    let (a, b, out) = (a.as_ptr(), b.as_ptr(), out.as_mut_ptr());
    let (high, low) = (s.splat(limit), s.splat(-limit));
    let mut i = 0;
    while i < n {
        let rest = n - i;
        // SAFETY: all three have n elements, and no more than the rest is touched.
        unsafe {
            let whole = rest >= S::LANES;
            let (x, y) = if whole {
                (s.load(a.add(i)), s.load(b.add(i)))
            } else {
                (s.load_some(a.add(i), rest), s.load_some(b.add(i), rest))
            };
            // The second operand is what is no number.
            let (x, y) = (s.min(high, x), s.max(low, s.min(high, y)));
            let z = s.mul(y, activate(s, op.activation, x));
            if whole {
                s.store(out.add(i), z);
            } else {
                s.store_some(out.add(i), z, rest);
            }
        }
        i += S::LANES;
    }
}
