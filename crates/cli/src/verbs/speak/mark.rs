//! `--watermark`: holds back what is said until all of it is there, since the mark is made of the whole.

use crate::exit::Usage;
use crate::flags::ModelFlags;
use crate::notes::Volume;
use crate::verbs::watermark;
use anyhow::Context as _;
use mynah::{SPEECH_RATE, Speaker, Watermark};
use std::path::Path;

/// Speech that is to get a watermark.
pub(super) struct Marked {
    watermark: Watermark,
    samples: Vec<f32>,
}

/// Refuses what can't be marked, before anything is loaded.
///
/// # Errors
/// [`Usage`] for a stream, whose beginning is given out before its end is known.
pub(super) fn check(watermark: Option<&Path>, stream: bool) -> Result<(), Usage> {
    if watermark.is_none() || !stream {
        return Ok(());
    }
    let hint = "leave out --stream, or mark the finished file with `mynah watermark apply`";
    Err(Usage::new(
        "a watermark is made of the whole speech, and --stream gives it out before that is there",
        hint,
    ))
}

impl Marked {
    /// Loads the network beside the speaker's models.
    ///
    /// # Errors
    /// A file that is not there or of another family.
    pub(super) fn open(
        path: Option<&Path>,
        speaker: &Speaker,
        flags: &ModelFlags,
        volume: Volume,
    ) -> anyhow::Result<Option<Self>> {
        let open = |path| watermark::open(path, Some(speaker.devices()), flags, volume);
        Ok(path.map(open).transpose()?.map(|watermark| Self { watermark, samples: Vec::new() }))
    }

    /// Keeps samples.
    pub(super) fn hold(&mut self, samples: &[f32]) {
        self.samples.extend_from_slice(samples);
    }

    /// All of it with its watermark; nothing if nothing was said.
    ///
    /// # Errors
    /// What running the network reports.
    pub(super) fn finish(mut self) -> anyhow::Result<Vec<f32>> {
        if self.samples.is_empty() {
            return Ok(self.samples);
        }
        self.watermark.apply(&self.samples, SPEECH_RATE).context("can't put the watermark on the speech")
    }
}
