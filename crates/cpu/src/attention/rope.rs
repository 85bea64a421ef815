//! Rotary position embedding.
//!
//! Angles are taken in f64: at position 200000 an f32 product is off by a hundredth of a radian. A token's angles serve all its
//! heads.

use crate::elementwise::rows_per_task;
use crate::memory::ScratchNeed;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;
use mynah_graph::Rope;

struct Rotary {
    x: Operand,
    positions: Operand,
    out: Target,
    heads: usize,
    width: usize,
    /// Radians that each pair turns from one position to the next.
    frequencies: Vec<f64>,
    isa: Isa,
}

/// Compiles the embedding.
pub(crate) fn compile(bind: &Bind<'_>, op: Rope) -> Result<Box<dyn Kernel>, DeviceError> {
    let shape = bind.shape(0);
    Ok(Box::new(Rotary {
        x: bind.operand(0)?,
        positions: bind.operand(1)?,
        out: bind.target()?,
        heads: shape.dims()[2],
        width: shape.last(),
        frequencies: (0..op.dims / 2).map(|pair| op.frequency(pair)).collect(),
        isa: bind.isa(),
    }))
}

impl Kernel for Rotary {
    fn name(&self) -> String {
        format!("rope/{}", self.isa.name())
    }

    fn scratch(&self) -> ScratchNeed {
        ScratchNeed { shared: 0, private: 8 * self.frequencies.len() }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out) = (launch.read(&self.x), launch.output(&self.out));
        let positions = launch.read_i32(&self.positions);
        let (row, half) = (self.heads * self.width, self.frequencies.len());
        // A sine costs what some thirty elements do.
        let grain = rows_per_task(row + 32 * half);
        launch.pool().run(positions.len().div_ceil(grain), &|task| {
            let private = launch.scratch().private(task.thread);
            // SAFETY: a thread's scratch memory is its own during a task.
            let (sin, cos) = unsafe { private.slice(0..2 * half) }.split_at_mut(half);
            let first = task.index * grain;
            for (token, &position) in positions.iter().enumerate().skip(first).take(grain) {
                let position = f64::from(position);
                for ((sin, cos), frequency) in sin.iter_mut().zip(&mut *cos).zip(&self.frequencies) {
                    let (s, c) = (position * frequency).sin_cos();
                    (*sin, *cos) = (s as f32, c as f32);
                }
                let range = token * row..(token + 1) * row;
                // SAFETY: tokens are disjoint.
                unsafe {
                    let y = out.slice(range.clone());
                    y.copy_from_slice(&x[range]);
                    for head in y.chunks_exact_mut(self.width.max(1)) {
                        turn(self.isa, head, sin, cos);
                    }
                }
            }
        })?;
        Ok(())
    }
}

dispatch! {
    /// Turns the first `2 · sin.len()` channels of a head.
    fn turn(head: &mut [f32], sin: &[f32], cos: &[f32]) = turn_body;
}

#[inline(always)]
unsafe fn turn_body<S: Simd>(s: S, head: &mut [f32], sin: &[f32], cos: &[f32]) {
    let n = sin.len();
    let (first, second) = head[..2 * n].split_at_mut(n);
    let (a, b, sin, cos) = (first.as_mut_ptr(), second.as_mut_ptr(), sin.as_ptr(), cos[..n].as_ptr());
    // SAFETY: all four hold n elements.
    unsafe {
        let mut i = 0;
        while i + S::LANES <= n {
            let (x, y) = (s.load(a.add(i)), s.load(b.add(i)));
            let (sin, cos) = (s.load(sin.add(i)), s.load(cos.add(i)));
            s.store(a.add(i), s.sub(s.mul(x, cos), s.mul(y, sin)));
            s.store(b.add(i), s.add(s.mul(y, cos), s.mul(x, sin)));
            i += S::LANES;
        }
        let left = n - i;
        if left > 0 {
            let (x, y) = (s.load_some(a.add(i), left), s.load_some(b.add(i), left));
            let (sin, cos) = (s.load_some(sin.add(i), left), s.load_some(cos.add(i), left));
            s.store_some(a.add(i), s.sub(s.mul(x, cos), s.mul(y, sin)), left);
            s.store_some(b.add(i), s.add(s.mul(y, cos), s.mul(x, sin)), left);
        }
    }
}
