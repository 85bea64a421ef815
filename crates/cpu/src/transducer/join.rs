//! The hidden layer of a transducer's joint for the next frames of each clip.

use super::cursor_number;
use crate::elementwise::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use mynah_device::DeviceError;
use mynah_graph::transducer::{LIMIT, TransducerJoin, cursor};

struct Join {
    op: TransducerJoin,
    predicted: Operand,
    rows: Operand,
    out: Target,
}

/// Compiles the op.
pub(crate) fn compile(bind: &Bind<'_>, op: &TransducerJoin) -> Result<Box<dyn Kernel>, DeviceError> {
    let (predicted, rows) = (bind.operand(0)?, bind.operand(1)?);
    Ok(Box::new(Join { op: *op, predicted, rows, out: bind.target()? }))
}

impl Kernel for Join {
    fn name(&self) -> String {
        "transducer_join".to_owned()
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (frames, cursors) = (launch.state(self.op.frames.0), launch.state(self.op.cursors.0));
        let (predicted, out) = (launch.read(&self.predicted), launch.output(&self.out));
        let (width, ahead) = (frames.row, self.op.ahead);
        let mut spans = Vec::new();
        for &row in launch.read_i32(&self.rows) {
            let first = Fault::check("state row", i64::from(row), cursors.rows)? * cursors.row;
            // SAFETY: nobody writes a state tensor during this step.
            let cursor = unsafe { cursors.data.slice(first..first + cursor::LEN) };
            spans.push([
                cursor_number(cursor[cursor::AT], LIMIT)?,
                cursor_number(cursor[cursor::END], frames.rows + 1)?,
            ]);
        }
        launch.pool().run_chunks(spans.len() * ahead, rows_per_task(width), &|range| {
            for row in range {
                let [at, end] = spans[row / ahead];
                let (frame, clip) = (at + row % ahead, row / ahead * width);
                let predicted = &predicted[clip..clip + width];
                // SAFETY: output rows are disjoint, and nobody writes the frames.
                let out = unsafe { out.slice(row * width..(row + 1) * width) };
                let relu = |x: f32| if x < 0.0 { 0.0 } else { x };
                if frame < end {
                    // SAFETY: as above.
                    let frame = unsafe { frames.data.slice(frame * width..(frame + 1) * width) };
                    let sums = frame.iter().zip(predicted).map(|(&f, &p)| relu(f + p));
                    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum);
                } else {
                    out.iter_mut().zip(predicted).for_each(|(out, &p)| *out = relu(p));
                }
            }
        })?;
        Ok(())
    }
}
