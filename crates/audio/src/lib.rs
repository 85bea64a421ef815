//! Everything between a sound file and the first tensor of a model.
//!
//! ```text
//! path | bytes | stdin ─► AudioStream ─► 16 kHz mono blocks ─► PieceReader ─► Piece ─► MelExtractor ─► Features
//! ```
//!
//! * [`AudioStream`] recognises the container, decodes it packet by packet, averages the channels and resamples to
//!   16 kHz. Its memory does not depend on the length of the audio.
//! * [`PieceReader`] cuts long audio in pauses, so that a model sees bounded clips and no word is lost or doubled.
//! * [`MelExtractor`] turns a clip into the normalised log-mel frames NeMo's `FilterbankFeatures` would give; [`features`] holds
//!   other models' front ends.
//! * For voice cloning: [`best_stretch`] of a long recording, [`normalize_loudness`], [`trim_silence`], [`resample_sinc_hann`],
//!   [`resample_sinc_kaiser`].
//! * For models that change a recording: [`Stft`] and its inverse; [`resample_polyphase`].
//!
//! The frames go to the model families; this crate knows none of them.
//!
//! # What is read
//!
//! WAV (u8, s16, s24, s32, f32, f64, A-law, µ-law, extensible, RF64; IMA and Microsoft ADPCM), FLAC, MP1/2/3,
//! Ogg (Vorbis, FLAC), MP4/M4A (AAC-LC, ALAC, FLAC, MP3), ADTS, AIFF and AIFF-C, CAF, Matroska and WebM with any of
//! these codecs. There is no Opus, AC-3, WMA or AMR, and of AAC only LC with one or two channels: the rest ends in
//! [`AudioError::UnsupportedCodec`]. HE-AAC that does not declare itself decodes as the AAC-LC it contains, at half the
//! rate, which loses nothing below 8 kHz for the usual 44.1 and 48 kHz.
//!
//! WAV is read by this crate itself and streams from a pipe whatever its header says about lengths. Everything else
//! streams from a pipe too, except MP4 and CAF, whose index may lie at the end: those are spooled first (see
//! [`SPOOL_LIMIT`]). Files that were cut short give what is there, as long as their index (MP4, CAF) is.

mod decode;
mod error;
pub mod features;
mod flac;
mod input;
mod loudness;
mod pieces;
mod place;
#[cfg(feature = "playback")]
mod playback;
mod resample;
mod silence;
mod sinc;
mod sniff;
mod stft;
mod stream;
mod wav;
mod write;

pub use error::AudioError;
pub use features::{Features, MelConfig, MelExtractor, Normalize};
pub use flac::{FlacEncoder, FlacFile};
pub use input::SPOOL_LIMIT;
pub use loudness::{integrated_loudness, normalize_loudness};
pub use pieces::{Cut, Piece, PieceConfig, PieceReader, best_stretch, speech_activity};
#[cfg(feature = "playback")]
pub use playback::{Played, Player};
pub use resample::{MAX_RATE, MIN_RATE, Resampler, resample};
pub use silence::trim_silence;
pub use sinc::{resample_polyphase, resample_sinc_hann, resample_sinc_kaiser};
pub use stft::{Bin, Stft};
pub use stream::{AudioStream, SourceInfo, StreamStats};
pub use write::{PcmFile, WavFile, pcm_i16, wav_header, write_wav_i16};

/// Sample rate of what leaves an [`AudioStream`] unless another is asked for, in Hz.
pub const SAMPLE_RATE: u32 = 16_000;
