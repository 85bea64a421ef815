//! The voice that comes with a model: half of it in the file of T3, half in that of S3Gen.

use super::arrays::{floats, integers};
use super::config::PromptConfig;
use super::error::VoiceError;
use super::profile::{PROMPT_MELS, Voice, VoiceParts, VoiceSource};
use mynah_gguf::GgufFile;

impl VoiceParts {
    /// What the two files hold of a voice. Files of models without one hold nothing.
    ///
    /// # Errors
    /// [`VoiceError::Part`] or [`VoiceError::Model`] for arrays that can't be.
    pub fn built_in(t3: &GgufFile, s3gen: &GgufFile) -> Result<Self, VoiceError> {
        let s3 = |part: &str| format!("s3gen/builtin/{part}");
        let t3_tokens = "chatterbox/builtin/cond_prompt_speech_tokens";
        let parts = Self {
            name: "default".into(),
            source: Some(VoiceSource::BuiltIn),
            kind: Some(PromptConfig::read(t3)?.variant()),
            speaker_embedding: floats(t3, "chatterbox/builtin/speaker_emb", "speaker_emb", None)?,
            t3_prompt_tokens: integers(t3, t3_tokens, "cond_prompt_speech_tokens")?,
            embedding: floats(s3gen, &s3("embedding"), "embedding", None)?,
            prompt_tokens: integers(s3gen, &s3("prompt_token"), "prompt_token")?,
            prompt_feat: floats(s3gen, &s3("prompt_feat"), "prompt_feat", Some(PROMPT_MELS))?,
        };
        parts.check()?;
        Ok(parts)
    }
}

impl Voice {
    /// The voice that comes with a model.
    ///
    /// # Errors
    /// [`VoiceError::Incomplete`] for files without one, and those of [`VoiceParts::built_in`].
    pub fn built_in(t3: &GgufFile, s3gen: &GgufFile) -> Result<Self, VoiceError> {
        VoiceParts::built_in(t3, s3gen)?.complete()
    }
}
