//! Mynah as a library: load a model, hear audio, get words with times.
//!
//! ```no_run
//! use mynah::{AudioStream, Options, TranscribeOptions, Transcriber};
//!
//! let mut ears = Transcriber::open("parakeet-tdt-0.6b-v3-q8_0.gguf", &Options::default())?;
//! let talk = AudioStream::open("talk.mp3").map_err(mynah::Error::from)?;
//! let transcript = ears.transcribe(talk, &TranscribeOptions::default(), &mut |_| {})?;
//! println!("{}", transcript.text);
//! # Ok::<(), mynah::Error>(())
//! ```
//!
//! This crate is the only one with a semver promise; the crates below it may change with any release.

mod batch;
mod builtin;
mod device;
mod error;
mod pipeline;
mod share;
mod transcriber;

pub use batch::{Batch, Finished};
pub use builtin::{BUILTIN_NAME, builtin_bytes, builtin_file, has_builtin};
pub use device::{DeviceChoice, Devices, open_device, open_devices};
pub use error::Error;
pub use transcriber::{Options, TranscribeOptions, Transcriber};

pub use mynah_audio::{AudioError, AudioStream, PieceConfig, StreamStats};
pub use mynah_device::{Device, DeviceReport, Policy, Precision, Route};
pub use mynah_gpu::{Api, GpuChoice, GpuError, GpuInfo, list as list_gpus};
pub use mynah_models::parakeet::{Head, ParakeetConfig};
pub use mynah_text::{Segment, Token, Transcript, Word};

/// How far a transcription is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Seconds of audio heard so far.
    pub seconds: f64,
    /// Seconds in all, where the container knows.
    pub total: Option<f64>,
}
