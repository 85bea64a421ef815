//! What a person may do about an error. The library knows some hints; those that name flags are here.

use crate::exit::Usage;
use crate::nearby;
use mynah::AudioError;
use mynah_convert::ConvertError;
use mynah_device::DeviceError;
use mynah_gguf::GgufError;
use mynah_models::ModelError;
use mynah_models::chatterbox::t3::T3Error;
use mynah_models::chatterbox::voice::VoiceError;
use mynah_plan::PlanError;
use mynah_text::output::OutputError;
use mynah_text::speech::SpeechError;
use std::error::Error;
use std::{fmt, io};

/// A failure whose hint only the place that saw it knows.
#[derive(Debug)]
pub(crate) struct Advised {
    message: String,
    hint: String,
}

impl Advised {
    /// What went wrong, and what to do about it.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Advised {}

/// The hint for an error, from the first link of its chain that has one.
pub(crate) fn of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(one)
}

fn one(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(usage) = cause.downcast_ref::<Usage>() {
        return usage.hint.clone();
    }
    if let Some(advised) = cause.downcast_ref::<Advised>() {
        return Some(advised.hint.clone());
    }
    let library = cause.downcast_ref::<mynah::Error>().and_then(mynah::Error::hint);
    library
        .or_else(|| cause.downcast_ref().and_then(gguf))
        .or_else(|| cause.downcast_ref().and_then(audio))
        .or_else(|| cause.downcast_ref().and_then(model))
        .or_else(|| cause.downcast_ref().and_then(plan))
        .or_else(|| cause.downcast_ref().and_then(device))
        .or_else(|| boxed(cause).and_then(tokens))
        .or_else(|| boxed(cause).and_then(spelling))
        .or_else(|| boxed(cause).and_then(voice))
        .or_else(|| cause.downcast_ref().and_then(convert))
        .or_else(|| cause.downcast_ref().and_then(output))
}

/// A link of a chain, be it boxed or not: the library boxes what is large.
pub(crate) fn boxed<'a, E: Error + 'static>(cause: &'a (dyn Error + 'static)) -> Option<&'a E> {
    cause.downcast_ref().or_else(|| cause.downcast_ref::<Box<E>>().map(Box::as_ref))
}

fn gguf(error: &GgufError) -> Option<String> {
    match error {
        GgufError::NotGguf { .. } | GgufError::LegacyGgml { .. } => {
            Some("`mynah convert IN OUT` makes a GGUF of a .nemo archive or a Hugging Face folder".into())
        }
        GgufError::Truncated { .. } | GgufError::OutOfRange { .. } => {
            Some("the file is probably cut off; copy or download it again".into())
        }
        GgufError::Io { path, source } => nearby::hint(path, source),
        _ => None,
    }
}

fn audio(error: &AudioError) -> Option<String> {
    match error {
        AudioError::Open { path, source } => nearby::hint(path, source),
        AudioError::NoAudioTrack { .. } => {
            Some("it holds pictures or text only; is this the right file?".into())
        }
        _ => None,
    }
}

/// Errors that only pass on what is below print it themselves and are missing from the chain, so they are opened here.
fn model(error: &ModelError) -> Option<String> {
    match error {
        ModelError::Gguf(e) => gguf(e),
        ModelError::Plan(e) => plan(e),
        ModelError::Audio(e) => audio(e),
        _ => None,
    }
}

fn plan(error: &PlanError) -> Option<String> {
    match error {
        PlanError::Strict { .. } => Some("without --strict the CPU runs what the device can't".into()),
        PlanError::Device(e) => device(e),
        _ => None,
    }
}

fn device(error: &DeviceError) -> Option<String> {
    match error {
        DeviceError::OutOfMemory { .. } => Some(
            "shorter pieces need less: try --chunk 20 and --batch 1; `mynah inspect` tells how much".into(),
        ),
        _ => None,
    }
}

fn tokens(error: &T3Error) -> Option<String> {
    match error {
        T3Error::TooLong { what: "the text", .. } => Some("--split 180 says it in pieces".into()),
        T3Error::TooLong { what: "speech of max_tokens", .. } => {
            Some("a smaller -n will do, or shorter pieces with --split".into())
        }
        T3Error::Model(e) => model(e),
        _ => None,
    }
}

fn spelling(error: &SpeechError) -> Option<String> {
    match error {
        SpeechError::MissingLanguage { .. } | SpeechError::UnknownLanguage { .. } => {
            Some("name the language of the text with -l".into())
        }
        _ => None,
    }
}

fn voice(error: &VoiceError) -> Option<String> {
    match error {
        VoiceError::Io { path, source, .. } => nearby::hint(path, source),
        VoiceError::TooShort { .. } | VoiceError::Silent { .. } => {
            Some("record one person who reads a text aloud, without music or noise".into())
        }
        VoiceError::NotAVoice { .. } => {
            Some("a voice is what --save-voice wrote, or a recording of somebody speaking".into())
        }
        VoiceError::Model(e) => model(e),
        _ => None,
    }
}

fn convert(error: &ConvertError) -> Option<String> {
    match error {
        ConvertError::Io { path, source } => nearby::hint(path, source),
        ConvertError::Gguf(e) => gguf(e),
        _ => None,
    }
}

fn output(error: &OutputError) -> Option<String> {
    match error {
        OutputError::Write { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Some("choose a folder you may write to with -o".into())
        }
        _ => None,
    }
}
