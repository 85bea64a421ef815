//! Recurrent cells.

mod chunks;
mod delta;
mod lstm;
mod sequences;
mod step;

pub(crate) use delta::compile as compile_delta;
pub(crate) use lstm::compile as compile_lstm;
pub(crate) use sequences::sequences;
pub(crate) use step::compile as compile_lstm_step;
