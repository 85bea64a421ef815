//! Zeroes the rows past each sequence's length.

use super::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use mynah_device::DeviceError;

struct MaskRows {
    x: Operand,
    lengths: Operand,
    out: Target,
    /// Rows of a sequence.
    time: usize,
    /// Elements of a row.
    row: usize,
}

/// Compiles a row mask.
pub(crate) fn compile(bind: &Bind<'_>) -> Result<Box<dyn Kernel>, DeviceError> {
    let dims = bind.shape(0);
    let (time, row) = (dims.dims()[1], dims.dims()[2..].iter().product());
    let (x, lengths) = (bind.operand_in_place(0)?, bind.operand(1)?);
    Ok(Box::new(MaskRows { x, lengths, out: bind.target()?, time, row }))
}

impl Kernel for MaskRows {
    fn name(&self) -> String {
        "mask_rows".to_owned()
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out) = (launch.view(&self.x), launch.output(&self.out));
        let lengths = launch.read_i32(&self.lengths);
        for &length in lengths {
            Fault::check("length", i64::from(length), self.time + 1)?;
        }
        let (time, row) = (self.time, self.row);
        if self.x.in_place() {
            // Only the rows to clear are touched, mostly few: not worth another thread.
            for (sequence, &length) in lengths.iter().enumerate() {
                let kept = sequence * time + length as usize;
                // SAFETY: one thread runs, and the operand is the output.
                unsafe { out.slice(kept * row..(sequence + 1) * time * row) }.fill(0.0);
            }
            return Ok(());
        }
        launch.pool().run_chunks(lengths.len() * time, rows_per_task(row), &|range| {
            for index in range {
                let kept = (index % time) < lengths[index / time] as usize;
                // SAFETY: rows are disjoint; the operand is other memory.
                unsafe {
                    let out = out.slice(index * row..(index + 1) * row);
                    if kept {
                        out.copy_from_slice(x.slice(index * row..(index + 1) * row));
                    } else {
                        out.fill(0.0);
                    }
                }
            }
        })?;
        Ok(())
    }
}
