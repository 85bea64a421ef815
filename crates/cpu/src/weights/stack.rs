//! The stacked weights of experts, laid out as those of any other product.
//!
//! Where each matrix is a whole number of panels the stack is one weight, whose memory is one piece with the huge pages that go with
//! its size. Otherwise a panel would belong to two matrices, and each has panels of its own.

use super::{Panels, bad, checked_row_bytes};
use crate::pool::Pool;
use crate::simd::tile::TileShape;
use crate::simd::{Bf16, Isa};
use mynah_device::{DeviceError, WeightBytes};
use mynah_tensor::Shape;

/// `[E, N, K]`, or `[E, 2N, K]` seen as pairs of matrices.
#[derive(Debug)]
pub(crate) struct Stack {
    matrices: Matrices,
    experts: usize,
    /// Matrices of an expert.
    each: usize,
    /// Rows and terms of a matrix.
    pub(crate) n: usize,
    pub(crate) k: usize,
}

#[derive(Debug)]
enum Matrices {
    /// One after the other.
    Joined(Panels),
    Apart(Vec<Panels>),
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
        let panels = |n: usize, bytes| {
            Panels::prepare(&WeightBytes { shape: Shape::from([n, k]), bytes, ..*weight }, isa, bf16, pool)
        };
        let matrices = if n.is_multiple_of(TileShape::of(isa).panel) {
            Matrices::Joined(panels(experts * rows, weight.bytes)?)
        } else {
            let matrix = |i: usize| panels(n, &weight.bytes[i * n * row_bytes..(i + 1) * n * row_bytes]);
            Matrices::Apart((0..experts * each).map(matrix).collect::<Result<_, _>>()?)
        };
        Ok(Self { matrices, experts, each, n, k })
    }

    /// The panels that matrix `part` of an expert, which must be there, is among, and the first of its own.
    pub(crate) fn matrix(&self, expert: usize, part: usize) -> (&Panels, usize) {
        let index = expert * self.each + part;
        match &self.matrices {
            Matrices::Joined(panels) => (panels, index * (self.n / panels.width)),
            Matrices::Apart(all) => (&all[index], 0),
        }
    }

    /// The panels of any matrix: all have one layout.
    pub(crate) fn sample(&self) -> Option<&Panels> {
        match &self.matrices {
            Matrices::Joined(panels) => Some(panels),
            Matrices::Apart(all) => all.first(),
        }
    }

    /// Experts.
    pub(crate) fn experts(&self) -> usize {
        self.experts
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        match &self.matrices {
            Matrices::Joined(panels) => panels.bytes(),
            Matrices::Apart(all) => all.iter().map(Panels::bytes).sum(),
        }
    }
}
