//! A loaded speech recogniser and how to use it.

use crate::batch::Batch;
use crate::device::{DeviceChoice, Devices, open_devices};
use crate::error::Error;
use crate::{Progress, builtin_file};
use mynah_audio::{AudioStream, PieceConfig};
use mynah_device::{Device, Policy, Precision};
use mynah_gguf::GgufFile;
use mynah_models::parakeet::{Head, LoadOptions, Parakeet, Window};
use mynah_text::Transcript;
use std::path::Path;
use std::sync::Arc;

/// How a model is loaded.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where it runs.
    pub device: DeviceChoice,
    /// Threads; `None` for as many as the machine has.
    pub threads: Option<usize>,
    /// Exact or fast.
    pub precision: Precision,
    /// Switches of single routes, such as `int8-dot=off`.
    pub routes: String,
    /// Refuse a model the device can't run whole, instead of running the rest on the CPU.
    pub strict: bool,
    /// Overrules the file's attention: `Some(None)` is full, `Some(Some([left, right]))` local, in encoder frames.
    pub attention: Option<Option<Window>>,
}

impl Options {
    /// What a device's routes and the options make of a plan's own: precision, routes, whether all must run there.
    ///
    /// # Errors
    /// [`Error::Option`] for a route that the device doesn't have.
    pub fn executor(&self, device: &dyn Device) -> Result<mynah_plan::Options, Error> {
        let mut policy = Policy { precision: self.precision, ..Policy::default() };
        policy
            .switch(&self.routes, device.routes())
            .map_err(|reason| Error::Option { option: "--route", reason })?;
        Ok(mynah_plan::Options { policy, strict: self.strict, ..mynah_plan::Options::default() })
    }
}

/// How audio is transcribed.
#[derive(Clone, Debug, Default)]
pub struct TranscribeOptions {
    /// The decoder head; `None` for the model's default.
    pub head: Option<Head>,
    /// How long audio is cut.
    pub pieces: PieceConfig,
    /// Pieces of audio encoded and decoded together; 0 lets short recordings share a run where that is faster.
    pub batch: usize,
}

/// A speech recogniser.
pub struct Transcriber {
    pub(crate) model: Parakeet,
}

impl Transcriber {
    /// Loads a GGUF file.
    ///
    /// # Errors
    /// What is wrong with the file, the options or the device.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self, Error> {
        Self::load(GgufFile::open(path)?, options)
    }

    /// Loads the model inside the binary.
    ///
    /// # Errors
    /// [`Error::NoModel`] when it was built without one.
    pub fn builtin(options: &Options) -> Result<Self, Error> {
        Self::load(builtin_file()?, options)
    }

    fn load(file: GgufFile, options: &Options) -> Result<Self, Error> {
        Self::on(file, open_devices(options.device, options.threads)?, options)
    }

    /// Loads a GGUF file on devices that are open already; the device and threads of the options don't count.
    ///
    /// # Errors
    /// What is wrong with the file or the options.
    pub fn on(file: GgufFile, devices: Devices, options: &Options) -> Result<Self, Error> {
        let Devices { device, fallback } = devices;
        let executor = options.executor(device.as_ref())?;
        let load = LoadOptions { executor, attention: options.attention };
        Ok(Self { model: Parakeet::load(Arc::new(file), device, fallback, load)? })
    }

    /// Another user of the same weights, to transcribe at the same time on another thread.
    ///
    /// # Errors
    /// When the device can't give it.
    pub fn fork(&self) -> Result<Self, Error> {
        Ok(Self { model: self.model.fork()? })
    }

    /// The model below, for tools that look inside.
    pub fn model(&mut self) -> &mut Parakeet {
        &mut self.model
    }

    /// Transcribes one recording of any length in bounded memory. `progress` is called after every piece.
    ///
    /// # Errors
    /// What decoding the audio or running the model reports.
    pub fn transcribe(
        &mut self,
        audio: AudioStream,
        options: &TranscribeOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Transcript, Error> {
        let mut result = None;
        let mut inputs = std::iter::once(((), Ok(audio)));
        Batch { transcriber: self, options }
            .run(&mut inputs, progress, &mut |finished| result = Some(finished.result))?;
        result.unwrap_or(Err(Error::NoModel))
    }
}
