//! What can be wrong with a tensor before any arithmetic starts.

use crate::{DType, Shape};

/// A request about a tensor that cannot be met; every variant names the values that clash.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TensorError {
    /// More dimensions than [`crate::MAX_RANK`].
    #[error("a shape of {rank} dimensions; at most {} are supported", crate::MAX_RANK)]
    Rank {
        /// How many dimensions were given.
        rank: usize,
    },
    /// The product of the dimensions does not fit the address space.
    #[error("the shape {dims:?} has more elements than can be counted")]
    TooManyElements {
        /// The dimensions as given, outermost first.
        dims: Vec<usize>,
    },
    /// A block format whose rows would end in the middle of a block.
    #[error("a row of {len} elements is no multiple of the {}-element blocks of {dtype}", dtype.block_len())]
    PartialBlock {
        /// The format asked for.
        dtype: DType,
        /// Elements in the row.
        len: usize,
    },
    /// A byte buffer of the wrong size for the elements it should hold.
    #[error("{elements} elements of {dtype} take {expected} bytes, not {found}")]
    ByteLength {
        /// The format of the bytes.
        dtype: DType,
        /// Elements the buffer should hold.
        elements: usize,
        /// Bytes those elements take.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// A list of values of the wrong length for its shape.
    #[error("the shape {shape} holds {expected} elements, not {found}")]
    ElementCount {
        /// The shape asked for.
        shape: Shape,
        /// Elements of that shape.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// There is no encoder for this format.
    #[error("{dtype} can be read but not written")]
    NoEncoder {
        /// The format asked for.
        dtype: DType,
    },
    /// A value that no block scale can carry: not finite, or beyond the range of half-precision scales.
    #[error("element {index} is {value}, which {dtype} cannot represent")]
    Unrepresentable {
        /// The format asked for.
        dtype: DType,
        /// Position in the row.
        index: usize,
        /// The value there.
        value: f32,
    },
}
