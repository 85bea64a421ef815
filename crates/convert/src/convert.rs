//! The commands: read whatever the input is, choose types, write.

use std::fmt;
use std::path::{Path, PathBuf};

use mynah_gguf::GgufError;
use mynah_tensor::DType;

use crate::chatterbox::{self, Chatterbox};
use crate::emit::{Job, Payload, Progress, emit};
use crate::parakeet::{self, Checkpoint, Ignored};
use crate::perth::{self, Perth};
use crate::quantize::{Facts, Family, Mixture, Report, Rules, Target, quantize};
use crate::qwen35::{self, LanguageModel};
use crate::sniff::{InputKind, sniff};
use crate::source::Tensor;
use crate::{ConvertError, hf, nemo, random};

const HF_FOLDER: &str = "Hugging Face folder";
const RANDOM: &str = "random weights";

/// What to write and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Type of the large matrices, or a mixture.
    pub target: Target,
    /// Exceptions.
    pub rules: Rules,
    /// `general.name` of the file; by default the name of the input.
    pub name: Option<String>,
    /// Threads that encode; by default one per core. The output does not depend on it.
    pub threads: Option<usize>,
}

impl Default for Options {
    fn default() -> Options {
        Options { target: DType::F32.into(), rules: Rules::default(), name: None, threads: None }
    }
}

impl Options {
    /// Everything at one type by the default rules.
    pub fn to(target: impl Into<Target>) -> Options {
        Options { target: target.into(), ..Options::default() }
    }

    /// The type of most matrices, if it can be written.
    pub(crate) fn dtype(&self) -> Result<DType, ConvertError> {
        let dtype = self.target.dtype();
        if dtype.can_encode() { Ok(dtype) } else { Err(ConvertError::Encoder { dtype }) }
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
    /// `parakeet.arch` of the new file, or the architecture of a language model; not known if the input was a GGUF.
    pub arch: Option<&'static str>,
    /// What the model is, in words.
    pub model: String,
    /// The files, if they are others than the name that was given: Chatterbox is two.
    pub files: Vec<PathBuf>,
    /// The file, or all files together.
    pub report: Report,
    /// Tensors of the checkpoint that are not in the file, and why.
    pub ignored: Vec<Ignored>,
    /// Tensors in the file that Mynah does not know.
    pub unknown: Vec<String>,
}

impl fmt::Display for ConvertReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.input, self.model)?;
        for file in &self.files {
            writeln!(f, "  written: {}", file.display())?;
        }
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

/// Converts a `.nemo` archive, a Hugging Face folder or a folder of Chatterbox to GGUF, in the layout of parakeet.cpp,
/// llama.cpp or chatterbox.cpp, or a checkpoint of PerTh. A GGUF as input is the same as [`quantize`]. A Chatterbox becomes two files,
/// `NAME-t3.gguf` and `NAME-s3gen.gguf` for an output of `NAME.gguf` or `NAME`.
///
/// # Errors
/// [`ConvertError`]; nothing is left at `output` on failure.
pub fn convert(
    input: &Path,
    output: &Path,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ConvertReport, ConvertError> {
    options.dtype()?;
    let path = input.to_owned();
    let mut report = match sniff(input)? {
        InputKind::Nemo => {
            let read = nemo::read(input);
            let read = read.map_err(|source| ConvertError::Nemo { path, source: source.into() })?;
            speech(read, "NeMo archive", output, options, progress)?
        }
        InputKind::HfFolder => {
            let wrap = |source: hf::HfError| ConvertError::Hf { path: path.clone(), source: source.into() };
            if hf::language::is_language(input).map_err(wrap)? {
                let read = hf::language::read(input).map_err(wrap)?;
                language(read, HF_FOLDER, output, options, progress)?
            } else {
                speech(hf::read(input).map_err(wrap)?, HF_FOLDER, output, options, progress)?
            }
        }
        InputKind::Chatterbox => {
            let quantization = quantization(options);
            let read = chatterbox::read(input, options.name.as_deref(), &quantization);
            let read = read.map_err(|source| ConvertError::Chatterbox { path, source: Box::new(source) })?;
            speaker(read, "Chatterbox folder", output, options, progress)?
        }
        InputKind::Perth => {
            let read = perth::read(input, options.name.as_deref());
            let read = read.map_err(|source| ConvertError::Perth { path, source: Box::new(source) })?;
            watermark(read, "PerTh checkpoint", output, options, progress)?
        }
        InputKind::Gguf => {
            let report = quantize(input, output, options, progress)?;
            let model = "model unchanged".to_owned();
            let (ignored, unknown) = (Vec::new(), Vec::new());
            let files = Vec::new();
            return Ok(ConvertReport {
                input: "GGUF file",
                arch: None,
                model,
                files,
                report,
                ignored,
                unknown,
            });
        }
    };
    // A folder's weights are in files of its own; only an archive has one size to compare with.
    report.report.bytes_in =
        input.metadata().map_or(0, |found| if found.is_file() { found.len() } else { 0 });
    Ok(report)
}

/// Writes a model of one of the released shapes ([`random::names`]) with random weights: for measuring speed and
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
    options.dtype()?;
    if let Some(made) = random::speaker(shape, seed, options.name.as_deref(), &quantization(options)) {
        let wrap = |source| ConvertError::Chatterbox { path: output.to_owned(), source: Box::new(source) };
        return speaker(made.map_err(wrap)?, RANDOM, output, options, progress);
    }
    if let Some(made) = random::watermark(shape, seed, options.name.as_deref()) {
        let wrap = |source| ConvertError::Perth { path: output.to_owned(), source: Box::new(source) };
        return watermark(made.map_err(wrap)?, RANDOM, output, options, progress);
    }
    match random::language_model(shape, seed) {
        Some(model) => language(model, RANDOM, output, options, progress),
        None => speech(random::checkpoint(random::shape(shape)?, seed), RANDOM, output, options, progress),
    }
}

/// Writes a Parakeet.
fn speech(
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
    let jobs = jobs(&checkpoint.tensors, &Family::Parakeet, options);
    let dtype = options.dtype()?;
    let mut report = options.run(|| emit(output, parakeet::keys(config), jobs, dtype, progress))?;
    report.warnings.extend(checkpoint.warnings);
    let encoder = &config.encoder;
    let (arch, pieces) = (config.arch(), config.pieces.len());
    let model = format!("Parakeet {arch}, {} layers of {}, {pieces} pieces", encoder.layers, encoder.d_model);
    Ok(ConvertReport {
        input,
        arch: Some(arch),
        model,
        files: Vec::new(),
        report,
        ignored: checkpoint.ignored,
        unknown: checkpoint.unknown,
    })
}

/// Writes a language model.
fn language(
    mut model: LanguageModel,
    input: &'static str,
    output: &Path,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ConvertReport, ConvertError> {
    if let Some(name) = &options.name {
        model.config.name.clone_from(name);
    }
    let config = &model.config;
    let facts = Facts {
        blocks: config.blocks(),
        heads: config.heads,
        kv_heads: config.kv_heads,
        experts: config.experts.map_or(0, |experts| experts.count),
    };
    let names = model.tensors.iter().map(|tensor| tensor.name.as_str());
    let family = Family::Language(Mixture::new(options.target, facts, names));
    let jobs = jobs(&model.tensors, &family, options);
    let keys = qwen35::keys(config, &model.vocabulary, options.target.file_type());
    let dtype = options.dtype()?;
    let mut report = options.run(|| emit(output, keys, jobs, dtype, progress))?;
    report.warnings.extend(model.warnings);
    let (arch, tokens) = (config.architecture.name(), model.vocabulary.tokens.len());
    let parameters: usize = model.tensors.iter().map(|tensor| tensor.shape.numel()).sum();
    let layers = config.blocks();
    let millions = parameters as f64 / 1e6;
    let words =
        format!("{arch}, {layers} layers of {}, {tokens} tokens, {millions:.2} M parameters", config.hidden);
    let unknown = Vec::new();
    let files = Vec::new();
    let ignored = model.ignored;
    Ok(ConvertReport { input, arch: Some(arch), model: words, files, report, ignored, unknown })
}

/// Writes a watermark.
fn watermark(
    network: Perth,
    input: &'static str,
    output: &Path,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ConvertReport, ConvertError> {
    let Perth { keys, tensors, model, ignored } = network;
    let jobs = jobs(&tensors, &Family::Perth, options);
    let dtype = options.dtype()?;
    let report = options.run(|| emit(output, keys, jobs, dtype, progress))?;
    let (arch, unknown, files) = (Some(perth::ARCHITECTURE), Vec::new(), Vec::new());
    Ok(ConvertReport { input, arch, model, files, report, ignored, unknown })
}

/// `chatterbox.quantization` and its like: the name of the type asked for, in small letters.
pub(crate) fn quantization(options: &Options) -> String {
    options.target.to_string().to_lowercase()
}

/// Writes the two files of a Chatterbox. Both get their names when both are complete.
fn speaker(
    model: Chatterbox,
    input: &'static str,
    output: &Path,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ConvertReport, ConvertError> {
    let wrap = |source| ConvertError::Chatterbox { path: output.to_owned(), source: Box::new(source) };
    let files = chatterbox::outputs(output).map_err(wrap)?;
    let refused = |source| ConvertError::Rename { path: output.to_owned(), source };
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unfinished = tempfile::Builder::new().prefix(".mynah-").tempdir_in(folder).map_err(refused)?;
    let dtype = options.dtype()?;
    let Chatterbox { t3, s3gen, model, ignored, warnings } = model;
    let parts = [(&t3, t3.keys.clone()), (&s3gen, s3gen.keys.clone())].map(|(part, keys)| {
        let jobs = jobs(&part.tensors, &Family::Chatterbox, options);
        let bytes: u64 = jobs.iter().map(Job::bytes).sum();
        (keys, jobs, bytes)
    });
    let total = parts.iter().map(|(_, _, bytes)| bytes).sum();
    let mut report = Report::empty(dtype);
    let mut before = 0;
    for ((keys, jobs, bytes), file) in parts.into_iter().zip(["t3", "s3gen"]) {
        let path = unfinished.path().join(file);
        let at = |now: Progress| progress(Progress { done: before + now.done, total });
        let part = options.run(|| emit(&path, keys, jobs, dtype, &at))?;
        before += bytes;
        report = report.and(part);
    }
    for (file, path) in ["t3", "s3gen"].iter().zip(&files) {
        let refused = |source| ConvertError::Rename { path: path.clone(), source };
        std::fs::rename(unfinished.path().join(file), path).map_err(refused)?;
    }
    report.warnings.extend(warnings);
    let (arch, unknown) = (Some("chatterbox"), Vec::new());
    Ok(ConvertReport { input, arch, model, files: files.to_vec(), report, ignored, unknown })
}

/// Every tensor with the type the rules choose.
fn jobs<'a>(tensors: &'a [Tensor], family: &Family, options: &Options) -> Vec<Job<'a>> {
    let job = |tensor: &'a Tensor| {
        // The layouts are of F32; what the checkpoint stores in fewer bits is widened, then narrowed by the rules.
        let target = options.target.dtype();
        let bytes = tensor.source.stored();
        let from = if bytes.is_some() { tensor.stored } else { DType::F32 };
        let choice = options.rules.choose(family, &tensor.name, tensor.shape, from, target);
        Job {
            name: &tensor.name,
            shape: choice.shape,
            from: tensor.stored,
            to: choice.dtype,
            reason: choice.reason,
            data: match bytes {
                Some(bytes) => Payload::Copy(bytes, &*tensor.source),
                None => Payload::Encode(&*tensor.source),
            },
        }
    };
    tensors.iter().map(job).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the tensors of T3 and S3Gen, in units of 0.1 MB.
    fn sizes(shape: &str, target: &str, keep: &[&str]) -> [u64; 2] {
        let rules = Rules { keep: keep.iter().map(|&glob| glob.into()).collect(), ..Rules::default() };
        let options = Options { rules, ..Options::to(target.parse::<Target>().unwrap()) };
        let model = random::speaker(shape, 0, None, "").unwrap().unwrap();
        [model.t3, model.s3gen].map(|part| {
            let bytes: u64 = jobs(&part.tensors, &Family::Chatterbox, &options).iter().map(Job::bytes).sum();
            (bytes + 50_000) / 100_000
        })
    }

    #[test]
    fn sizes_of_chatterbox() {
        for (shape, target, wanted) in [
            ("chatterbox-mtl", "F32", [21_497, 10_563]),
            ("chatterbox-mtl", "F16", [10_910, 5497]),
            ("chatterbox-mtl", "Q8_0", [6050, 4575]),
            ("chatterbox-mtl", "Q5_0", [4106, 4206]),
            ("chatterbox-mtl", "Q4_0", [3458, 4083]),
            ("chatterbox-turbo", "F16", [7755, 5539]),
            ("chatterbox-turbo", "Q8_0", [4861, 4597]),
            ("chatterbox-turbo", "Q5_0", [3703, 4220]),
            ("chatterbox-turbo", "Q4_0", [3317, 4094]),
            ("chatterbox-nano", "Q4_0", [1701, 4094]),
        ] {
            assert_eq!(sizes(shape, target, &[]), wanted, "{shape} {target}");
        }
        // With the speech tokenizer in single precision, as chatterbox.cpp's quantiser leaves it.
        assert_eq!(sizes("chatterbox-mtl", "Q4_0", &["s3tokv2/*"]), [3458, 6555]);
    }
}
