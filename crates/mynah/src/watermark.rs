//! A watermark on recordings, and whether there is one: PerTh, which chatterbox-tts puts on all it says. Here it is put on nothing
//! unless somebody asks for it.

use crate::device::{Devices, open_devices};
use crate::error::Error;
use crate::transcriber::Options;
use mynah_audio::AudioStream;
use mynah_gguf::GgufFile;
use mynah_models::perth::Perth;
use std::path::Path;
use std::sync::Arc;

pub use mynah_models::perth::{Branch, Detection, PerthError};

/// Puts watermarks on recordings and finds them.
///
/// ```no_run
/// use mynah::{AudioStream, Options, Watermark};
///
/// let mut perth = Watermark::open("perth.gguf", &Options::default())?;
/// let (samples, rate) = perth.read(AudioStream::open("talk.mp3").map_err(mynah::Error::from)?)?;
/// let marked = perth.apply(&samples, rate)?;
/// assert!(perth.detect(&marked, rate)?.is_marked());
/// # Ok::<(), mynah::Error>(())
/// ```
pub struct Watermark {
    model: Perth,
}

impl Watermark {
    /// Loads a GGUF file that `mynah convert` made of resemble-perth's checkpoint.
    ///
    /// # Errors
    /// What is wrong with the file, the options or the device.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self, Error> {
        Self::on(GgufFile::open(path)?, open_devices(options.device, options.threads)?, options)
    }

    /// Loads a GGUF file on devices that are open already; the device and threads of the options don't count.
    ///
    /// # Errors
    /// What is wrong with the file or the options.
    pub fn on(file: GgufFile, devices: Devices, options: &Options) -> Result<Self, Error> {
        let Devices { device, fallback } = devices;
        let executor = options.executor(device.as_ref())?;
        Ok(Self { model: Perth::load(Arc::new(file), device, fallback, executor)? })
    }

    /// The model below, for tools that look inside.
    pub fn model(&mut self) -> &mut Perth {
        &mut self.model
    }

    /// All samples of a recording, its channels averaged, and their rate in Hz, which is the recording's own: what
    /// [`Watermark::apply`] and [`Watermark::detect`] want.
    ///
    /// # Errors
    /// What decoding the audio reports.
    pub fn read(&self, audio: AudioStream) -> Result<(Vec<f32>, u32), Error> {
        // Some codecs tell their rate with the first packet only.
        let rate = match audio.source_info().rate {
            0 => self.model.config().sample_rate,
            rate => rate,
        };
        Ok((audio.at_rate(rate)?.read_all()?, rate))
    }

    /// Mono `samples` at `rate` Hz, nominally between −1 and 1, with a watermark; as many as there were, and silence as it is. It is
    /// made of the whole: marking parts one by one gives something else.
    ///
    /// # Errors
    /// [`Error::Watermark`] for less than a window of 32 ms, for samples that are no numbers, for a rate out of range, or with what
    /// running the network reports.
    pub fn apply(&mut self, samples: &[f32], rate: u32) -> Result<Vec<f32>, Error> {
        Ok(self.model.apply(samples, rate)?)
    }

    /// Whether mono `samples` at `rate` Hz have a watermark.
    ///
    /// # Errors
    /// As [`Watermark::apply`], and for silence, in which there can be none.
    pub fn detect(&mut self, samples: &[f32], rate: u32) -> Result<Detection, Error> {
        Ok(self.model.detect(samples, rate)?)
    }
}
