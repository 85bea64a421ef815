//! Facts about the machine: how many threads make sense, what the processor is called, how much memory is left.

mod memory;
mod threads;

pub(crate) use memory::{available_memory, processor_name};
pub(crate) use threads::default_threads;
