//! What a person may do about an error. The library knows some hints; those that name flags are here.

use crate::exit::Usage;
use mynah::AudioError;
use mynah_convert::ConvertError;
use mynah_device::DeviceError;
use mynah_gguf::GgufError;
use mynah_plan::PlanError;
use mynah_text::output::OutputError;
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
        .or_else(|| cause.downcast_ref().and_then(plan))
        .or_else(|| cause.downcast_ref().and_then(device))
        .or_else(|| cause.downcast_ref().and_then(convert))
        .or_else(|| cause.downcast_ref().and_then(output))
}

fn gguf(error: &GgufError) -> Option<String> {
    match error {
        GgufError::NotGguf { .. } | GgufError::LegacyGgml { .. } => {
            Some("`mynah convert IN OUT` makes a GGUF of a .nemo archive or a Hugging Face folder".into())
        }
        GgufError::Truncated { .. } | GgufError::OutOfRange { .. } => {
            Some("the file is probably cut off; copy or download it again".into())
        }
        GgufError::Io { source, .. } => missing(source),
        _ => None,
    }
}

fn audio(error: &AudioError) -> Option<String> {
    match error {
        AudioError::Open { source, .. } => missing(source),
        AudioError::NoAudioTrack { .. } => {
            Some("it holds pictures or text only; is this the right file?".into())
        }
        _ => None,
    }
}

fn missing(source: &io::Error) -> Option<String> {
    match source.kind() {
        io::ErrorKind::NotFound => Some("check the name; shells need quotes around names with spaces".into()),
        _ => None,
    }
}

fn plan(error: &PlanError) -> Option<String> {
    matches!(error, PlanError::Strict { .. })
        .then(|| "without --strict the rest runs on the CPU; --dump plan shows where".into())
}

fn device(error: &DeviceError) -> Option<String> {
    matches!(error, DeviceError::OutOfMemory { .. }).then(|| {
        "shorter pieces need less: try --chunk 20 and --batch 1; `mynah inspect` tells how much".into()
    })
}

fn convert(error: &ConvertError) -> Option<String> {
    match error {
        ConvertError::Io { source, .. } => missing(source),
        _ => None,
    }
}

fn output(error: &OutputError) -> Option<String> {
    match error {
        OutputError::Collision { .. } => {
            Some("for example -o '{dir}/{stem}.{ext}', beside each input".into())
        }
        OutputError::Write { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Some("choose a folder you may write to with -o".into())
        }
        _ => None,
    }
}
