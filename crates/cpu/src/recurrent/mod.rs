//! Recurrent cells.

mod lstm;

pub(crate) use lstm::compile as compile_lstm;
