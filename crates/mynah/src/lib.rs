//! Mynah as a library: load a model; hear audio and get words with times, read text and write more of it, or say it.
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
//! ```no_run
//! use mynah::{ChatRequest, EngineOptions, GenerateOptions, Generator, Message, Options};
//! use std::ops::ControlFlow;
//!
//! let mut mind = Generator::open("qwen3.5-0.8b-q8_0.gguf", &Options::default(), EngineOptions::default())?;
//! let messages = [Message::new("user", "Name three birds.")];
//! let request = ChatRequest { messages: &messages, add_generation_prompt: true, ..ChatRequest::default() };
//! let said = mind.chat(&request, GenerateOptions::default(), &mut |_| ControlFlow::Continue(()))?;
//! println!("{}", said.answer.text);
//! # Ok::<(), mynah::Error>(())
//! ```
//!
//! ```no_run
//! use mynah::{Options, SPEECH_RATE, SpeakOptions, Speaker};
//! use std::ops::ControlFlow;
//!
//! let mut mouth = Speaker::open("chatterbox-turbo-t3-q8_0.gguf", "chatterbox-turbo-s3gen-q8_0.gguf", &Options::default())?;
//! let voice = mouth.built_in_voice()?;
//! let voice = mouth.ready(&voice)?;
//! let mut samples = Vec::new();
//! mouth.say("Good morning.", &voice, &SpeakOptions::default(), &mut |sound| {
//!     samples.extend_from_slice(sound);
//!     ControlFlow::Continue(())
//! })?;
//! println!("{} seconds", samples.len() as f64 / f64::from(SPEECH_RATE));
//! # Ok::<(), mynah::Error>(())
//! ```
//!
//! This crate is the only one with a semver promise; the crates below it may change with any release.

mod batch;
mod builtin;
mod device;
mod error;
mod generator;
mod pipeline;
mod share;
mod speaker;
mod transcriber;
mod watermark;

pub use batch::{Batch, Finished};
pub use builtin::{BUILTIN_NAME, builtin_bytes, builtin_file, has_builtin};
pub use device::{DeviceChoice, Devices, open_device, open_devices};
pub use error::Error;
pub use generator::{ChatAnswer, GenerateOptions, Generated, Generator, Output, StopReason};
pub use speaker::{
    Chunks, Listener, SPEECH_RATE, Said, SpeakOptions, SpeakTimes, SpeakTrace, Speaker, SpeakerVoice,
};
pub use transcriber::{Options, TranscribeOptions, Transcriber};
pub use watermark::{Branch, Detection, PerthError, Watermark};

pub use mynah_audio::{AudioError, AudioStream, PieceConfig, StreamStats};
pub use mynah_device::{Device, DeviceReport, Policy, Precision, Route};
pub use mynah_gpu::{Api, GpuChoice, GpuError, GpuInfo, list as list_gpus};
pub use mynah_models::chatterbox::voice::{
    Made, MakeOptions, Voice, VoiceError, VoiceParts, VoiceWarning, read_recording,
};
pub use mynah_models::language::MemoryEstimate;
pub use mynah_models::parakeet::{Head, ParakeetConfig};
pub use mynah_runtime::{
    Choice, Choose, ChooseError, Engine, EngineError, EngineOptions, Event, Finish, Greedy, Logprob, Request,
    SavedSequence, SequenceId, Usage, grammar, sample,
};
pub use mynah_text::answer::{Answer, Part};
pub use mynah_text::bpe::{Specials, Tokenizer};
pub use mynah_text::chat::{ChatRequest, ChatTemplate, Message, ToolCall};
pub use mynah_text::speech::{FrontEnd, SplitLimits};
pub use mynah_text::{Segment, Token, Transcript, Word};

/// How far a transcription is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Seconds of audio heard so far.
    pub seconds: f64,
    /// Seconds in all, where the container knows.
    pub total: Option<f64>,
}
