//! Which layout a weight gets, decided by its type, shape and use alone, so that support can be checked without its bytes.
//!
//! A weight is one or more *planes*, each bound by itself: quantised blocks are taken apart into levels and scales, whose
//! strides suit 16-byte loads. Planes larger than a binding may be are cut by rows.

use super::taps;
use crate::caps::Capabilities;
use mynah_device::{Policy, WeightUse};
use mynah_tensor::{DType, LevelFormat, Shape};

/// How the elements of a matrix are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MatrixType {
    /// One plane of f32.
    F32,
    /// One plane of pairs of f16.
    F16,
    /// One plane of pairs of bf16.
    Bf16,
    /// Planes of quantised blocks, see [`super::matrix`].
    Blocks(DType),
}

/// A weight's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Layout {
    /// Row-major f32 elements in one plane.
    Elements,
    /// `[N, K]` for matrix products and for tables read by row.
    Matrix {
        /// How elements are stored.
        stored: MatrixType,
        /// Rows.
        n: usize,
        /// Elements of a row.
        k: usize,
    },
}

/// The layout of a weight.
pub(crate) fn plan(
    dtype: DType,
    shape: Shape,
    use_: WeightUse,
    _caps: &Capabilities,
    _policy: &Policy,
) -> Layout {
    match use_ {
        WeightUse::MatMul | WeightUse::Table | WeightUse::Experts | WeightUse::ExpertPairs => {
            let k = shape.last();
            let stored = match dtype {
                DType::F16 => MatrixType::F16,
                DType::BF16 => MatrixType::Bf16,
                t if LevelFormat::of(t).is_some() => MatrixType::Blocks(t),
                // Formats without evenly spaced levels are decoded.
                _ => MatrixType::F32,
            };
            Layout::Matrix { stored, n: shape.numel().checked_div(k).unwrap_or(0), k }
        }
        WeightUse::Conv1d | WeightUse::ConvTranspose1d { .. } => {
            // Blocks lie along the taps and are taken apart with them.
            let stored = match dtype {
                DType::F16 => MatrixType::F16,
                DType::BF16 => MatrixType::Bf16,
                _ => MatrixType::F32,
            };
            taps::Kernel::of(shape, use_).map_or(Layout::Elements, |kernel| Layout::Matrix {
                stored,
                n: kernel.rows(),
                k: kernel.row(),
            })
        }
        WeightUse::Conv2d | WeightUse::DepthwiseConv1d | WeightUse::Elements => Layout::Elements,
    }
}
