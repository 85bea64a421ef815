//! The index of the largest element of each row.

use crate::elementwise::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use mynah_device::DeviceError;

struct Argmax {
    x: Operand,
    out: Target,
    width: usize,
}

/// Compiles an argmax.
pub(crate) fn compile(bind: &Bind<'_>) -> Result<Box<dyn Kernel>, DeviceError> {
    let (x, out) = (bind.operand(0)?, bind.target()?);
    Ok(Box::new(Argmax { x, out, width: bind.shape(0).last() }))
}

impl Kernel for Argmax {
    fn name(&self) -> String {
        "argmax".to_owned()
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out, width) = (launch.read(&self.x), launch.output(&self.out), self.width);
        launch.pool().run_chunks(out.len(), rows_per_task(width), &|range| {
            for row in range {
                let index = first_largest(&x[row * width..(row + 1) * width]);
                // SAFETY: rows are disjoint; the output holds 32-bit integers.
                unsafe { bytemuck::cast_slice_mut(out.slice(row..row + 1)).fill(index as i32) };
            }
        })?;
        Ok(())
    }
}

/// The first index of the largest element; what is no number is never the largest.
pub(crate) fn first_largest(row: &[f32]) -> usize {
    /// Short runs the compiler turns into vectors of maxima; only the best run is searched for its element.
    const RUN: usize = 64;
    let top_of = |run: &[f32]| run.iter().fold(f32::NEG_INFINITY, |top, &x| if x > top { x } else { top });
    let (mut best, mut top) = (0, f32::NEG_INFINITY);
    for (i, run) in row.chunks(RUN).enumerate() {
        let found = top_of(run);
        if found > top {
            (best, top) = (i * RUN, found);
        }
    }
    // Nothing is above negative infinity: the index of nothing is 0, wherever an infinity stands.
    if top == f32::NEG_INFINITY {
        return 0;
    }
    best + row[best.min(row.len())..].iter().position(|&x| x == top).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::first_largest;

    #[test]
    fn the_first_of_equals_wins() {
        let mut row = vec![0.0; 300];
        row[70] = 5.0;
        row[71] = 5.0;
        row[200] = 5.0;
        assert_eq!(first_largest(&row), 70);
        row[0] = f32::NAN;
        assert_eq!(first_largest(&row), 70);
        assert_eq!(first_largest(&[f32::NEG_INFINITY; 3]), 0);
        assert_eq!(first_largest(&[f32::NAN, f32::NEG_INFINITY]), 0);
        assert_eq!(first_largest(&[f32::NAN, -1.0]), 1);
        assert_eq!(first_largest(&[f32::INFINITY, 1.0]), 0);
    }
}
