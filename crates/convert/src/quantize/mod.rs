//! Changing the types of a GGUF file's tensors: `mynah quantize IN OUT TYPE`. The file is read by mmap and written
//! tensor by tensor; keys are copied. The rules are in [`rules`], and serve conversion from other formats as well.

mod chatterbox;
mod glob;
mod mixture;
mod report;
mod rules;
mod target;

use std::path::Path;

use mynah_gguf::{GgufError, GgufFile, TensorInfo, Value};
use mynah_tensor::{DType, TensorError, decode_row};

pub use glob::Glob;
pub use mixture::{Facts, Mixture};
pub use report::{Report, TensorReport};
pub use rules::{Family, Layout, Reason, Rules};
pub use target::{Target, UnknownTarget};

use crate::convert::quantization;
use crate::emit::{Job, Payload, Progress, emit};
use crate::qwen35::Architecture;
use crate::source::Source;
use crate::{ConvertError, Options};

/// Written for the target, or not valid once types change.
const STALE: [&str; 2] = [FILE_TYPE, "general.quantization_version"];
/// What the files of Chatterbox call their type.
const QUANTIZATION: [&str; 2] = ["chatterbox.quantization", "s3gen.quantization"];
const FILE_TYPE: &str = "general.file_type";

/// Writes a copy of `input` with types chosen by `options`. The output is the same bytes for any number of threads.
/// `output` may be `input`: the new file replaces it when it is complete.
///
/// # Errors
/// [`ConvertError::Encoder`] for a target that can only be read, [`ConvertError::Gguf`] for a bad input, a value that
/// the target cannot represent, or a failing disk.
pub fn quantize(
    input: &Path,
    output: &Path,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, ConvertError> {
    let target = options.dtype()?;
    let file = GgufFile::open(input)?;
    let family = family(&file, options.target)?;
    let mut sources = Vec::with_capacity(file.tensors().len());
    for info in file.tensors() {
        sources.push(Stored { file: &file, info, dtype: info.dtype()?, bytes: file.data(info)? });
    }
    let mut again = 0;
    let mut jobs = Vec::with_capacity(sources.len());
    for source in &sources {
        let (name, from) = (source.info.name.as_str(), source.dtype);
        let choice = options.rules.choose(&family, name, source.info.shape, from, target);
        let data = if choice.dtype == from && choice.shape == source.info.shape {
            Payload::Copy(source.bytes, source)
        } else {
            again += usize::from(from.is_quantized() && choice.dtype.is_quantized());
            Payload::Encode(source)
        };
        let (to, shape, reason) = (choice.dtype, choice.shape, choice.reason);
        jobs.push(Job { name, shape, from, to, reason, data });
    }
    let keys = file.metadata().iter().filter(|(key, _)| !STALE.contains(key));
    let mut keys: Vec<(String, Value)> = keys.map(|(key, value)| (key.to_owned(), value.clone())).collect();
    if let (Family::Language(_), Some(number)) = (&family, options.target.file_type()) {
        keys.push((FILE_TYPE.to_owned(), number.into()));
    }
    for (key, value) in &mut keys {
        if QUANTIZATION.contains(&key.as_str()) {
            *value = quantization(options).as_str().into();
        }
    }
    let mut report = options.run(|| emit(output, keys, jobs, target, progress))?;
    report.bytes_in = file.file_bytes();
    if again > 0 {
        report
            .warnings
            .push(format!("{again} tensors were quantised before; quantising from F32 or F16 loses less"));
    }
    if report.tensors.iter().all(|tensor| tensor.from == tensor.to) {
        report.warnings.push("no tensor changed its type".to_owned());
    }
    Ok(report)
}

/// Whose rules the file follows.
fn family(file: &GgufFile, target: Target) -> Result<Family, GgufError> {
    let name = file.get_str("general.architecture")?.unwrap_or_default();
    match name {
        "parakeet" => return Ok(Family::Parakeet),
        crate::perth::ARCHITECTURE => return Ok(Family::Perth),
        "chatterbox" | "chatterbox-s3gen" => return Ok(Family::Chatterbox),
        _ => {}
    }
    if !Architecture::ALL.iter().any(|architecture| architecture.name() == name) {
        return Ok(Family::Other);
    }
    let count = |key: &str| Ok::<_, GgufError>(file.get_usize(&format!("{name}.{key}"))?.unwrap_or(0));
    let facts = Facts {
        blocks: count("block_count")?,
        heads: count("attention.head_count")?,
        kv_heads: count("attention.head_count_kv")?,
        experts: count("expert_count")?,
    };
    let names = file.tensors().iter().map(|tensor| tensor.name.as_str());
    Ok(Family::Language(Mixture::new(target, facts, names)))
}

/// A tensor of the input file.
struct Stored<'a> {
    file: &'a GgufFile,
    info: &'a TensorInfo,
    dtype: DType,
    bytes: &'a [u8],
}

impl Source for Stored<'_> {
    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), TensorError> {
        let partial = |len| TensorError::PartialBlock { dtype: self.dtype, len };
        let first = self.dtype.row_bytes(start).ok_or_else(|| partial(start))?;
        let len = self.dtype.row_bytes(out.len()).ok_or_else(|| partial(out.len()))?;
        let bytes = self.bytes.get(first..first.saturating_add(len)).unwrap_or_default();
        decode_row(self.dtype, bytes, out)
    }

    fn release(&self) {
        self.file.release_pages(self.info);
    }
}
