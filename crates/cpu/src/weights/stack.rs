//! The stacked weights of experts: panels of their own for each, laid out as those of any other product.

use super::{Panels, bad, checked_row_bytes};
use crate::pool::Pool;
use crate::simd::{Bf16, Isa};
use mynah_device::{DeviceError, WeightBytes};
use mynah_tensor::Shape;

/// `[E, N, K]`, or `[E, 2N, K]` seen as pairs of matrices.
#[derive(Debug)]
pub(crate) struct Stack {
    matrices: Vec<Panels>,
    /// Matrices of an expert.
    each: usize,
    /// Rows and terms of a matrix.
    pub(crate) n: usize,
    pub(crate) k: usize,
}

impl Stack {
    /// Brings a stack with `each` matrices to an expert into panels.
    pub(crate) fn prepare(
        weight: &WeightBytes<'_>,
        each: usize,
        isa: Isa,
        bf16: Option<Bf16>,
        pool: &Pool,
    ) -> Result<Self, DeviceError> {
        let row_bytes = checked_row_bytes(weight)?;
        let &[experts, rows, k] = weight.shape.dims() else {
            return Err(bad(weight, format!("a stack of experts is [E, N, K], not {}", weight.shape)));
        };
        if !rows.is_multiple_of(each) {
            return Err(bad(weight, format!("{rows} rows are no {each} matrices")));
        }
        let n = rows / each;
        let bytes = n * row_bytes;
        let matrix = |i: usize| {
            let bytes = &weight.bytes[i * bytes..(i + 1) * bytes];
            Panels::prepare(&WeightBytes { shape: Shape::from([n, k]), bytes, ..*weight }, isa, bf16, pool)
        };
        let matrices = (0..experts * each).map(matrix).collect::<Result<_, _>>()?;
        Ok(Self { matrices, each, n, k })
    }

    /// Matrix `part` of an expert, which must be there.
    pub(crate) fn matrix(&self, expert: usize, part: usize) -> &Panels {
        &self.matrices[expert * self.each + part]
    }

    /// Any matrix: all have one layout.
    pub(crate) fn sample(&self) -> Option<&Panels> {
        self.matrices.first()
    }

    /// Experts.
    pub(crate) fn experts(&self) -> usize {
        self.matrices.len() / self.each
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.matrices.iter().map(Panels::bytes).sum()
    }
}
