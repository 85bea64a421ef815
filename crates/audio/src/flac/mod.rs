//! Writes mono samples as FLAC of 16 bits (RFC 9639), frame by frame, so that a stream is encoded as it is made.
//!
//! ```text
//! samples ─► blocks of 4096 ─► predictor (predict) ─► residual in Rice codes (rice) ─► frame (encoder) ─► file or stream
//! ```
//!
//! It is our own: the crate there is would bring a dozen others along for what a few pages say, and keeps a stream's frames until
//! its end.

mod bits;
mod encoder;
mod file;
mod md5;
mod predict;
mod rice;

pub use encoder::FlacEncoder;
pub use file::FlacFile;
