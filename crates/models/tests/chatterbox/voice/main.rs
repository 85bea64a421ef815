//! From a reference recording to a voice, against chatterbox-tts (`oracles/chatterbox/voice.py`, `fixtures/chatterbox/voice`), on the
//! CPU device.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod encoders;
mod features;
mod files;
mod fixtures;
mod make;
