//! The element-wise part of an LSTM step; its matrix products are ordinary ones.

use crate::elementwise::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::math::{sigmoid, tanh};
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;

struct Lstm {
    gates: Operand,
    cell: Operand,
    out: Target,
    hidden: usize,
    isa: Isa,
}

/// Compiles an LSTM cell.
pub(crate) fn compile(bind: &Bind<'_>) -> Result<Box<dyn Kernel>, DeviceError> {
    let (gates, cell, out) = (bind.operand(0)?, bind.operand(1)?, bind.target()?);
    Ok(Box::new(Lstm { gates, cell, out, hidden: bind.shape(1).last(), isa: bind.isa() }))
}

impl Kernel for Lstm {
    fn name(&self) -> String {
        format!("lstm_cell/{}", self.isa.name())
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (gates, cell, h) = (launch.read(&self.gates), launch.read(&self.cell), self.hidden);
        let out = launch.output(&self.out);
        let rows = cell.len().checked_div(h).unwrap_or(0);
        launch.pool().run_chunks(rows, rows_per_task(16 * h), &|range| {
            for row in range {
                let (gates, cell) = (&gates[4 * row * h..4 * (row + 1) * h], &cell[row * h..(row + 1) * h]);
                // SAFETY: rows are disjoint.
                unsafe { step(self.isa, gates, cell, out.slice(2 * row * h..2 * (row + 1) * h)) };
            }
        })?;
        Ok(())
    }
}

dispatch! {
    /// One sequence's step: `gates [4H]`, `cell [H]`, `out [2H]`.
    fn step(gates: &[f32], cell: &[f32], out: &mut [f32]) = step_body;
}

#[inline(always)]
unsafe fn step_body<S: Simd>(s: S, gates: &[f32], cell: &[f32], out: &mut [f32]) {
    let h = cell.len();
    let (gates, cell, out) = (gates.as_ptr(), cell.as_ptr(), out.as_mut_ptr());
    let next = |i: S::F, f: S::F, g: S::F, o: S::F, c: S::F| {
        let c = s.fma(sigmoid(s, f), c, s.mul(sigmoid(s, i), tanh(s, g)));
        (s.mul(sigmoid(s, o), tanh(s, c)), c)
    };
    // SAFETY: the extents are those of the slices.
    unsafe {
        let mut at = 0;
        while at + S::LANES <= h {
            let gate = |n: usize| s.load(gates.add(n * h + at));
            let (hidden, c) = next(gate(0), gate(1), gate(2), gate(3), s.load(cell.add(at)));
            s.store(out.add(at), hidden);
            s.store(out.add(h + at), c);
            at += S::LANES;
        }
        let rest = h - at;
        if rest > 0 {
            let gate = |n: usize| s.load_some(gates.add(n * h + at), rest);
            let (hidden, c) = next(gate(0), gate(1), gate(2), gate(3), s.load_some(cell.add(at), rest));
            s.store_some(out.add(at), hidden, rest);
            s.store_some(out.add(h + at), c, rest);
        }
    }
}
