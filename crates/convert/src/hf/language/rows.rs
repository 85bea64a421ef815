//! Tensors made of other tensors without reading them: rows of several in an order, columns in an order, and a formula
//! for every value.

use std::ops::Range;
use std::sync::Arc;

use mynah_tensor::TensorError;

use crate::source::Source;

/// Consecutive rows of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// Which of the tensors.
    pub(super) source: usize,
    /// Its rows.
    pub(super) rows: Range<usize>,
}

/// Runs of rows under one another.
pub(super) struct Rows {
    sources: Vec<Arc<dyn Source>>,
    runs: Vec<Run>,
    /// Rows before each run.
    before: Vec<usize>,
    /// Values in a row, at least one.
    width: usize,
}

impl Rows {
    /// Rows of `width` values, run after run.
    pub(super) fn new(sources: Vec<Arc<dyn Source>>, runs: Vec<Run>, width: usize) -> Rows {
        let mut total = 0;
        let before = runs.iter().map(|run| {
            let before = total;
            total += run.rows.len();
            before
        });
        let before = before.collect();
        Rows { sources, runs, before, width: width.max(1) }
    }
}

impl Source for Rows {
    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), TensorError> {
        let (mut at, mut out) = (start, out);
        while !out.is_empty() {
            let (row, offset) = (at / self.width, at % self.width);
            // The last run that begins at or before the row.
            let index = self.before.partition_point(|&before| before <= row).saturating_sub(1);
            let (Some(run), Some(before)) = (self.runs.get(index), self.before.get(index)) else { break };
            let Some(left) = (before + run.rows.len()).checked_sub(row).filter(|&left| left > 0) else {
                break;
            };
            let len = (left * self.width - offset).min(out.len());
            let (part, rest) = out.split_at_mut(len);
            let first = (run.rows.start + row - before) * self.width + offset;
            if let Some(source) = self.sources.get(run.source) {
                source.read(first, part)?;
            }
            (at, out) = (at + len, rest);
        }
        Ok(())
    }

    fn release(&self) {
        self.sources.iter().for_each(|source| source.release());
    }
}

/// Columns in another order: groups of `width`, of which `order` says where each comes from.
pub(super) struct Columns {
    pub(super) source: Arc<dyn Source>,
    pub(super) order: Vec<usize>,
    pub(super) width: usize,
}

impl Source for Columns {
    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), TensorError> {
        let row = (self.order.len() * self.width).max(1);
        let mut values = vec![0.0; row];
        let (mut at, mut out) = (start, out);
        while !out.is_empty() {
            let offset = at % row;
            self.source.read(at - offset, &mut values)?;
            let len = (row - offset).min(out.len());
            let (part, rest) = out.split_at_mut(len);
            for (column, out) in (offset..).zip(part) {
                let from =
                    self.order.get(column / self.width).map(|group| group * self.width + column % self.width);
                *out = from.and_then(|from| values.get(from)).copied().unwrap_or_default();
            }
            (at, out) = (at + len, rest);
        }
        Ok(())
    }

    fn release(&self) {
        self.source.release();
    }
}

/// A formula for every value.
pub(super) struct Mapped {
    pub(super) source: Arc<dyn Source>,
    pub(super) formula: fn(f32) -> f32,
}

impl Source for Mapped {
    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), TensorError> {
        self.source.read(start, out)?;
        out.iter_mut().for_each(|value| *value = (self.formula)(*value));
        Ok(())
    }

    fn release(&self) {
        self.source.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Values;

    fn counting(count: usize) -> Arc<dyn Source> {
        Arc::new(Values((0..count).map(|n| n as f32).collect()))
    }

    #[test]
    fn any_part_equals_the_whole() {
        let runs =
            vec![Run { source: 0, rows: 2..4 }, Run { source: 1, rows: 0..1 }, Run { source: 0, rows: 0..1 }];
        let rows: Arc<dyn Source> = Arc::new(Rows::new(vec![counting(12), counting(3)], runs, 3));
        let columns = Columns { source: Arc::clone(&rows), order: vec![2, 0, 1], width: 1 };
        let (wanted, turned) =
            ([6, 7, 8, 9, 10, 11, 0, 1, 2, 0, 1, 2], [8, 6, 7, 11, 9, 10, 2, 0, 1, 2, 0, 1]);
        for (source, wanted) in [(&*rows, wanted), (&columns as &dyn Source, turned)] {
            for start in 0..12 {
                for len in 0..=12 - start {
                    let mut out = vec![-1.0; len];
                    source.read(start, &mut out).unwrap();
                    let wanted: Vec<f32> = wanted[start..start + len].iter().map(|&n| n as f32).collect();
                    assert_eq!(out, wanted, "{len} from {start}");
                }
            }
        }
    }
}
