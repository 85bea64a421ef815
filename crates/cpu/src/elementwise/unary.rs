//! Functions of one element.

use super::GRAIN;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::math::activate;
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;
use mynah_graph::Activation;

/// What is done to an element.
#[derive(Clone, Copy, Debug)]
enum Function {
    Activate(Activation),
    Scale(f32),
    Clamp([f32; 2]),
}

struct Unary {
    x: Operand,
    out: Target,
    function: Function,
    isa: Isa,
}

/// Compiles an activation.
pub(crate) fn compile_unary(bind: &Bind<'_>, f: Activation) -> Result<Box<dyn Kernel>, DeviceError> {
    compile(bind, Function::Activate(f))
}

/// Compiles a product with a constant.
pub(crate) fn compile_scale(bind: &Bind<'_>, factor: f32) -> Result<Box<dyn Kernel>, DeviceError> {
    compile(bind, Function::Scale(factor))
}

/// Compiles bounds.
pub(crate) fn compile_clamp(bind: &Bind<'_>, bounds: [f32; 2]) -> Result<Box<dyn Kernel>, DeviceError> {
    compile(bind, Function::Clamp(bounds))
}

fn compile(bind: &Bind<'_>, function: Function) -> Result<Box<dyn Kernel>, DeviceError> {
    let (x, out) = (bind.operand_in_place(0)?, bind.target()?);
    Ok(Box::new(Unary { x, out, function, isa: bind.isa() }))
}

impl Kernel for Unary {
    fn name(&self) -> String {
        match self.function {
            Function::Activate(f) => format!("{}/{}", f.name(), self.isa.name()),
            Function::Scale(_) => format!("scale/{}", self.isa.name()),
            Function::Clamp(_) => format!("clamp/{}", self.isa.name()),
        }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out) = (launch.view(&self.x), launch.output(&self.out));
        launch.pool().run_chunks(out.len(), GRAIN, &|range| {
            out.at(range.end);
            x.at(range.end);
            // SAFETY: ranges are disjoint and were just checked against both views.
            unsafe { apply(self.isa, self.function, x.at(range.start), out.at(range.start), range.len()) };
        })?;
        Ok(())
    }
}

dispatch! {
    /// Writes the function of `n` elements; `x` and `y` may be the same memory.
    fn apply(f: Function, x: *const f32, y: *mut f32, n: usize) = apply_body;
}

#[inline(always)]
fn of<S: Simd>(s: S, f: Function, x: S::F) -> S::F {
    match f {
        Function::Activate(f) => activate(s, f, x),
        Function::Scale(factor) => s.mul(x, s.splat(factor)),
        // The element stands second, so that what is no number stays none.
        Function::Clamp([min, max]) => s.min(s.splat(max), s.max(s.splat(min), x)),
    }
}

#[inline(always)]
unsafe fn apply_body<S: Simd>(s: S, f: Function, x: *const f32, y: *mut f32, n: usize) {
    // SAFETY: the caller's pointers cover n elements.
    unsafe {
        let mut i = 0;
        while i + S::LANES <= n {
            s.store(y.add(i), of(s, f, s.load(x.add(i))));
            i += S::LANES;
        }
        if i < n {
            s.store_some(y.add(i), of(s, f, s.load_some(x.add(i), n - i)), n - i);
        }
    }
}
