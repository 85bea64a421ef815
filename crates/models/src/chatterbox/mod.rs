//! Chatterbox: text to speech with a voice that is given as a sample.
//!
//! ```text
//! text ids, voice ─► t3 ─► speech tokens, 25 a second
//! ```
//!
//! Papers and code: resemble-ai/chatterbox. Files of chatterbox.cpp load as they are. See `docs/models/chatterbox.md`.

pub mod t3;
