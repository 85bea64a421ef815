//! Chatterbox: text to speech with a voice that is given as a sample.
//!
//! ```text
//! text ids, voice ─► t3 ─► speech tokens, 25 a second ─► s3gen ─► samples
//!                                                        flow ─► cfm ─► hift
//! ```
//!
//! Papers and code: resemble-ai/chatterbox. Files of chatterbox.cpp load as they are. See `docs/models/chatterbox.md`.

pub mod cfm;
pub mod flow;
pub mod hift;
pub mod noise;
pub mod s3gen;
pub mod t3;
