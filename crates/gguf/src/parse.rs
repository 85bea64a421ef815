//! The table of contents of a file, read and checked.
//!
//! ```text
//! "GGUF" version:u32 n_tensors:u64 n_keys:u64
//! n_keys    × ( key:string type:u32 value )
//! n_tensors × ( name:string rank:u32 dims:u64×rank type:u32 offset:u64 )
//! padding to the alignment, then the data section that the offsets count from
//! ```
//! Memory taken is a small multiple of the bytes read: a count from the file never decides an allocation before the
//! remaining bytes are known to hold that many entries.

use mynah_tensor::{DType, MAX_RANK, Shape};

use crate::cursor::{Cursor, Fault};
use crate::index::NameIndex;
use crate::metadata::Metadata;
use crate::{Array, DEFAULT_ALIGNMENT, GgufError, TensorInfo, Value, ValueType};

/// Deeper nesting has no use, and recursion needs a limit.
const MAX_NESTING: usize = 8;
/// A key: its length, its type, one byte of value.
const LEAST_KEY_BYTES: usize = 8 + 4 + 1;
/// A tensor: the length of its name, rank, type, offset.
const LEAST_TENSOR_BYTES: usize = 8 + 4 + 4 + 8;

/// Everything before the data section.
#[derive(Debug, Clone)]
pub(crate) struct Contents {
    pub(crate) version: u32,
    pub(crate) alignment: u64,
    pub(crate) metadata: Metadata,
    pub(crate) tensors: Vec<TensorInfo>,
    pub(crate) tensor_index: NameIndex,
    /// Where the data section starts in the file.
    pub(crate) data_start: u64,
}

/// Reads and checks the table of contents of a whole file.
pub(crate) fn parse(bytes: &[u8]) -> Result<Contents, GgufError> {
    let mut cursor = Cursor::new(bytes);
    let version = header(&mut cursor)?;
    let in_header = |fault: Fault| fault.of("the header");
    let n_tensors = cursor.u64().map_err(in_header)?;
    let n_keys = cursor.u64().map_err(in_header)?;
    let metadata = keys(&mut cursor, n_keys)?;
    let alignment = alignment_of(&metadata)?;
    let n_tensors = believable(&cursor, n_tensors, LEAST_TENSOR_BYTES, || "tensors".to_owned())?;
    let mut tensors = Vec::with_capacity(n_tensors);
    for position in 0..n_tensors {
        tensors.push(tensor(&mut cursor, position)?);
    }
    let tensor_index = NameIndex::new(tensors.len(), |i| tensors[i].name.as_str())
        .map_err(|i| GgufError::DuplicateTensor { tensor: tensors[i].name.clone() })?;
    let data_start = cursor.offset().next_multiple_of(alignment);
    check_layout(&tensors, alignment, (bytes.len() as u64).saturating_sub(data_start))?;
    Ok(Contents { version, alignment, metadata, tensors, tensor_index, data_start })
}

fn header(cursor: &mut Cursor<'_>) -> Result<u32, GgufError> {
    let magic = cursor.array::<4>().map_err(|fault| fault.of("the header"))?;
    match &magic {
        b"GGUF" => {}
        // The older formats of the same family, whose first word reads backwards in the file.
        b"lmgg" | b"fmgg" | b"tjgg" | b"algg" => {
            return Err(GgufError::LegacyGgml { magic: magic.to_vec() });
        }
        _ => return Err(GgufError::NotGguf { magic: magic.to_vec() }),
    }
    let version = cursor.u32().map_err(|fault| fault.of("the header"))?;
    match version {
        2 | 3 => Ok(version),
        v if v != 0 && v & 0xffff == 0 => Err(GgufError::BigEndian { version: v.swap_bytes() }),
        _ => Err(GgufError::UnsupportedVersion { version }),
    }
}

/// Checks a count against the bytes that are left, given the fewest bytes an entry can take.
fn believable(
    cursor: &Cursor<'_>,
    count: u64,
    least_bytes: usize,
    what: impl Fn() -> String,
) -> Result<usize, GgufError> {
    let available = cursor.remaining();
    match usize::try_from(count) {
        Ok(n) if n <= available / least_bytes => Ok(n),
        _ => Err(GgufError::AbsurdCount {
            what: what(),
            count,
            offset: cursor.offset(),
            available: available as u64,
        }),
    }
}

fn keys(cursor: &mut Cursor<'_>, count: u64) -> Result<Metadata, GgufError> {
    let count = believable(cursor, count, LEAST_KEY_BYTES, || "metadata keys".to_owned())?;
    let mut entries = Vec::with_capacity(count);
    for position in 0..count {
        let key = cursor.string().map_err(|fault| fault.of(format!("the name of key {position}")))?;
        let value = value(cursor, key)?;
        entries.push((key.to_owned(), value));
    }
    Metadata::new(entries)
}

fn value_type(cursor: &mut Cursor<'_>, key: &str) -> Result<ValueType, GgufError> {
    let found = cursor.u32().map_err(|fault| fault.of(format!("the value of key {key:?}")))?;
    ValueType::from_id(found).ok_or_else(|| GgufError::UnknownValueType { key: key.to_owned(), found })
}

fn value(cursor: &mut Cursor<'_>, key: &str) -> Result<Value, GgufError> {
    let kind = value_type(cursor, key)?;
    let read = match kind {
        ValueType::U8 => cursor.array().map(|[b]| Value::U8(b)),
        ValueType::I8 => cursor.array().map(|b| Value::I8(i8::from_le_bytes(b))),
        ValueType::U16 => cursor.array().map(|b| Value::U16(u16::from_le_bytes(b))),
        ValueType::I16 => cursor.array().map(|b| Value::I16(i16::from_le_bytes(b))),
        ValueType::U32 => cursor.u32().map(Value::U32),
        ValueType::I32 => cursor.array().map(|b| Value::I32(i32::from_le_bytes(b))),
        ValueType::F32 => cursor.array().map(|b| Value::F32(f32::from_le_bytes(b))),
        ValueType::Bool => cursor.array().map(|[b]| Value::Bool(b != 0)),
        ValueType::String => cursor.string().map(Value::from),
        ValueType::Array => return array(cursor, key, 1).map(Value::Array),
        ValueType::U64 => cursor.u64().map(Value::U64),
        ValueType::I64 => cursor.array().map(|b| Value::I64(i64::from_le_bytes(b))),
        ValueType::F64 => cursor.array().map(|b| Value::F64(f64::from_le_bytes(b))),
    };
    read.map_err(|fault| fault.of(format!("the value of key {key:?}")))
}

fn array(cursor: &mut Cursor<'_>, key: &str, depth: usize) -> Result<Array, GgufError> {
    if depth > MAX_NESTING {
        return Err(GgufError::NestingTooDeep { key: key.to_owned(), limit: MAX_NESTING });
    }
    let kind = value_type(cursor, key)?;
    let within = |fault: Fault| fault.of(format!("the array of key {key:?}"));
    let count = cursor.u64().map_err(within)?;
    let n = believable(cursor, count, kind.least_bytes(), || format!("elements of key {key:?}"))?;
    let read = match kind {
        ValueType::U8 => cursor.take(n).map(|bytes| Array::U8(bytes.to_vec())),
        ValueType::I8 => numbers(cursor, n, i8::from_le_bytes).map(Array::I8),
        ValueType::U16 => numbers(cursor, n, u16::from_le_bytes).map(Array::U16),
        ValueType::I16 => numbers(cursor, n, i16::from_le_bytes).map(Array::I16),
        ValueType::U32 => numbers(cursor, n, u32::from_le_bytes).map(Array::U32),
        ValueType::I32 => numbers(cursor, n, i32::from_le_bytes).map(Array::I32),
        ValueType::F32 => numbers(cursor, n, f32::from_le_bytes).map(Array::F32),
        ValueType::Bool => numbers(cursor, n, |[b]| b != 0).map(Array::Bool),
        ValueType::U64 => numbers(cursor, n, u64::from_le_bytes).map(Array::U64),
        ValueType::I64 => numbers(cursor, n, i64::from_le_bytes).map(Array::I64),
        ValueType::F64 => numbers(cursor, n, f64::from_le_bytes).map(Array::F64),
        ValueType::String => strings(cursor, n).map(Array::String),
        ValueType::Array => {
            let mut inner = Vec::with_capacity(n);
            for _ in 0..n {
                inner.push(array(cursor, key, depth + 1)?);
            }
            Ok(Array::Array(inner))
        }
    };
    read.map_err(within)
}

fn numbers<T, const N: usize>(
    cursor: &mut Cursor<'_>,
    n: usize,
    read: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, Fault> {
    let bytes = cursor.take(n.saturating_mul(N))?;
    Ok(bytes.as_chunks::<N>().0.iter().map(|&word| read(word)).collect())
}

fn strings(cursor: &mut Cursor<'_>, n: usize) -> Result<Vec<String>, Fault> {
    let mut strings = Vec::with_capacity(n);
    for _ in 0..n {
        strings.push(cursor.string()?.to_owned());
    }
    Ok(strings)
}

/// The value of `general.alignment`, when it is one that offsets can have.
pub(crate) fn alignment_of(metadata: &Metadata) -> Result<u64, GgufError> {
    let alignment = metadata.get_integer("general.alignment")?.unwrap_or(DEFAULT_ALIGNMENT);
    if !alignment.is_power_of_two() || alignment > 1 << 30 {
        return Err(GgufError::BadAlignment { alignment });
    }
    Ok(alignment)
}

fn tensor(cursor: &mut Cursor<'_>, position: usize) -> Result<TensorInfo, GgufError> {
    let name = cursor.string().map_err(|fault| fault.of(format!("the name of tensor {position}")))?;
    let within = |fault: Fault| fault.of(format!("the description of tensor {name:?}"));
    let rank = cursor.u32().map_err(within)?;
    if rank as usize > MAX_RANK {
        return Err(GgufError::TooManyDimensions { tensor: name.to_owned(), rank });
    }
    // Outermost first: the reverse of the file's order.
    let mut dims = vec![0u64; rank as usize];
    for dim in dims.iter_mut().rev() {
        *dim = cursor.u64().map_err(within)?;
    }
    let ggml_id = cursor.u32().map_err(within)?;
    let offset = cursor.u64().map_err(within)?;
    let (shape, nbytes) = extent(name, &dims, ggml_id)?;
    Ok(TensorInfo { name: name.to_owned(), shape, ggml_id, offset, nbytes })
}

/// The shape, and the bytes it takes in a known type.
pub(crate) fn extent(name: &str, dims: &[u64], ggml_id: u32) -> Result<(Shape, usize), GgufError> {
    let tensor = || name.to_owned();
    let overflow = || GgufError::SizeOverflow { tensor: tensor(), dims: dims.to_vec() };
    if dims.contains(&0) {
        return Err(GgufError::ZeroDimension { tensor: tensor(), dims: dims.to_vec() });
    }
    let sizes: Vec<usize> =
        dims.iter().map(|&d| usize::try_from(d)).collect::<Result<_, _>>().map_err(|_| overflow())?;
    let shape = Shape::new(&sizes).map_err(|_| overflow())?;
    let Some(dtype) = DType::from_ggml_id(ggml_id) else { return Ok((shape, 0)) };
    if !shape.last().is_multiple_of(dtype.block_len()) {
        return Err(GgufError::PartialBlock { tensor: tensor(), dtype, len: shape.last() });
    }
    Ok((shape, dtype.row_bytes(shape.numel()).ok_or_else(overflow)?))
}

/// Every tensor aligned, inside the data section, and apart from the others.
fn check_layout(tensors: &[TensorInfo], alignment: u64, available: u64) -> Result<(), GgufError> {
    for tensor in tensors {
        let TensorInfo { name, offset, nbytes, .. } = tensor;
        let (offset, nbytes, tensor) = (*offset, *nbytes as u64, || name.clone());
        if !offset.is_multiple_of(alignment) {
            return Err(GgufError::Misaligned { tensor: tensor(), offset, alignment });
        }
        if offset.checked_add(nbytes).is_none_or(|end| end > available) {
            return Err(GgufError::OutOfRange { tensor: tensor(), offset, nbytes, available });
        }
    }
    let mut by_offset: Vec<&TensorInfo> = tensors.iter().filter(|tensor| tensor.nbytes > 0).collect();
    by_offset.sort_by_key(|tensor| tensor.offset);
    for pair in by_offset.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        if first.offset + first.nbytes as u64 > second.offset {
            let (first, second, offset) = (first.name.clone(), second.name.clone(), second.offset);
            return Err(GgufError::Overlap { first, second, offset });
        }
    }
    Ok(())
}
