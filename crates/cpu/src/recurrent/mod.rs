//! Recurrent cells.

mod delta;
mod lstm;

pub(crate) use delta::compile as compile_delta;
pub(crate) use lstm::compile as compile_lstm;
