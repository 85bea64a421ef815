//! What can be wrong with a GGUF file, each with the key, tensor or offset it is about.

use std::path::PathBuf;

use mynah_tensor::{DType, Shape};

use crate::ValueType;

/// A file that cannot be read, believed, used as asked, or written.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the fields are what the messages print
pub enum GgufError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// Writing to a stream failed.
    #[error("writing {what}: {source}")]
    Write { what: String, source: std::io::Error },
    /// Something else altogether.
    #[error("not a GGUF file: it starts with \"{}\"", magic.escape_ascii())]
    NotGguf { magic: Vec<u8> },
    /// A ggml file from before GGUF, for example one made for whisper.cpp.
    #[error("an old ggml file (it starts with \"{}\"), not GGUF; convert the original model again", magic.escape_ascii())]
    LegacyGgml { magic: Vec<u8> },
    /// A file for big-endian machines.
    #[error("a big-endian GGUF file (version {version}); only little-endian files are read")]
    BigEndian { version: u32 },
    /// Neither version 2 nor 3.
    #[error("GGUF version {version}; versions 2 and 3 are read")]
    UnsupportedVersion { version: u32 },
    /// The file ends too early.
    #[error("the file ends inside {what}: {needed} bytes wanted at offset {offset}, {available} there")]
    Truncated { what: String, offset: u64, needed: u64, available: u64 },
    /// A count that the rest of the file cannot hold.
    #[error(
        "{count} {what} announced at offset {offset}, more than the remaining {available} bytes can hold"
    )]
    AbsurdCount { what: String, count: u64, offset: u64, available: u64 },
    /// A string longer than the rest of the file.
    #[error("{what} is a string of {length} bytes at offset {offset}, where {available} are left")]
    StringTooLong { what: String, length: u64, offset: u64, available: u64 },
    /// A string in some other encoding.
    #[error("{what} at offset {offset} is not UTF-8")]
    NotUtf8 { what: String, offset: u64 },
    /// A metadata type number that does not exist.
    #[error("key {key:?} has the unknown value type {found}")]
    UnknownValueType { key: String, found: u32 },
    /// Arrays of arrays of arrays, beyond reason.
    #[error("key {key:?} nests arrays deeper than {limit} levels")]
    NestingTooDeep { key: String, limit: usize },
    /// Two values for one key.
    #[error("key {key:?} occurs twice")]
    DuplicateKey { key: String },
    /// Two tensors of one name.
    #[error("tensor {tensor:?} occurs twice")]
    DuplicateTensor { tensor: String },
    /// An alignment that is no power of two, or of more than a gigabyte.
    #[error("general.alignment is {alignment}, which is no power of two up to 2^30")]
    BadAlignment { alignment: u64 },
    /// More dimensions than any tensor has.
    #[error("tensor {tensor:?} has {rank} dimensions; at most 4 are possible")]
    TooManyDimensions { tensor: String, rank: u32 },
    /// A tensor of no elements.
    #[error("tensor {tensor:?} has a zero among its dimensions {dims:?}")]
    ZeroDimension { tensor: String, dims: Vec<u64> },
    /// More elements or bytes than can be counted.
    #[error("tensor {tensor:?} has dimensions {dims:?}, more than can be counted")]
    SizeOverflow { tensor: String, dims: Vec<u64> },
    /// Rows that end inside a block.
    #[error("tensor {tensor:?} has rows of {len} elements, no multiple of the {} of a {dtype} block", dtype.block_len())]
    PartialBlock { tensor: String, dtype: DType, len: usize },
    /// An offset off the alignment.
    #[error(
        "tensor {tensor:?} starts at offset {offset} of the data, no multiple of the alignment {alignment}"
    )]
    Misaligned { tensor: String, offset: u64, alignment: u64 },
    /// Data beyond the end of the file.
    #[error(
        "tensor {tensor:?} takes {nbytes} bytes at offset {offset} of the data, which is {available} bytes long"
    )]
    OutOfRange { tensor: String, offset: u64, nbytes: u64, available: u64 },
    /// Two tensors share bytes.
    #[error("tensors {first:?} and {second:?} overlap at offset {offset} of the data")]
    Overlap { first: String, second: String, offset: u64 },
    /// A tensor type that this program cannot read.
    #[error("tensor {tensor:?} has the type number {ggml_id}, which is not supported")]
    UnknownTensorType { tensor: String, ggml_id: u32 },
    /// A key of another type than asked for.
    #[error("key {key:?} should be {wanted}, but is {found}")]
    WrongType { key: String, wanted: &'static str, found: ValueType },
    /// An integer too large or too small for what is asked.
    #[error("key {key:?} is {value}, which does not fit {wanted}")]
    ValueOutOfRange { key: String, wanted: &'static str, value: i128 },
    /// A key that has to be there. For callers of the getters, whose answer is `None`.
    #[error("key {key:?} is missing")]
    MissingKey { key: String },
    /// A tensor that has to be there.
    #[error("tensor {tensor:?} is missing")]
    MissingTensor { tensor: String },
    /// A tensor of another shape than asked for.
    #[error("tensor {tensor:?} should have the shape {wanted}, but has {found}")]
    WrongShape { tensor: String, wanted: Shape, found: Shape },
    /// The data given for a tensor has the wrong length (writing).
    #[error("tensor {tensor:?} takes {expected} bytes, but {found} were written")]
    DataLength { tensor: String, expected: u64, found: u64 },
}
