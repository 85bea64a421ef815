//! One operand times a function of another: the gated units of feed-forward layers, attention outputs and norms.

use super::GRAIN;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::math::activate;
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;
use mynah_graph::Activation;

struct Gated {
    f: Activation,
    a: Operand,
    b: Operand,
    out: Target,
    isa: Isa,
}

/// Compiles a gated unit.
pub(crate) fn compile(bind: &Bind<'_>, f: Activation) -> Result<Box<dyn Kernel>, DeviceError> {
    let (a, b) = (bind.operand_in_place(0)?, bind.operand_in_place(1)?);
    Ok(Box::new(Gated { f, a, b, out: bind.target()?, isa: bind.isa() }))
}

impl Kernel for Gated {
    fn name(&self) -> String {
        format!("gated_{}/{}", self.f.name(), self.isa.name())
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (a, b, out) = (launch.view(&self.a), launch.view(&self.b), launch.output(&self.out));
        launch.pool().run_chunks(out.len(), GRAIN, &|range| {
            let (from, to) = (range.start, range.end);
            a.at(to);
            b.at(to);
            out.at(to);
            // SAFETY: ranges are disjoint and were just checked against all three views.
            unsafe { gate(self.isa, self.f, a.at(from), b.at(from), out.at(from), range.len()) };
        })?;
        Ok(())
    }
}

dispatch! {
    /// Writes `a · f(b)` for `n` elements; `y` may be either operand.
    fn gate(f: Activation, a: *const f32, b: *const f32, y: *mut f32, n: usize) = gate_body;
}

#[inline(always)]
unsafe fn gate_body<S: Simd>(s: S, f: Activation, a: *const f32, b: *const f32, y: *mut f32, n: usize) {
    // SAFETY: the caller's pointers cover n elements.
    unsafe {
        let mut i = 0;
        while i + S::LANES <= n {
            s.store(y.add(i), s.mul(s.load(a.add(i)), activate(s, f, s.load(b.add(i)))));
            i += S::LANES;
        }
        if i < n {
            let (a, b) = (s.load_some(a.add(i), n - i), s.load_some(b.add(i), n - i));
            s.store_some(y.add(i), s.mul(a, activate(s, f, b)), n - i);
        }
    }
}
