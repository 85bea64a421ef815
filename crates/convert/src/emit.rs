//! Writing tensors into a GGUF file, chunk by chunk: read or make values, encode, measure the error, write. Chunks of
//! a tensor are worked on by several threads and written in order, so the bytes do not depend on how many there are,
//! and memory holds a few chunks per thread, whatever the size of the model.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::path::Path;

use mynah_gguf::{GgufError, GgufWriter, Value};
use mynah_tensor::{DType, Shape, TensorError, decode_row, encode_row};
use rayon::prelude::*;

use crate::quantize::{Reason, Report, TensorReport};
use crate::source::Source;

/// Elements that are worked on at a time.
const CHUNK: usize = 1 << 18;

/// Bytes written so far and in total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of tensors written.
    pub done: u64,
    /// Bytes of all tensors.
    pub total: u64,
}

/// One tensor to write.
pub(crate) struct Job<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: Shape,
    pub(crate) from: DType,
    pub(crate) to: DType,
    pub(crate) reason: Option<Reason>,
    pub(crate) data: Payload<'a>,
}

impl Job<'_> {
    /// Bytes of the tensor in the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.to.row_bytes(self.shape.numel()).unwrap_or(0) as u64
    }
}

/// Where its bytes come from.
pub(crate) enum Payload<'a> {
    /// Bytes that already are of the right type.
    Copy(&'a [u8], &'a dyn Source),
    /// Values to encode.
    Encode(&'a dyn Source),
}

/// Writes a file and reports on its tensors.
pub(crate) fn emit(
    path: &Path,
    keys: Vec<(String, Value)>,
    jobs: Vec<Job<'_>>,
    target: DType,
    progress: &dyn Fn(Progress),
) -> Result<Report, GgufError> {
    let total = jobs.iter().map(Job::bytes).sum();
    let done = Cell::new(0u64);
    let reports = RefCell::new(Vec::with_capacity(jobs.len()));
    let advance = |bytes: usize| {
        done.set(done.get() + bytes as u64);
        progress(Progress { done: done.get(), total });
    };
    let (advance, reports_ref) = (&advance, &reports);
    // Last of all locals, because its closures borrow from the others.
    let mut writer = GgufWriter::new();
    for (key, value) in keys {
        writer.set(key, value);
    }
    if jobs.iter().any(|job| job.to.is_quantized()) {
        writer.set("general.quantization_version", 2u32);
    }
    for job in jobs {
        let bytes = job.bytes();
        writer.tensor(job.name, job.to, job.shape.dims(), move |out| {
            let mut error = Error::default();
            match job.data {
                Payload::Copy(bytes, source) => {
                    for part in bytes.chunks(CHUNK) {
                        out.write_all(part)?;
                        advance(part.len());
                    }
                    source.release();
                }
                Payload::Encode(source) => {
                    error = encode(out, source, job.shape, job.to, advance)?;
                    source.release();
                }
            }
            reports_ref.borrow_mut().push(TensorReport {
                name: job.name.to_owned(),
                shape: job.shape,
                from: job.from,
                to: job.to,
                reason: job.reason,
                bytes,
                squared_error: error.squared,
                squares: error.squares,
            });
            Ok(())
        })?;
    }
    writer.write_file(path)?;
    let bytes_out = std::fs::metadata(path).map_or(total, |found| found.len());
    Ok(Report { target, tensors: reports.into_inner(), warnings: Vec::new(), bytes_in: 0, bytes_out })
}

#[derive(Default, Clone, Copy)]
struct Error {
    squared: f64,
    squares: f64,
}

fn encode(
    out: &mut dyn Write,
    source: &dyn Source,
    shape: Shape,
    to: DType,
    advance: &dyn Fn(usize),
) -> io::Result<Error> {
    let row = shape.last().max(1);
    // Whole rows, and so whole blocks, in every chunk.
    let step = (CHUNK / row).max(1) * row;
    let count = shape.numel();
    let starts: Vec<usize> = (0..count).step_by(step).collect();
    let mut sum = Error::default();
    for batch in starts.chunks(2 * rayon::current_num_threads()) {
        let work = |&start: &usize| chunk(source, start, step.min(count - start), to);
        let finished: Vec<_> = batch.par_iter().map(work).collect();
        for part in finished {
            let (bytes, error) = part.map_err(io::Error::other)?;
            sum.squared += error.squared;
            sum.squares += error.squares;
            out.write_all(&bytes)?;
            advance(bytes.len());
        }
    }
    Ok(sum)
}

fn chunk(source: &dyn Source, start: usize, len: usize, to: DType) -> Result<(Vec<u8>, Error), TensorError> {
    let mut values = vec![0.0f32; len];
    source.read(start, &mut values)?;
    let mut bytes = vec![0; to.row_bytes(len).ok_or(TensorError::PartialBlock { dtype: to, len })?];
    encode_row(to, &values, &mut bytes)?;
    if to == DType::F32 {
        return Ok((bytes, Error::default()));
    }
    let mut back = vec![0.0f32; len];
    decode_row(to, &bytes, &mut back)?;
    let mut error = Error::default();
    for (&value, &back) in values.iter().zip(&back) {
        error.squared += f64::from(value - back).powi(2);
        error.squares += f64::from(value).powi(2);
    }
    Ok((bytes, error))
}
