//! Resemble Chatterbox: text to speech tokens (T3), speech tokens to samples (S3Gen).

pub mod voice;
