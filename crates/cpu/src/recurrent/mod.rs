//! Recurrent cells.

mod delta;
mod lstm;
mod step;

pub(crate) use delta::compile as compile_delta;
pub(crate) use lstm::compile as compile_lstm;
pub(crate) use step::compile as compile_lstm_step;
