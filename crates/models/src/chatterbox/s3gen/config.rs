//! What an S3Gen file holds: extents from its tensors, choices from its keys.
//!
//! Tensors win: no extent is taken from a key, and a key that contradicts the tensors is an error. Files of the first converters
//! lack `s3gen.variant` and `s3gen.meanflow`; the time mixer, which only mean flow has, tells what they are.

use super::tensors::{Ending, Tensors};
use crate::chatterbox::cfm::CfmConfig;
use crate::chatterbox::flow::FlowConfig;
use crate::chatterbox::hift::HiftConfig;
use crate::error::ModelError;
use mynah_gguf::GgufFile;
use std::fmt;

/// Samples a second of what is spoken.
pub const SAMPLE_RATE: u32 = 24_000;

/// Speech tokens a second.
pub const TOKEN_RATE: u32 = 25;

/// The most mel frames a token may stand for; the memory of a request grows with it.
const MAX_RATIO: usize = 8;

/// The architecture such files name.
pub const ARCHITECTURE: &str = "chatterbox-s3gen";

/// Something that had to be assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigWarning {
    /// The file does not say which variant it is.
    NoVariant {
        /// The key it lacks.
        key: &'static str,
        /// What its tensors are.
        taken: Variant,
    },
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::NoVariant { key, taken } = self;
        write!(f, "the file has no key '{key}'; its tensors are those of {}", taken.name())
    }
}

/// Which S3Gen it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Mean flow in two steps without guidance.
    Turbo,
    /// Ten steps with guidance, of the multilingual and the original English model.
    Multilingual,
}

impl Variant {
    /// As `s3gen.variant` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Turbo => "turbo",
            Self::Multilingual => "mtl",
        }
    }

    /// The variant of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Turbo, Self::Multilingual].into_iter().find(|variant| variant.name() == name)
    }
}

/// Everything about an S3Gen but its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct S3GenConfig {
    /// Which one it is.
    pub variant: Variant,
    /// Tokens to the mean of the mel spectrogram.
    pub flow: FlowConfig,
    /// From noise to the mel spectrogram.
    pub cfm: CfmConfig,
    /// From the mel spectrogram to samples.
    pub hift: HiftConfig,
    /// What the file left open.
    pub warnings: Vec<ConfigWarning>,
}

impl S3GenConfig {
    /// Reads and checks a file's configuration.
    ///
    /// # Errors
    /// [`ModelError::Family`] for another family, otherwise what is missing, contradictory or unsupported, by name.
    pub fn read(file: &GgufFile) -> Result<Self, ModelError> {
        let found = file.get_str("general.architecture")?.unwrap_or_default();
        if found != ARCHITECTURE {
            return Err(ModelError::Family { found: found.to_owned(), wanted: ARCHITECTURE });
        }
        let flow = FlowConfig::read(file)?;
        let cfm = CfmConfig::read(file, flow.bins)?;
        let hift = HiftConfig::read(file, flow.bins)?;
        let frames = (TOKEN_RATE as usize).saturating_mul(flow.ratio);
        if hift.frame_samples().saturating_mul(frames) != SAMPLE_RATE as usize || flow.ratio > MAX_RATIO {
            let what = format!("{} frames of {} samples for a token", flow.ratio, hift.frame_samples());
            return Err(ModelError::Unsupported { what });
        }
        let variant = if cfm.meanflow { Variant::Turbo } else { Variant::Multilingual };
        let warnings = check_variant(file, variant)?;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        Ok(Self { variant, flow, cfm, hift, warnings })
    }

    /// Samples of a mel frame.
    pub fn frame_samples(&self) -> usize {
        self.hift.frame_samples()
    }
}

/// Holds the keys about the variant against the tensors.
fn check_variant(file: &GgufFile, variant: Variant) -> Result<Vec<ConfigWarning>, ModelError> {
    let bad = |key: &str, found: String| {
        let reason = format!("its tensors are those of '{}'", variant.name());
        ModelError::BadKey { key: key.to_owned(), found, reason }
    };
    let mut warnings = Vec::new();
    let key = "s3gen.variant";
    match file.get_str(key)? {
        None => warnings.push(ConfigWarning::NoVariant { key, taken: variant }),
        Some(name) if name != variant.name() => return Err(bad(key, format!("'{name}'"))),
        Some(_) => {}
    }
    let key = "s3gen.meanflow";
    match file.get_bool(key)? {
        None => warnings.push(ConfigWarning::NoVariant { key, taken: variant }),
        Some(says) if says != (variant == Variant::Turbo) => return Err(bad(key, says.to_string())),
        Some(_) => {}
    }
    Ok(warnings)
}

/// Holds a key, where the file has it, against what the tensors say.
///
/// # Errors
/// [`ModelError::BadKey`] for a contradiction or a value of another type.
pub(crate) fn agree(file: &GgufFile, key: &str, tensors: usize) -> Result<(), ModelError> {
    match file.get_usize(key)? {
        Some(found) if found != tensors => {
            let reason = format!("the tensors say {tensors}");
            Err(ModelError::BadKey { key: key.to_owned(), found: found.to_string(), reason })
        }
        _ => Ok(()),
    }
}

/// The tensors of the modules whose names end in `/w` and `/b`.
pub(crate) fn short(file: &GgufFile) -> Tensors<'_> {
    Tensors::new(file, Ending::Short)
}

/// The tensors of the modules whose names end in `/weight` and `/bias`.
pub(crate) fn long(file: &GgufFile) -> Tensors<'_> {
    Tensors::new(file, Ending::Long)
}

/// An error about a tensor whose shape makes no sense with the others.
pub(crate) fn unsupported(what: impl Into<String>) -> ModelError {
    ModelError::Unsupported { what: what.into() }
}
