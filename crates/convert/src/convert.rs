//! The commands: read whatever the input is, choose types, write.

use std::fmt;
use std::path::Path;

use mynah_gguf::GgufError;
use mynah_tensor::DType;

use crate::emit::{Job, Payload, Progress, emit};
use crate::parakeet::{Checkpoint, Ignored, keys};
use crate::quantize::{Family, Report, Rules, quantize};
use crate::sniff::{InputKind, sniff};
use crate::{ConvertError, hf, nemo, random};

/// What to write and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Type of the large matrices.
    pub dtype: DType,
    /// Exceptions.
    pub rules: Rules,
    /// `general.name` of the file; by default the name of the input.
    pub name: Option<String>,
    /// Threads that encode; by default one per core. The output does not depend on it.
    pub threads: Option<usize>,
}

impl Default for Options {
    fn default() -> Options {
        Options { dtype: DType::F32, rules: Rules::default(), name: None, threads: None }
    }
}

impl Options {
    /// Everything at one type by the default rules.
    pub fn to(dtype: DType) -> Options {
        Options { dtype, ..Options::default() }
    }

    pub(crate) fn target(&self) -> Result<DType, ConvertError> {
        if self.dtype.can_encode() {
            Ok(self.dtype)
        } else {
            Err(ConvertError::Encoder { dtype: self.dtype })
        }
    }

    /// Runs work on as many threads as asked for.
    pub(crate) fn run<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, GgufError> + Send,
    ) -> Result<T, ConvertError> {
        let Some(threads) = self.threads else { return Ok(work()?) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build()?;
        Ok(pool.install(work)?)
    }
}

/// What [`convert`] and [`random_model`] did.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvertReport {
    /// What the input was.
    pub input: &'static str,
    /// `parakeet.arch` of the new file; not known if the input was a GGUF.
    pub arch: Option<&'static str>,
    /// What the model is, in words.
    pub model: String,
    /// The file.
    pub report: Report,
    /// Tensors of the checkpoint that are not in the file, and why.
    pub ignored: Vec<Ignored>,
    /// Tensors in the file that Mynah does not know.
    pub unknown: Vec<String>,
}

impl fmt::Display for ConvertReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.input, self.model)?;
        write!(f, "{}", self.report)?;
        if !self.ignored.is_empty() {
            let mut reasons: Vec<&str> = self.ignored.iter().map(|ignored| ignored.why).collect();
            reasons.sort_unstable();
            reasons.dedup();
            let plural = if self.ignored.len() == 1 { "" } else { "s" };
            writeln!(f, "  left out: {} tensor{plural} ({})", self.ignored.len(), reasons.join("; "))?;
        }
        Ok(())
    }
}

/// Converts a `.nemo` archive or a Hugging Face folder to GGUF in parakeet.cpp's layout. A GGUF as input is the same as
/// [`quantize`].
///
/// # Errors
/// [`ConvertError`]; nothing is left at `output` on failure.
pub fn convert(
    input: &Path,
    output: &Path,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ConvertReport, ConvertError> {
    options.target()?;
    let path = input.to_owned();
    let (checkpoint, kind) = match sniff(input)? {
        InputKind::Nemo => (
            nemo::read(input).map_err(|source| ConvertError::Nemo { path, source: source.into() })?,
            "NeMo archive",
        ),
        InputKind::HfFolder => (
            hf::read(input).map_err(|source| ConvertError::Hf { path, source: source.into() })?,
            "Hugging Face folder",
        ),
        InputKind::Gguf => {
            let report = quantize(input, output, options, progress)?;
            let model = "model unchanged".to_owned();
            let (ignored, unknown) = (Vec::new(), Vec::new());
            return Ok(ConvertReport { input: "GGUF file", arch: None, model, report, ignored, unknown });
        }
    };
    let mut report = write(checkpoint, kind, output, options, progress)?;
    // A folder's weights are in files of its own; only an archive has one size to compare with.
    report.report.bytes_in =
        input.metadata().map_or(0, |found| if found.is_file() { found.len() } else { 0 });
    Ok(report)
}

/// Writes a model of one of the released shapes ([`random::SHAPES`]) with random weights: for measuring speed and
/// memory, and for tests that need a whole model. The same seed gives the same file everywhere.
///
/// # Errors
/// [`ConvertError::Shape`] for an unknown name, [`ConvertError::Gguf`] for a failing disk.
pub fn random_model(
    shape: &str,
    output: &Path,
    seed: u64,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ConvertReport, ConvertError> {
    options.target()?;
    let checkpoint = random::checkpoint(random::shape(shape)?, seed);
    write(checkpoint, "random weights", output, options, progress)
}

fn write(
    mut checkpoint: Checkpoint,
    input: &'static str,
    output: &Path,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ConvertReport, ConvertError> {
    if let Some(name) = &options.name {
        checkpoint.config.name.clone_from(name);
    }
    let config = &checkpoint.config;
    let mut jobs = Vec::with_capacity(checkpoint.tensors.len());
    for tensor in &checkpoint.tensors {
        // The layout is one of F32; what the checkpoint stores in fewer bits is widened, then narrowed by the rules.
        let choice =
            options.rules.choose(Family::Parakeet, &tensor.name, tensor.shape, DType::F32, options.dtype);
        jobs.push(Job {
            name: &tensor.name,
            shape: choice.shape,
            from: tensor.stored,
            to: choice.dtype,
            reason: choice.reason,
            data: Payload::Encode(&*tensor.source),
        });
    }
    let mut report = options.run(|| emit(output, keys(config), jobs, options.dtype, progress))?;
    report.warnings.extend(checkpoint.warnings);
    let encoder = &config.encoder;
    let (arch, pieces) = (config.arch(), config.pieces.len());
    let model = format!("Parakeet {arch}, {} layers of {}, {pieces} pieces", encoder.layers, encoder.d_model);
    Ok(ConvertReport {
        input,
        arch: Some(arch),
        model,
        report,
        ignored: checkpoint.ignored,
        unknown: checkpoint.unknown,
    })
}
