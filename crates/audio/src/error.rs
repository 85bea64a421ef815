//! What can go wrong between a path and samples. Every error names the thing it is about; the ones a user can do
//! something about carry a hint after a semicolon.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Errors of reading, decoding, resampling, analysing and writing audio.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The file cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// Path as given.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Reading the input failed midway (not: ended early, which only sets a flag in the stream's statistics).
    #[error("cannot read {name}")]
    Read {
        /// File name, or `standard input` and the like.
        name: String,
        /// Cause.
        source: io::Error,
    },
    /// No known container was found.
    #[error("{name} is not audio{found}; expected wav, flac, mp3, ogg, m4a, aac, aiff, caf, mka or webm")]
    NotAudio {
        /// Name of the input.
        name: String,
        /// What it looks like instead, as " (it looks like …)", or empty.
        found: String,
    },
    /// The container is known but holds no audio track.
    #[error("{name} has no audio track")]
    NoAudioTrack {
        /// Name of the input.
        name: String,
    },
    /// The codec has no decoder here.
    #[error(
        "{name} holds {codec} audio, which has no decoder here; convert it first, for example `ffmpeg -i IN OUT.flac`"
    )]
    UnsupportedCodec {
        /// Name of the input.
        name: String,
        /// The field's name of the codec.
        codec: String,
    },
    /// The container's header contradicts itself or its format.
    #[error("{name}: bad {container} header: {reason}")]
    BadHeader {
        /// Name of the input.
        name: String,
        /// Container, for example `wav`.
        container: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The sample rate is zero or absurd.
    #[error("{name}: sample rate {rate} Hz is outside {min}..={max} Hz", min = crate::MIN_RATE, max = crate::MAX_RATE)]
    BadRate {
        /// Name of the input.
        name: String,
        /// Rate the header claims.
        rate: u32,
    },
    /// Packets were found but none could be decoded.
    #[error("{name}: none of its {packets} packets can be decoded ({reason})")]
    NothingDecoded {
        /// Name of the input.
        name: String,
        /// Packets tried.
        packets: u64,
        /// The last failure.
        reason: String,
    },
    /// Too many packets in a row were corrupt to believe that the rest is worth reading.
    #[error("{name}: {packets} corrupt packets in a row after {seconds:.1} s ({reason})")]
    Corrupt {
        /// Name of the input.
        name: String,
        /// Length of the run.
        packets: u32,
        /// Seconds decoded before it.
        seconds: f64,
        /// The last failure.
        reason: String,
    },
    /// The input cannot be read as a stream and is too large to be spooled.
    #[error(
        "{name}: a {container} file larger than {limit} bytes cannot be read from a pipe; give it as a file"
    )]
    SpoolLimit {
        /// Name of the input.
        name: String,
        /// Container.
        container: &'static str,
        /// Limit in bytes.
        limit: u64,
    },
    /// A resampler or feature configuration that cannot work.
    #[error("bad {what}: {reason}")]
    Config {
        /// What was configured.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Writing a file failed.
    #[error("cannot write {}", path.display())]
    Write {
        /// Path as given.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The output device can't be opened, or has gone.
    #[error("can't play sound: {reason}")]
    Playback {
        /// What the system says.
        reason: String,
    },
}
