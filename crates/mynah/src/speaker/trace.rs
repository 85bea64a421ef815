//! Every stage of a text that is said, for tools that compare two ways to compute.

use super::{SpeakOptions, Speaker, SpeakerVoice, audio, draws};
use crate::error::Error;
use mynah_models::chatterbox::noise::Philox;
use mynah_models::chatterbox::{s3gen, t3};

/// Every stage of a piece.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeakTrace {
    /// Logits and tokens, step by step.
    pub t3: t3::Followed,
    /// Numbers of a row of logits.
    pub vocabulary: usize,
    /// From tokens to samples.
    pub s3gen: s3gen::Trace,
}

impl Speaker {
    /// Says the first piece of a text and keeps every stage, led along the tokens that another speaker drew (its
    /// [`t3::Followed::path`]), or freely. The latter gives what [`Speaker::say`] gives without second attempts and analyser.
    ///
    /// # Errors
    /// As [`Speaker::say`]; [`s3gen::S3GenError::NoTokens`] if speech ends before it has begun.
    pub fn trace(
        &mut self,
        text: &str,
        voice: &SpeakerVoice,
        options: &SpeakOptions,
        along: Option<&[i32]>,
    ) -> Result<SpeakTrace, Error> {
        let pieces = self.pieces(text, options)?;
        let ids = pieces.first().map_or(&[][..], |piece| piece.ids.as_slice());
        let settings = self.settings(voice, options, ids.len());
        let noise = Philox::new(options.seed);
        let path = along.map_or(t3::Path::Free(settings.max_tokens), t3::Path::Along);
        let sampling = settings.sampling;
        let followed = self.t3.follow(&voice.conditioning, ids, sampling, &mut draws(&noise), path)?;
        let tokens = audio(&self.t3.config().speech(&followed.path));
        let request = s3gen::Request { voice: &voice.s3gen, tokens: &tokens, noise: &noise };
        let sound = self.s3gen.trace(&request, options.steps)?;
        Ok(SpeakTrace { vocabulary: self.t3.config().speech_vocabulary, t3: followed, s3gen: sound })
    }
}
