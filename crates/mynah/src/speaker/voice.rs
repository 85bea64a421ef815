//! Voices as a loaded speaker takes them, and the making of new ones.

use super::Speaker;
use crate::error::Error;
use mynah_models::chatterbox::s3gen::{S3Voice, Variant};
use mynah_models::chatterbox::t3::{Conditioning, T3Voice};
use mynah_models::chatterbox::voice::{Made, MakeOptions, Voice, VoiceError, VoiceMaker, VoiceParts};
use std::sync::Arc;

/// Exaggeration of a voice as it was recorded.
const NEUTRAL: f32 = 0.5;

/// The models of a kind, in a sentence.
pub(super) fn kind_name(kind: Variant) -> &'static str {
    match kind {
        Variant::Turbo => "Turbo",
        Variant::Multilingual => "Multilingual or English",
    }
}

/// A voice made ready for one [`Speaker`]; made once and used for any number of texts.
#[derive(Clone, Debug)]
pub struct SpeakerVoice {
    pub(super) conditioning: Conditioning,
    pub(super) s3gen: S3Voice,
}

impl SpeakerVoice {
    /// What T3 begins with.
    pub fn conditioning(&self) -> &Conditioning {
        &self.conditioning
    }

    /// What S3Gen goes on from.
    pub fn s3gen(&self) -> &S3Voice {
        &self.s3gen
    }

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
    pub fn built_in_voice(&self) -> Result<Voice, Error> {
        let [t3, s3gen] = &self.files;
        match VoiceParts::built_in(t3, s3gen)?.complete() {
            Err(VoiceError::Incomplete { .. }) => Err(Error::NoVoice),
            voice => Ok(voice?),
        }
    }

    /// What is missing of a voice, taken from the one that the files bring along.
    ///
    /// # Errors
    /// What is missing of both, or what is wrong with them.
    pub fn completed(&self, parts: VoiceParts) -> Result<Voice, Error> {
        let [t3, s3gen] = &self.files;
        Ok(parts.or(VoiceParts::built_in(t3, s3gen)?).complete()?)
    }

    /// Makes a voice of a recording: mono `samples` at `rate` Hz. What only that needs of the models is loaded for it and then dropped.
    ///
    /// # Errors
    /// A recording that is too short or silent, files converted without encoders, what running them reports.
    pub fn make_voice(&self, samples: &[f32], rate: u32, options: &MakeOptions) -> Result<Made, Error> {
        let [t3, s3gen] = self.files.each_ref().map(Arc::clone);
        let (device, fallback) = (Arc::clone(&self.devices.device), self.devices.fallback.clone());
        let mut maker = VoiceMaker::load(t3, s3gen, device, fallback, self.executor.clone())?;
        Ok(maker.make(samples, rate, options)?)
    }

    /// Makes a voice ready to be spoken with.
    ///
    /// # Errors
    /// [`Error::VoiceKind`] for a voice that was made for the other kind of model; one of other sizes than the models', what running
    /// them reports.
    pub fn ready(&mut self, voice: &Voice) -> Result<SpeakerVoice, Error> {
        self.check_kind(voice)?;
        let t3 = T3Voice {
            speaker_embedding: voice.speaker_embedding().to_vec(),
            prompt_tokens: voice.t3_prompt_tokens().to_vec(),
            exaggeration: NEUTRAL,
        };
        // What is below zero is no token, and is refused with those that are too large.
        let tokens = voice.prompt_tokens().iter().map(|&token| u32::try_from(token).unwrap_or(u32::MAX));
        let (mel, embedding) = (voice.prompt_feat().to_vec(), voice.embedding().to_vec());
        let s3gen = S3Voice::new(self.s3gen.config(), tokens.collect(), mel, embedding)?;
        Ok(SpeakerVoice { conditioning: self.t3.condition(&t3)?, s3gen })
    }

    /// Turbo hears 15 seconds of a voice, made louder, the others 6 seconds as they are. Where a voice doesn't say which, more than 6
    /// seconds can only be Turbo's.
    fn check_kind(&self, voice: &Voice) -> Result<(), Error> {
        let config = self.t3.config();
        let model = config.variant();
        let longer = voice.t3_prompt_tokens().len() > config.prompt;
        let turbo = (model == Variant::Multilingual && longer).then_some(Variant::Turbo);
        match voice.kind().or(turbo) {
            Some(kind) if kind != model => {
                Err(Error::VoiceKind { voice: kind_name(kind), model: kind_name(model) })
            }
            _ => Ok(()),
        }
    }
}
