//! Steps of recurrent layers.

mod lstm;
mod step;

pub(super) use lstm::compile_lstm;
pub(super) use step::compile_lstm_step;
