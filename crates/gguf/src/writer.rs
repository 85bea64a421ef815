//! Writing GGUF version 3.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use mynah_tensor::DType;

use crate::atomic::AtomicFile;
use crate::parse::{alignment_of, extent};
use crate::{Array, GgufError, Metadata, Value, ValueType};

/// Fills a tensor's data when its turn comes.
type Fill<'a> = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + 'a>;

/// Collects keys and tensor descriptions, then writes the file in one pass, asking for each tensor's bytes only when
/// they are due: memory holds one tensor at most, or less if the closure streams.
///
/// ```
/// use mynah_gguf::{GgufFile, GgufWriter};
/// use mynah_tensor::DType;
///
/// let mut writer = GgufWriter::new();
/// writer.set("general.architecture", "parakeet");
/// writer.tensor("scale", DType::F32, &[2], |out| out.write_all(&[0; 8]))?;
/// let mut bytes = Vec::new();
/// writer.write_to(&mut bytes)?;
/// assert_eq!(GgufFile::from_bytes(bytes)?.tensors()[0].nbytes, 8);
/// # Ok::<(), mynah_gguf::GgufError>(())
/// ```
#[derive(Default)]
pub struct GgufWriter<'a> {
    metadata: Vec<(String, Value)>,
    tensors: Vec<Pending<'a>>,
}

struct Pending<'a> {
    name: String,
    dims: Vec<u64>,
    dtype: DType,
    offset: u64,
    nbytes: u64,
    fill: Fill<'a>,
}

impl<'a> GgufWriter<'a> {
    /// A file without keys or tensors.
    pub fn new() -> GgufWriter<'a> {
        GgufWriter::default()
    }

    /// Sets a key, in place if it is there already. `general.alignment` is what tensors are aligned to.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) -> &mut GgufWriter<'a> {
        let (key, value) = (key.into(), value.into());
        match self.metadata.iter_mut().find(|(present, _)| *present == key) {
            Some(entry) => entry.1 = value,
            None => self.metadata.push((key, value)),
        }
        self
    }

    /// Adds a tensor of this row-major shape, whose stored bytes `fill` will write.
    ///
    /// # Errors
    /// [`GgufError::TooManyDimensions`], [`GgufError::ZeroDimension`], [`GgufError::SizeOverflow`] or
    /// [`GgufError::PartialBlock`] for a shape that does not suit the type.
    pub fn tensor(
        &mut self,
        name: impl Into<String>,
        dtype: DType,
        shape: &[usize],
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()> + 'a,
    ) -> Result<&mut GgufWriter<'a>, GgufError> {
        let name = name.into();
        if shape.len() > mynah_tensor::MAX_RANK {
            return Err(GgufError::TooManyDimensions { tensor: name, rank: shape.len() as u32 });
        }
        let dims: Vec<u64> = shape.iter().map(|&d| d as u64).collect();
        let (_, nbytes) = extent(&name, &dims, dtype.ggml_id())?;
        let fill = Box::new(fill);
        self.tensors.push(Pending { name, dims, dtype, offset: 0, nbytes: nbytes as u64, fill });
        Ok(self)
    }

    /// Adds a tensor whose stored bytes are at hand.
    ///
    /// # Errors
    /// Those of [`GgufWriter::tensor`]; a wrong length shows when the file is written.
    pub fn tensor_bytes(
        &mut self,
        name: impl Into<String>,
        dtype: DType,
        shape: &[usize],
        data: &'a [u8],
    ) -> Result<&mut GgufWriter<'a>, GgufError> {
        self.tensor(name, dtype, shape, move |out| out.write_all(data))
    }

    /// Writes the file beside its destination and renames it when it is complete and on disk: readers of an old file of
    /// that name never see a half-written one.
    ///
    /// # Errors
    /// [`GgufError::Io`] with the path; those of [`GgufWriter::write_to`].
    pub fn write_file(self, path: impl AsRef<Path>) -> Result<(), GgufError> {
        let path = path.as_ref();
        let refused = |source| GgufError::Io { path: path.to_owned(), source };
        let atomic = AtomicFile::create(path).map_err(refused)?;
        let mut out = BufWriter::with_capacity(1 << 20, atomic.file().map_err(refused)?);
        self.write_to(&mut out)?;
        out.flush().map_err(refused)?;
        drop(out);
        atomic.commit().map_err(refused)
    }

    /// Writes the file to a stream, buffered if that matters.
    ///
    /// # Errors
    /// [`GgufError::DuplicateTensor`] or [`GgufError::BadAlignment`] before anything is written, [`GgufError::Write`] when the stream or a tensor's
    /// closure fails, [`GgufError::DataLength`] when a closure writes too little or too much.
    pub fn write_to(mut self, out: &mut dyn Write) -> Result<(), GgufError> {
        let tensors = &self.tensors;
        crate::index::NameIndex::new(tensors.len(), |i| tensors[i].name.as_str())
            .map_err(|i| GgufError::DuplicateTensor { tensor: tensors[i].name.clone() })?;
        let alignment = alignment_of(&Metadata::new(self.metadata.clone())?)?;
        let mut end = 0u64;
        for tensor in &mut self.tensors {
            let overflow =
                || GgufError::SizeOverflow { tensor: tensor.name.clone(), dims: tensor.dims.clone() };
            tensor.offset = end;
            end = end
                .checked_add(tensor.nbytes)
                .and_then(|end| end.checked_next_multiple_of(alignment))
                .ok_or_else(overflow)?;
        }
        let contents = self.contents();
        let writing = |what: &str| {
            let what = what.to_owned();
            move |source| GgufError::Write { what, source }
        };
        out.write_all(&contents).map_err(writing("the table of contents"))?;
        pad(out, contents.len() as u64, alignment).map_err(writing("the table of contents"))?;
        for Pending { name, nbytes, fill, .. } in self.tensors {
            let mut counted = Counted { out, count: 0 };
            let filled = fill(&mut counted);
            let found = counted.count;
            filled.map_err(writing(&format!("tensor {name:?}")))?;
            if found != nbytes {
                return Err(GgufError::DataLength { tensor: name, expected: nbytes, found });
            }
            pad(out, nbytes, alignment).map_err(writing(&format!("tensor {name:?}")))?;
        }
        Ok(())
    }

    /// Everything before the data section, without the padding.
    fn contents(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            put_string(&mut out, key);
            out.extend(value.value_type().id().to_le_bytes());
            put_value(&mut out, value);
        }
        for tensor in &self.tensors {
            put_string(&mut out, &tensor.name);
            out.extend((tensor.dims.len() as u32).to_le_bytes());
            for dim in tensor.dims.iter().rev() {
                out.extend(dim.to_le_bytes());
            }
            out.extend(tensor.dtype.ggml_id().to_le_bytes());
            out.extend(tensor.offset.to_le_bytes());
        }
        out
    }
}

/// Passes bytes on and counts them.
struct Counted<'a> {
    out: &'a mut dyn Write,
    count: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Fills up to the alignment after `length` bytes.
fn pad(out: &mut dyn Write, length: u64, alignment: u64) -> io::Result<()> {
    let mut missing = length.next_multiple_of(alignment) - length;
    while missing > 0 {
        let step = missing.min(64);
        out.write_all(&[0; 64][..step as usize])?;
        missing -= step;
    }
    Ok(())
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(v) => out.push(*v),
        Value::I8(v) => out.extend(v.to_le_bytes()),
        Value::U16(v) => out.extend(v.to_le_bytes()),
        Value::I16(v) => out.extend(v.to_le_bytes()),
        Value::U32(v) => out.extend(v.to_le_bytes()),
        Value::I32(v) => out.extend(v.to_le_bytes()),
        Value::F32(v) => out.extend(v.to_le_bytes()),
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::String(v) => put_string(out, v),
        Value::Array(v) => put_array(out, v),
        Value::U64(v) => out.extend(v.to_le_bytes()),
        Value::I64(v) => out.extend(v.to_le_bytes()),
        Value::F64(v) => out.extend(v.to_le_bytes()),
    }
}

fn put_array(out: &mut Vec<u8>, array: &Array) {
    let kind: ValueType = array.element_type();
    out.extend(kind.id().to_le_bytes());
    out.extend((array.len() as u64).to_le_bytes());
    match array {
        Array::U8(values) => out.extend(values),
        Array::I8(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Array::U16(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Array::I16(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Array::U32(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Array::I32(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Array::F32(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Array::Bool(values) => out.extend(values.iter().map(|&v| u8::from(v))),
        Array::U64(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Array::I64(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Array::F64(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Array::String(values) => values.iter().for_each(|text| put_string(out, text)),
        Array::Array(values) => values.iter().for_each(|array| put_array(out, array)),
    }
}
