//! Resemble Chatterbox: text to speech tokens (T3), speech tokens to samples (S3Gen).

pub mod cfm;
pub mod flow;
pub mod hift;
pub mod noise;
pub mod s3gen;
