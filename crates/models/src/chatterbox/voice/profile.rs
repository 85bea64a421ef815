//! What a voice is: the five arrays that Chatterbox is conditioned on, checked once here so that the models above need not.
//!
//! They come from a recording (`maker.rs`), from files (`folder.rs`, `file.rs`) or from a model (`builtin.rs`), whole or in part:
//! [`VoiceParts`] takes what is there and becomes a [`Voice`] when nothing is missing.

use super::error::VoiceError;
use crate::chatterbox::s3gen::Variant;

/// S3 speech tokens are below this.
pub const SPEECH_TOKENS: usize = 6561;
/// Mel bands of the prompt.
pub const PROMPT_MELS: usize = 80;
/// Mel frames of a token: 50 frames and 25 tokens a second.
pub const FRAMES_PER_TOKEN: usize = 2;
/// Tokens, mel frames and channels are fewer than this: a prompt of ten minutes.
const MOST: usize = 30_000;
/// An utterance's last frames may have no token of their own; a prompt whose halves differ by more is of two recordings.
const SLACK: usize = 4;

/// Where a voice comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiceSource {
    /// The voice inside the model files.
    BuiltIn,
    /// A recording.
    Recording,
    /// Files that don't say.
    Files,
    /// More than one of these.
    Mixed,
}

impl VoiceSource {
    /// As written in voice files.
    pub fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Recording => "recording",
            Self::Files => "files",
            Self::Mixed => "mixed",
        }
    }

    /// The source of this name; [`VoiceSource::Files`] for one that isn't known.
    pub fn from_name(name: &str) -> Self {
        let all = [Self::BuiltIn, Self::Recording, Self::Mixed];
        all.into_iter().find(|s| s.name() == name).unwrap_or(Self::Files)
    }
}

/// A whole voice. Its arrays are finite, its tokens in range, and its prompt has two mel frames for each token.
#[derive(Clone, Debug, PartialEq)]
pub struct Voice {
    name: String,
    source: VoiceSource,
    kind: Option<Variant>,
    speaker_embedding: Vec<f32>,
    t3_prompt_tokens: Vec<i32>,
    embedding: Vec<f32>,
    prompt_tokens: Vec<i32>,
    prompt_feat: Vec<f32>,
}

impl Voice {
    /// What the voice is called; may be empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same voice under another name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Where it comes from.
    pub fn source(&self) -> VoiceSource {
        self.source
    }

    /// The models it was made for; `None` if nobody says. Multilingual stands for the original English model, too.
    pub fn kind(&self) -> Option<Variant> {
        self.kind
    }

    /// `[256]`, of length one: what the voice encoder says of the speaker (`speaker_emb`), for T3.
    pub fn speaker_embedding(&self) -> &[f32] {
        &self.speaker_embedding
    }

    /// Speech tokens of the recording (`cond_prompt_speech_tokens`), for T3: at most 150 or 375 by the model.
    pub fn t3_prompt_tokens(&self) -> &[i32] {
        &self.t3_prompt_tokens
    }

    /// `[192]`: CAMPPlus' x-vector, for S3Gen.
    pub fn embedding(&self) -> &[f32] {
        &self.embedding
    }

    /// Speech tokens that S3Gen goes on from (`prompt_token`).
    pub fn prompt_tokens(&self) -> &[i32] {
        &self.prompt_tokens
    }

    /// `[2 · prompt_tokens, 80]`: log-mel frames of the same stretch at 24 kHz (`prompt_feat`).
    pub fn prompt_feat(&self) -> &[f32] {
        &self.prompt_feat
    }

    /// Mel frames of [`Voice::prompt_feat`].
    pub fn prompt_frames(&self) -> usize {
        self.prompt_feat.len() / PROMPT_MELS
    }
}

/// A voice of which something may be missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VoiceParts {
    /// What it is called.
    pub name: String,
    /// Where it comes from, if anything is there.
    pub source: Option<VoiceSource>,
    /// See [`Voice::kind`].
    pub kind: Option<Variant>,
    /// See [`Voice::speaker_embedding`].
    pub speaker_embedding: Option<Vec<f32>>,
    /// See [`Voice::t3_prompt_tokens`].
    pub t3_prompt_tokens: Option<Vec<i32>>,
    /// See [`Voice::embedding`].
    pub embedding: Option<Vec<f32>>,
    /// See [`Voice::prompt_tokens`].
    pub prompt_tokens: Option<Vec<i32>>,
    /// See [`Voice::prompt_feat`].
    pub prompt_feat: Option<Vec<f32>>,
}

impl From<Voice> for VoiceParts {
    fn from(voice: Voice) -> Self {
        Self {
            name: voice.name,
            source: Some(voice.source),
            kind: voice.kind,
            speaker_embedding: Some(voice.speaker_embedding),
            t3_prompt_tokens: Some(voice.t3_prompt_tokens),
            embedding: Some(voice.embedding),
            prompt_tokens: Some(voice.prompt_tokens),
            prompt_feat: Some(voice.prompt_feat),
        }
    }
}

impl VoiceParts {
    /// What is here, and what is missing from `others`. The prompt's tokens and mel frames belong together: both are taken from
    /// `others` unless both are here.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        let own_prompt = self.prompt_tokens.is_some() && self.prompt_feat.is_some();
        let whole = self.missing().is_empty();
        let (prompt_tokens, prompt_feat) = if own_prompt {
            (self.prompt_tokens, self.prompt_feat)
        } else {
            (others.prompt_tokens, others.prompt_feat)
        };
        let source = match (self.source, others.source) {
            (Some(own), Some(other)) if own != other && !whole => Some(VoiceSource::Mixed),
            (own, other) => own.or(other),
        };
        Self {
            name: if self.name.is_empty() { others.name } else { self.name },
            source,
            kind: self.kind.or(others.kind),
            speaker_embedding: self.speaker_embedding.or(others.speaker_embedding),
            t3_prompt_tokens: self.t3_prompt_tokens.or(others.t3_prompt_tokens),
            embedding: self.embedding.or(others.embedding),
            prompt_tokens,
            prompt_feat,
        }
    }

    /// Names of the arrays that aren't there, as the original's files are called.
    pub fn missing(&self) -> Vec<&'static str> {
        let there = [
            ("speaker_emb", self.speaker_embedding.is_some()),
            ("cond_prompt_speech_tokens", self.t3_prompt_tokens.is_some()),
            ("embedding", self.embedding.is_some()),
            ("prompt_token", self.prompt_tokens.is_some()),
            ("prompt_feat", self.prompt_feat.is_some()),
        ];
        there.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect()
    }

    /// Checks every array that is there.
    ///
    /// # Errors
    /// [`VoiceError::Part`] for one that is empty or absurdly long, or has values that are not finite or no tokens.
    pub fn check(&self) -> Result<(), VoiceError> {
        let floats = [
            ("speaker_emb", &self.speaker_embedding, MOST),
            ("embedding", &self.embedding, MOST),
            ("prompt_feat", &self.prompt_feat, MOST * FRAMES_PER_TOKEN * PROMPT_MELS),
        ];
        for (part, values, most) in floats {
            let Some(values) = values else { continue };
            length(part, values.len(), most)?;
            if let Some(value) = values.iter().find(|v| !v.is_finite()) {
                return Err(VoiceError::Part { part, reason: format!("contains {value}") });
            }
        }
        let tokens =
            [("cond_prompt_speech_tokens", &self.t3_prompt_tokens), ("prompt_token", &self.prompt_tokens)];
        for (part, tokens) in tokens {
            let Some(tokens) = tokens else { continue };
            length(part, tokens.len(), MOST)?;
            let known = |t: i32| usize::try_from(t).is_ok_and(|t| t < SPEECH_TOKENS);
            if let Some(token) = tokens.iter().find(|&&t| !known(t)) {
                let reason = format!("contains {token}, and tokens are 0 to {}", SPEECH_TOKENS - 1);
                return Err(VoiceError::Part { part, reason });
            }
        }
        if self.prompt_feat.as_ref().is_some_and(|feat| feat.len() % PROMPT_MELS != 0) {
            return Err(VoiceError::Part {
                part: "prompt_feat",
                reason: format!("has no whole frames of {PROMPT_MELS}"),
            });
        }
        Ok(())
    }

    /// The voice, if nothing is missing. A prompt whose mel frames and tokens end at different places, as those of the original do by
    /// a frame, is cut to where both are.
    ///
    /// # Errors
    /// [`VoiceError::Incomplete`], [`VoiceError::Prompt`], and those of [`VoiceParts::check`].
    pub fn complete(self) -> Result<Voice, VoiceError> {
        self.check()?;
        let missing = self.missing().join(", ");
        let (
            Some(speaker_embedding),
            Some(t3_prompt_tokens),
            Some(embedding),
            Some(mut prompt_tokens),
            Some(mut prompt_feat),
        ) = (
            self.speaker_embedding,
            self.t3_prompt_tokens,
            self.embedding,
            self.prompt_tokens,
            self.prompt_feat,
        )
        else {
            return Err(VoiceError::Incomplete { missing });
        };
        let (frames, tokens) = (prompt_feat.len() / PROMPT_MELS, prompt_tokens.len());
        let both = tokens.min(frames / FRAMES_PER_TOKEN);
        if both == 0 || (frames / FRAMES_PER_TOKEN).abs_diff(tokens) > SLACK {
            return Err(VoiceError::Prompt { frames, tokens });
        }
        prompt_tokens.truncate(both);
        prompt_feat.truncate(both * FRAMES_PER_TOKEN * PROMPT_MELS);
        let source = self.source.unwrap_or(VoiceSource::Files);
        let (name, kind) = (self.name, self.kind);
        Ok(Voice {
            name,
            source,
            kind,
            speaker_embedding,
            t3_prompt_tokens,
            embedding,
            prompt_tokens,
            prompt_feat,
        })
    }
}

fn length(part: &'static str, found: usize, most: usize) -> Result<(), VoiceError> {
    match found {
        0 => Err(VoiceError::Part { part, reason: "is empty".into() }),
        n if n > most => {
            Err(VoiceError::Part { part, reason: format!("has {n} elements, more than {most}") })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(tokens: usize, frames: usize) -> VoiceParts {
        VoiceParts {
            name: "somebody".into(),
            source: Some(VoiceSource::Recording),
            kind: Some(Variant::Turbo),
            speaker_embedding: Some(vec![0.1; 256]),
            t3_prompt_tokens: Some(vec![5; 150]),
            embedding: Some(vec![0.2; 192]),
            prompt_tokens: Some(vec![7; tokens]),
            prompt_feat: Some(vec![-1.0; frames * PROMPT_MELS]),
        }
    }

    fn reason(parts: VoiceParts) -> String {
        parts.complete().map_or_else(|e| e.to_string(), |_| "nothing".into())
    }

    #[test]
    fn a_prompt_has_two_frames_for_each_token() {
        for (tokens, frames, both) in
            [(205, 411, 205), (206, 411, 205), (250, 500, 250), (249, 500, 249), (1, 2, 1)]
        {
            let voice = parts(tokens, frames).complete().ok();
            let found = voice.map(|v| (v.prompt_tokens().len(), v.prompt_frames()));
            assert_eq!(found, Some((both, 2 * both)), "{tokens} {frames}");
        }
        for (tokens, frames) in [(250, 400), (100, 500), (1, 1)] {
            assert!(reason(parts(tokens, frames)).contains("two frames"), "{tokens} {frames}");
        }
    }

    #[test]
    fn impossible_arrays_are_named() {
        let fault = |change: fn(&mut VoiceParts)| {
            let mut parts = parts(10, 20);
            change(&mut parts);
            reason(parts)
        };
        for (found, wanted) in [
            (fault(|p| p.embedding = None), "no embedding"),
            (fault(|p| p.speaker_embedding = Some(vec![])), "speaker_emb is empty"),
            (fault(|p| p.speaker_embedding = Some(vec![f32::NAN])), "speaker_emb contains NaN"),
            (fault(|p| p.t3_prompt_tokens = Some(vec![1, 6561])), "6561"),
            (fault(|p| p.prompt_tokens = Some(vec![-1; 10])), "-1"),
            (fault(|p| p.prompt_feat = Some(vec![0.0; 79])), "whole frames"),
            (fault(|p| p.embedding = Some(vec![0.0; 30_001])), "30001"),
        ] {
            assert!(found.contains(wanted), "{found:?} does not say {wanted:?}");
        }
    }

    #[test]
    fn what_is_missing_comes_from_the_others() {
        let some = VoiceParts {
            embedding: Some(vec![9.0; 192]),
            prompt_tokens: Some(vec![1; 10]),
            ..Default::default()
        };
        let voice = some.clone().or(parts(20, 40)).complete().ok();
        let found = voice.map(|v| (v.embedding()[0], v.prompt_tokens().to_vec(), v.source()));
        assert_eq!(found, Some((9.0, vec![7; 20], VoiceSource::Recording)), "a prompt is not mixed");
        let built_in = VoiceParts { source: Some(VoiceSource::BuiltIn), ..parts(20, 40) };
        let own = VoiceParts { source: Some(VoiceSource::Files), ..some };
        assert_eq!(own.or(built_in.clone()).source, Some(VoiceSource::Mixed));
        assert_eq!(parts(20, 40).or(built_in).source, Some(VoiceSource::Recording));
    }
}
