//! Moves each clip along its window of frames up to the first token, and logs that.

use super::cursor_number;
use crate::norm::first_largest;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use mynah_device::DeviceError;
use mynah_graph::transducer::{LIMIT, TransducerAdvance, cursor, entry};
use std::collections::HashSet;

struct Advance {
    op: TransducerAdvance,
    logits: Operand,
    rows: Operand,
    out: Target,
    ahead: usize,
}

/// Compiles the op.
pub(crate) fn compile(bind: &Bind<'_>, op: &TransducerAdvance) -> Result<Box<dyn Kernel>, DeviceError> {
    let &[_, ahead, _] = bind.shape(0).dims() else {
        return Err(bind.misplaced("logits have no three dimensions"));
    };
    let (logits, rows) = (bind.operand(0)?, bind.operand(1)?);
    Ok(Box::new(Advance { op: op.clone(), logits, rows, out: bind.target()?, ahead }))
}

impl Kernel for Advance {
    fn name(&self) -> String {
        "transducer_advance".to_owned()
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let cursors = launch.state(self.op.cursors.0);
        let (logits, out) = (launch.read(&self.logits), launch.output(&self.out));
        let mut seen = HashSet::new();
        let mut rows = Vec::new();
        // Everything is checked before anything is written.
        for &row in launch.read_i32(&self.rows) {
            let row = Fault::check("state row", i64::from(row), cursors.rows)?;
            if !seen.insert(row) {
                return Err(Fault::Twice { what: "state row", found: row as i64 });
            }
            // SAFETY: nobody writes yet.
            let numbers = unsafe { cursors.data.slice(row * cursors.row..(row + 1) * cursors.row) };
            for column in [cursor::AT, cursor::END, cursor::SYMBOLS, cursor::LOGGED] {
                cursor_number(numbers[column], LIMIT)?;
            }
            rows.push(row);
        }
        let outputs = self.op.labels() + self.op.durations.len();
        launch.pool().run(rows.len(), &|task| {
            let (clip, row, len) = (task.index, rows[task.index], cursors.row);
            // SAFETY: tasks have rows of their own, of the state as of the output.
            let (row, out) = unsafe {
                (cursors.data.slice(row * len..(row + 1) * len), out.slice(clip * len..(clip + 1) * len))
            };
            let window = self.ahead * outputs;
            self.walk(row, &logits[clip * window..(clip + 1) * window], outputs);
            out.copy_from_slice(row);
        })?;
        Ok(())
    }
}

impl Advance {
    fn walk(&self, row: &mut [f32], window: &[f32], outputs: usize) {
        // Whole numbers below 2^24, checked before; a step takes them up to twice that at most, which f32 rounds at worst, and the next
        // round refuses it.
        let (start, end) = (row[cursor::AT] as usize, row[cursor::END] as usize);
        let (mut at, mut symbols) = (start, row[cursor::SYMBOLS] as usize);
        row[cursor::PENDING] = 0.0;
        while at < end && at - start < self.ahead {
            let (labels, durations) =
                window[(at - start) * outputs..(at - start + 1) * outputs].split_at(self.op.labels());
            let token = first_largest(labels);
            let emitted = token != self.op.blank;
            // RNN-T: a token stays at its frame, a blank moves on by one.
            let duration = if durations.is_empty() { 0 } else { self.op.durations[first_largest(durations)] };
            if emitted {
                let logged = row[cursor::LOGGED] as usize;
                let entries = (row.len() - cursor::LEN) / entry::LEN;
                let entry = &mut row[cursor::LEN + logged % entries * entry::LEN..][..entry::LEN];
                entry[entry::TOKEN] = token as f32;
                entry[entry::FRAME] = at as f32;
                entry[entry::DURATION] = if durations.is_empty() { 1.0 } else { duration as f32 };
                entry[entry::CONFIDENCE] = confidence(labels, token);
                row[cursor::LOGGED] = (logged + 1) as f32;
                (row[cursor::TOKEN], row[cursor::PENDING]) = (token as f32, 1.0);
                symbols += 1;
            }
            // A blank always moves on; a token by its duration, or at the latest after `max_symbols`.
            let step = match (emitted, duration) {
                (false, duration) => duration.max(1),
                (true, 0) if symbols >= self.op.max_symbols => 1,
                (true, duration) => duration,
            };
            if step > 0 {
                at += step;
                symbols = 0;
            }
            if emitted {
                break;
            }
        }
        (row[cursor::AT], row[cursor::SYMBOLS]) = (at as f32, symbols as f32);
    }
}

/// NeMo's rescaling of a label's softmax probability: a uniform guess gives 0.
fn confidence(labels: &[f32], token: usize) -> f32 {
    let top = f64::from(labels.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = labels.iter().map(|&l| (f64::from(l) - top).exp()).sum();
    let n = labels.len() as f64;
    let p = (f64::from(labels[token]) - top).exp() / sum;
    ((n * p - 1.0) / (n - 1.0)).clamp(0.0, 1.0) as f32
}
