//! Tensors made of others without reading them: transposed, and weight norm folded.

use std::sync::Arc;

use mynah_tensor::TensorError;

use crate::source::Source;

/// A source that may be used in several tensors.
pub(super) struct Shared(pub(super) Arc<dyn Source>);

impl Source for Shared {
    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), TensorError> {
        self.0.read(start, out)
    }

    fn release(&self) {
        self.0.release();
    }
}

/// A matrix `[columns, rows]` of one `[rows, columns]`.
pub(super) struct Transposed {
    pub(super) source: Arc<dyn Source>,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Source for Transposed {
    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), TensorError> {
        let rows = self.rows.max(1);
        let (first, last) = (start / rows, (start + out.len()).div_ceil(rows));
        // One stretch of each row holds all its elements that are wanted.
        let mut stretch = vec![0.0; last.saturating_sub(first)];
        for row in 0..self.rows {
            self.source.read(row * self.columns + first, &mut stretch)?;
            for (column, &value) in (first..).zip(&stretch) {
                let place = (column * rows + row).checked_sub(start).and_then(|at| out.get_mut(at));
                if let Some(place) = place {
                    *place = value;
                }
            }
        }
        Ok(())
    }

    fn release(&self) {
        self.source.release();
    }
}

/// `magnitude · direction / ‖direction‖` with a norm for each index of the first dimension (torch's `weight_norm`).
pub(super) struct WeightNorm {
    pub(super) magnitude: Arc<dyn Source>,
    pub(super) direction: Arc<dyn Source>,
    /// Elements for each index of the first dimension.
    pub(super) row: usize,
}

impl Source for WeightNorm {
    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), TensorError> {
        let size = self.row.max(1);
        let mut row = vec![0.0; size];
        let (mut at, mut out) = (start, out);
        while !out.is_empty() {
            let (index, from) = (at / size, at % size);
            let len = (size - from).min(out.len());
            let (part, rest) = out.split_at_mut(len);
            self.direction.read(index * size, &mut row)?;
            let mut magnitude = [0.0];
            self.magnitude.read(index, &mut magnitude)?;
            let norm = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            let scale = f64::from(magnitude[0]) / norm;
            for (out, &value) in part.iter_mut().zip(row.get(from..).unwrap_or_default()) {
                *out = (f64::from(value) * scale) as f32;
            }
            (at, out) = (at + len, rest);
        }
        Ok(())
    }

    fn release(&self) {
        self.direction.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Values;

    fn parts_equal(source: &dyn Source, wanted: &[f32]) {
        for start in 0..wanted.len() {
            for len in 0..=wanted.len() - start {
                let mut out = vec![f32::NAN; len];
                source.read(start, &mut out).unwrap();
                assert_eq!(out, wanted[start..start + len], "{len} from {start}");
            }
        }
    }

    #[test]
    fn any_part_equals_the_whole() {
        let counting: Arc<dyn Source> = Arc::new(Values((0..6).map(|n| n as f32).collect()));
        let turned = Transposed { source: Arc::clone(&counting), rows: 2, columns: 3 };
        parts_equal(&turned, &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let direction: Arc<dyn Source> = Arc::new(Values(vec![3.0, 4.0, 0.0, -8.0, 0.0, 6.0]));
        let normed = WeightNorm { magnitude: Arc::new(Values(vec![5.0, 1.0])), direction, row: 3 };
        parts_equal(&normed, &[3.0, 4.0, 0.0, -0.8, 0.0, 0.6]);
    }
}
