//! Everything that can go wrong, with a hint for the person in front of it.

use mynah_audio::AudioError;
use mynah_gguf::GgufError;
use mynah_gpu::GpuError;
use mynah_models::ModelError;
use mynah_models::chatterbox::s3gen::S3GenError;
use mynah_models::chatterbox::t3::T3Error;
use mynah_models::chatterbox::voice::VoiceError;
use mynah_models::perth::PerthError;
use mynah_plan::PlanError;
use mynah_runtime::EngineError;
use mynah_text::bpe::BpeError;
use mynah_text::chat::ChatError;
use mynah_text::speech::SpeechError;
use std::sync::Arc;

/// A failure of loading or running a model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model file can't be read.
    #[error("can't load the model")]
    Gguf(#[from] GgufError),
    /// The model is faulty, of another family, or failed to run.
    #[error("the model failed")]
    Model(#[from] ModelError),
    /// The audio can't be decoded.
    #[error("can't decode the audio")]
    Audio(#[from] AudioError),
    /// The device can't be opened.
    #[error("can't open device '{name}': {reason}")]
    Device {
        /// The device asked for.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The GPU asked for can't be opened.
    #[error("can't open device '{name}'")]
    Gpu {
        /// The device asked for.
        name: String,
        /// Why not.
        source: GpuError,
    },
    /// A switch that makes no sense.
    #[error("{option}: {reason}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// The file's tokenizer can't be used.
    #[error("can't read the model's tokenizer")]
    Tokenizer(#[from] BpeError),
    /// There is no chat template, or it failed.
    #[error("can't lay out the chat")]
    Template(#[from] ChatError),
    /// A request makes no sense or could not be carried out.
    #[error("can't generate")]
    Engine(#[from] Arc<EngineError>),
    /// The model is larger than the memory left.
    #[error("the model needs {} MB of memory and the device has {} MB left", needed / 1_000_000, available / 1_000_000)]
    Memory {
        /// Bytes for its weights, one step and one short sequence.
        needed: u64,
        /// Bytes the device can give.
        available: u64,
    },
    /// A text that can't be spelt out, or a tokenizer that can't be used.
    #[error("can't read the text")]
    Spelling(#[source] Box<SpeechError>),
    /// Speech tokens could not be made.
    #[error("can't speak")]
    T3(#[source] Box<T3Error>),
    /// Samples could not be made.
    #[error("can't speak")]
    S3Gen(#[source] Box<S3GenError>),
    /// A voice can't be made, read or used.
    #[error("can't use the voice")]
    Voice(#[source] Box<VoiceError>),
    /// A watermark can't be put on a recording or looked for in it.
    #[error("can't use the watermark")]
    Watermark(#[source] Box<PerthError>),
    /// T3's file and S3Gen's are of different kinds of Chatterbox.
    #[error("T3's file is of {t3} and S3Gen's of {s3gen}; they don't go together")]
    Pair {
        /// T3's kind.
        t3: &'static str,
        /// The models S3Gen's is of.
        s3gen: &'static str,
    },
    /// A voice was made for another kind of Chatterbox.
    #[error("the voice was made for {voice}, and the model is {model}")]
    VoiceKind {
        /// What it was made for.
        voice: &'static str,
        /// The model's kind.
        model: &'static str,
    },
    /// The files bring no voice.
    #[error("the model files have no voice of their own")]
    NoVoice,
    /// No model was named and none is built in.
    #[error("no model was given")]
    NoModel,
}

impl From<PlanError> for Error {
    fn from(e: PlanError) -> Self {
        Self::Model(e.into())
    }
}

// Boxed, as the largest of them would make every result large.
impl From<SpeechError> for Error {
    fn from(e: SpeechError) -> Self {
        Self::Spelling(Box::new(e))
    }
}

impl From<T3Error> for Error {
    fn from(e: T3Error) -> Self {
        Self::T3(Box::new(e))
    }
}

impl From<S3GenError> for Error {
    fn from(e: S3GenError) -> Self {
        Self::S3Gen(Box::new(e))
    }
}

impl From<VoiceError> for Error {
    fn from(e: VoiceError) -> Self {
        Self::Voice(Box::new(e))
    }
}

impl From<PerthError> for Error {
    fn from(e: PerthError) -> Self {
        match e {
            PerthError::Model(e) => Self::Model(e),
            e => Self::Watermark(Box::new(e)),
        }
    }
}

impl From<EngineError> for Error {
    fn from(e: EngineError) -> Self {
        Self::Engine(Arc::new(e))
    }
}

impl From<mynah_text::TextError> for Error {
    fn from(e: mynah_text::TextError) -> Self {
        Self::Model(e.into())
    }
}

impl Error {
    /// What the person may do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Gpu { source, .. } => Some(gpu_hint(source)),
            Self::NoModel => Some("name a GGUF file with -m; this build has no model inside".into()),
            Self::Model(ModelError::NoHead { found, .. }) => {
                Some(format!("use --decoder with one of: {found}"))
            }
            Self::Model(ModelError::Family { .. }) => {
                Some("`mynah inspect FILE` shows what a file is".into())
            }
            Self::Model(ModelError::MissingTensor { .. } | ModelError::MissingKey { .. }) => Some(
                "the file may be cut off or made for another program; `mynah inspect FILE` lists what it has"
                    .into(),
            ),
            Self::Engine(error) => engine_hint(error),
            Self::Template(ChatError::NoTemplate) => {
                Some("a model without a chat template can only continue text".into())
            }
            Self::Pair { .. } => Some(
                "both come from one conversion and are named alike; --s3gen names another S3Gen, and `mynah inspect FILE` tells a file's kind"
                    .into(),
            ),
            Self::VoiceKind { .. } => {
                Some("make it again of its recording with this model: --voice RECORDING --save-voice FILE".into())
            }
            Self::NoVoice => Some("name a voice with --voice".into()),
            Self::Memory { .. } => Some("a file with fewer bits to a weight may fit".into()),
            _ => None,
        }
    }
}

fn engine_hint(error: &EngineError) -> Option<String> {
    match error {
        EngineError::Context { .. } => Some("shorten the prompt, or allow a longer context with -c".into()),
        EngineError::OutOfMemory { .. } => Some("allow a shorter context with -c".into()),
        _ => None,
    }
}

fn gpu_hint(error: &GpuError) -> String {
    match error {
        GpuError::NoAdapter { choice, .. } => {
            if mynah_gpu::list().is_empty() {
                return format!("{}; --device cpu runs everything", drivers());
            }
            let missing = choice.index.map_or("API", |_| "number");
            format!("`mynah devices` lists what there is; another {missing}, or --device cpu, will do")
        }
        GpuError::Lacks { .. } | GpuError::Refused { .. } => {
            "a newer driver may help; `mynah doctor` shows the one in use, and --device cpu runs everything"
                .into()
        }
    }
}

/// How a machine without any adapter gets one.
fn drivers() -> &'static str {
    if cfg!(target_os = "linux") {
        "a GPU is reached through Vulkan: install its driver and the loader (libvulkan1 and mesa-vulkan-drivers on Debian \
         and Ubuntu, the vendor's own package for NVIDIA)"
    } else if cfg!(target_os = "macos") {
        "Metal comes with macOS; virtual machines often lack it"
    } else {
        "install the driver of the GPU's vendor, which brings DirectX 12 and Vulkan"
    }
}
