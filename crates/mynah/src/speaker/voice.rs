//! Voices as a loaded speaker takes them.

use super::Speaker;
use crate::error::Error;
use mynah_models::chatterbox::s3gen::S3Voice;
use mynah_models::chatterbox::t3::{Conditioning, T3Voice};

/// A voice made ready for one [`Speaker`]; made once and used for any number of texts.
#[derive(Clone, Debug)]
pub struct SpeakerVoice {
    pub(super) conditioning: Conditioning,
    pub(super) s3gen: S3Voice,
}

impl SpeakerVoice {
    /// How excited the voice is, 0.5 as it was recorded; Turbo doesn't have it.
    pub fn exaggerate(&mut self, exaggeration: f32) {
        self.conditioning.exaggeration = exaggeration;
    }
}

impl Speaker {
    /// The voice that the files bring along.
    ///
    /// # Errors
    /// That they bring none, or what is wrong with it.
    pub fn built_in_voice(&mut self) -> Result<SpeakerVoice, Error> {
        let t3 = T3Voice::builtin(&self.files[0])?.ok_or(Error::NoVoice)?;
        let s3gen = S3Voice::built_in(&self.files[1], self.s3gen.config())?.ok_or(Error::NoVoice)?;
        self.ready(&t3, s3gen)
    }

    /// A voice given by what both models want of it.
    ///
    /// # Errors
    /// A voice of other sizes than the models'.
    pub fn ready(&mut self, t3: &T3Voice, s3gen: S3Voice) -> Result<SpeakerVoice, Error> {
        Ok(SpeakerVoice { conditioning: self.t3.condition(t3)?, s3gen })
    }
}
