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
    pub(super) fn step(gates: &[f32], cell: &[f32], out: &mut [f32]) = step_body;
}

/// The next hidden and cell state.
#[inline(always)]
fn next<S: Simd>(s: S, gates: [S::F; 4], cell: S::F) -> (S::F, S::F) {
    let [input, forget, candidate, output] = gates;
    let kept = s.mul(sigmoid(s, input), tanh(s, candidate));
    let cell = s.fma(sigmoid(s, forget), cell, kept);
    (s.mul(sigmoid(s, output), tanh(s, cell)), cell)
}

#[inline(always)]
unsafe fn step_body<S: Simd>(s: S, gates: &[f32], cell: &[f32], out: &mut [f32]) {
    let h = cell.len();
    let (cell, out) = (cell.as_ptr(), out.as_mut_ptr());
    // SAFETY: the extents are those of the slices.
    unsafe {
        let (i, f) = (gates.as_ptr(), gates.as_ptr().add(h));
        let (g, o) = (gates.as_ptr().add(2 * h), gates.as_ptr().add(3 * h));
        let mut at = 0;
        while at + S::LANES <= h {
            let gates = [s.load(i.add(at)), s.load(f.add(at)), s.load(g.add(at)), s.load(o.add(at))];
            let (hidden, c) = next(s, gates, s.load(cell.add(at)));
            s.store(out.add(at), hidden);
            s.store(out.add(h + at), c);
            at += S::LANES;
        }
        let n = h - at;
        if n > 0 {
            let (i, f) = (s.load_some(i.add(at), n), s.load_some(f.add(at), n));
            let (g, o) = (s.load_some(g.add(at), n), s.load_some(o.add(at), n));
            let (hidden, c) = next(s, [i, f, g, o], s.load_some(cell.add(at), n));
            s.store_some(out.add(at), hidden, n);
            s.store_some(out.add(h + at), c, n);
        }
    }
}
