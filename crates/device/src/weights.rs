//! Weights on their way from a model file to a device.

use crate::error::DeviceError;
use mynah_graph::{Node, Op, WeightSpec};
use mynah_tensor::{DType, Shape};

/// A weight's stored bytes.
#[derive(Clone, Copy, Debug)]
pub struct WeightBytes<'a> {
    /// The tensor's name.
    pub name: &'a str,
    /// Type of the elements.
    pub dtype: DType,
    /// Row-major shape.
    pub shape: Shape,
    /// The bytes as in the file, `shape.rows()` rows of `dtype.row_bytes(shape.last())`.
    pub bytes: &'a [u8],
}

/// Where weights come from: a mapped GGUF file, or tensors in memory.
pub trait WeightSource: Send + Sync {
    /// Name, type and shape of a weight.
    fn spec(&self, name: &str) -> Option<WeightSpec>;

    /// The weight's bytes.
    ///
    /// # Errors
    /// [`DeviceError::Weight`] when there is no such weight, [`DeviceError::Io`] when it can't be read.
    fn read(&self, name: &str) -> Result<WeightBytes<'_>, DeviceError>;

    /// The device has its own copy: the memory behind [`WeightSource::read`] may be given back.
    fn release(&self, name: &str);
}

/// How an op reads a weight; it decides the layout a device prepares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WeightUse {
    /// The `[N, K]` operand of a matrix product.
    MatMul,
    /// The kernel of a 2-D convolution.
    Conv2d,
    /// The kernel of a convolution over time.
    Conv1d,
    /// The kernel of a transposed convolution over time.
    ConvTranspose1d {
        /// Frames of the output for each of the input.
        stride: usize,
    },
    /// The kernel of a depthwise convolution over time.
    DepthwiseConv1d,
    /// A table read by row.
    Table,
    /// A stack `[E, N, K]` of which a token uses some of the matrices.
    Experts,
    /// A stack of two matrices each, `[E, 2N, K]`.
    ExpertPairs,
    /// Anything read element by element, as f32: gains, biases, statistics.
    Elements,
}

/// How `node` reads its operand number `operand`.
pub fn weight_use(node: &Node, operand: usize) -> WeightUse {
    match (&node.op, operand) {
        (Op::MatMul(_) | Op::MatMulAfter(..), 1) => WeightUse::MatMul,
        (Op::Conv2d(_), 1) => WeightUse::Conv2d,
        (Op::Conv1d(_), 1) => WeightUse::Conv1d,
        (Op::ConvTranspose1d(c), 1) => WeightUse::ConvTranspose1d { stride: c.stride },
        (Op::DepthwiseConv1d { .. } | Op::CausalConv1d(_), 1) => WeightUse::DepthwiseConv1d,
        (Op::Gather, 0) => WeightUse::Table,
        (Op::ExpertGateUp(g), 2) if g.fused => WeightUse::ExpertPairs,
        (Op::ExpertGateUp(_), 2 | 3) | (Op::ExpertDown, 3) => WeightUse::Experts,
        _ => WeightUse::Elements,
    }
}
