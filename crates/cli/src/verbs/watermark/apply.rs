//! `mynah watermark apply`: one recording in, the same with a watermark out.

use crate::exit::Exit;
use crate::flags::{ModelFlags, VolumeFlags};
use crate::{interrupt, notes};
use anyhow::Context as _;
use clap::Args;
use mynah::{Error, PerthError};
use mynah_audio::write_wav_i16;
use std::path::PathBuf;

/// Flags of `mynah watermark apply`.
#[derive(Args, Debug)]
pub(super) struct Apply {
    /// The recording, in any format; - is standard input
    #[arg(value_name = "IN")]
    input: PathBuf,

    /// The WAV file to write, of 16 bits and one channel at the recording's rate; may be IN
    #[arg(value_name = "OUT")]
    output: PathBuf,

    #[command(flatten)]
    model: ModelFlags,

    #[command(flatten)]
    volume: VolumeFlags,
}

impl Apply {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let volume = self.volume.volume();
        let mut watermark = super::named(&self.model, volume)?;
        let blame = || format!("can't put a watermark on {}", self.input.display());
        let (samples, rate) = super::read(&watermark, &self.input).with_context(blame)?;
        let mut marked = watermark.apply(&samples, rate).with_context(blame)?;
        interrupt::unbroken(|| write_wav_i16(&self.output, rate, &marked))
            .with_context(|| format!("can't write {}", self.output.display()))?;
        // What the file holds is clipped.
        marked.iter_mut().for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
        let found = match watermark.detect(&marked, rate) {
            Ok(found) => Some(found.score).filter(|_| found.is_marked()),
            Err(Error::Watermark(error)) if matches!(*error, PerthError::Silent) => None,
            Err(error) => return Err(error).with_context(blame),
        };
        match found {
            Some(score) => volume.note(&format!("the detector finds the watermark, score {score:.3}")),
            None => notes::warn(&format!(
                "the detector doesn't find the watermark in {}: there is too little sound in it",
                self.output.display()
            )),
        }
        Ok(Exit::Success)
    }
}
