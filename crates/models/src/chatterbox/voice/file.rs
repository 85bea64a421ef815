//! A voice as one file: a small GGUF of architecture `chatterbox-voice`, for which reader, writer and checks are there already.
//!
//! Keys: `general.name`, `voice.version` (1), `voice.source`, `voice.kind` (`turbo` or `mtl`, where it is known). Tensors, each optional for [`VoiceParts`]: `voice/speaker_emb` F32 [256],
//! `voice/cond_prompt_speech_tokens` I32, `voice/embedding` F32 [192], `voice/prompt_token` I32, `voice/prompt_feat` F32 [frames, 80].

use super::arrays::{floats, integers};
use super::error::VoiceError;
use super::profile::{PROMPT_MELS, Voice, VoiceParts, VoiceSource};
use crate::chatterbox::s3gen::Variant;
use mynah_gguf::{GgufFile, GgufWriter};
use mynah_tensor::DType;
use std::path::Path;

/// `general.architecture` of a voice's file.
pub const ARCHITECTURE: &str = "chatterbox-voice";
const VERSION: u32 = 1;

impl VoiceParts {
    /// Reads a voice, or part of one, from a folder of `.npy` files or from a voice file.
    ///
    /// # Errors
    /// [`VoiceError::NotAVoice`] for anything else, and what is wrong with what is there.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, VoiceError> {
        let path = path.as_ref();
        if path.is_dir() {
            return Self::read_folder(path);
        }
        if let Err(source) = std::fs::metadata(path) {
            return Err(VoiceError::Io { doing: "read", path: path.to_owned(), source });
        }
        let not = |reason: String| VoiceError::NotAVoice { path: path.to_owned(), reason };
        let file = GgufFile::open(path).map_err(|e| not(e.to_string()))?;
        let mut parts = Self::read_file(&file)?.ok_or_else(|| {
            not(format!("it is a GGUF file, but its general.architecture is not {ARCHITECTURE:?}"))
        })?;
        if parts.name.is_empty() {
            parts.name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        }
        Ok(parts)
    }

    /// What a voice file holds; `None` for a GGUF file of another kind.
    ///
    /// # Errors
    /// [`VoiceError::Part`] for an array of another kind or shape, [`VoiceError::Model`] for one that can't be read or a version that
    /// isn't known.
    pub fn read_file(file: &GgufFile) -> Result<Option<Self>, VoiceError> {
        if file.get_str("general.architecture")? != Some(ARCHITECTURE) {
            return Ok(None);
        }
        let version = file.get_u32("voice.version")?.unwrap_or(VERSION);
        if version > VERSION {
            let what = format!("version {version} of voice files");
            return Err(crate::ModelError::Unsupported { what }.into());
        }
        let parts = Self {
            name: file.get_str("general.name")?.unwrap_or_default().to_owned(),
            source: Some(file.get_str("voice.source")?.map_or(VoiceSource::Files, VoiceSource::from_name)),
            kind: file.get_str("voice.kind")?.and_then(Variant::from_name),
            speaker_embedding: floats(file, "voice/speaker_emb", "speaker_emb", None)?,
            t3_prompt_tokens: integers(file, "voice/cond_prompt_speech_tokens", "cond_prompt_speech_tokens")?,
            embedding: floats(file, "voice/embedding", "embedding", None)?,
            prompt_tokens: integers(file, "voice/prompt_token", "prompt_token")?,
            prompt_feat: floats(file, "voice/prompt_feat", "prompt_feat", Some(PROMPT_MELS))?,
        };
        parts.check()?;
        Ok(Some(parts))
    }
}

impl Voice {
    /// Reads a whole voice from a folder of `.npy` files or from a voice file.
    ///
    /// # Errors
    /// Those of [`VoiceParts::load`] and [`VoiceParts::complete`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, VoiceError> {
        VoiceParts::load(path)?.complete()
    }

    /// Writes a voice file. It appears whole or not at all.
    ///
    /// # Errors
    /// [`VoiceError::Model`] when the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), VoiceError> {
        Ok(self.writer()?.write_file(path)?)
    }

    /// The bytes of a voice file.
    ///
    /// # Errors
    /// [`VoiceError::Model`] if the writer refuses its own arrays (a defect).
    pub fn to_bytes(&self) -> Result<Vec<u8>, VoiceError> {
        let mut bytes = Vec::new();
        self.writer()?.write_to(&mut bytes)?;
        Ok(bytes)
    }

    fn writer(&self) -> Result<GgufWriter<'_>, VoiceError> {
        let mut writer = GgufWriter::new();
        writer.set("general.architecture", ARCHITECTURE).set("general.name", self.name());
        writer.set("voice.version", VERSION).set("voice.source", self.source().name());
        if let Some(kind) = self.kind() {
            writer.set("voice.kind", kind.name());
        }
        let vectors = [("speaker_emb", self.speaker_embedding()), ("embedding", self.embedding())];
        for (name, values) in vectors {
            let bytes = le_bytes(values, f32::to_le_bytes);
            writer.tensor(format!("voice/{name}"), DType::F32, &[values.len()], move |out| {
                out.write_all(&bytes)
            })?;
        }
        let tokens =
            [("cond_prompt_speech_tokens", self.t3_prompt_tokens()), ("prompt_token", self.prompt_tokens())];
        for (name, values) in tokens {
            let bytes = le_bytes(values, i32::to_le_bytes);
            writer.tensor(format!("voice/{name}"), DType::I32, &[values.len()], move |out| {
                out.write_all(&bytes)
            })?;
        }
        let bytes = le_bytes(self.prompt_feat(), f32::to_le_bytes);
        let shape = [self.prompt_frames(), PROMPT_MELS];
        writer.tensor("voice/prompt_feat", DType::F32, &shape, move |out| out.write_all(&bytes))?;
        Ok(writer)
    }
}

fn le_bytes<T: Copy>(values: &[T], bytes: impl Fn(T) -> [u8; 4]) -> Vec<u8> {
    values.iter().flat_map(|&v| bytes(v)).collect()
}
