//! Samples from spectra.

mod inverse_stft;

pub(crate) use inverse_stft::{LARGEST, compile as compile_inverse_stft};
