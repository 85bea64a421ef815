//! Steps of recurrent layers.

mod lstm;

pub(super) use lstm::compile_lstm;
