//! From a reference recording to a voice, and voices as files.
//!
//! ```text
//! samples ─► recording: loudness, rates, clips ─┬► voice encoder (LSTM) ─► speaker_embedding ─┐
//!            (mynah-audio)                      ├► S3TokenizerV2 ─► t3_prompt_tokens ─────────┤
//!                                               ├► S3TokenizerV2 ─► prompt_tokens ────────────┼► Voice ─► T3, S3Gen
//!                                               ├► CAMPPlus ─► embedding ─────────────────────┤    ▲
//!                                               └► mel frames at 24 kHz ─► prompt_feat ───────┘    └► .npy folder, .gguf file
//! ```
//!
//! Names follow chatterbox-tts and CosyVoice. The encoders' weights lie in the two files of a model: the voice encoder with T3, the
//! others with S3Gen.

mod arrays;
mod builtin;
mod campplus;
mod config;
mod encoder;
mod error;
mod file;
mod folder;
mod frontend;
mod keys;
mod maker;
mod npy;
mod profile;
mod recording;
mod tokenizer;

pub use campplus::campplus_graph;
pub use config::{CampplusConfig, ENCODER_RATE, PromptConfig, S3TokenizerConfig, VoiceEncoderConfig};
pub use encoder::{WindowDims, voice_encoder_graph};
pub use error::VoiceError;
pub use file::ARCHITECTURE as VOICE_ARCHITECTURE;
pub use frontend::{PROMPT_RATE, prompt_bands};
pub use maker::{Made, MakeOptions, MakeTimes, VoiceMaker};
pub use npy::{Npy, NpyData};
pub use profile::{FRAMES_PER_TOKEN, PROMPT_MELS, SPEECH_TOKENS, Voice, VoiceParts, VoiceSource};
pub use recording::{VoiceWarning, read_recording};
pub use tokenizer::s3_tokenizer_graph;
