//! Memory of a session: aligned buffers that fail with numbers instead of aborting, and the views through which
//! kernels see them.

mod buffer;
mod pages;
mod prefetch;
mod view;

pub(crate) use buffer::Buffer;
pub(crate) use prefetch::{prefetch, prefetch_to_write};
pub(crate) use view::{Input, Output, Scratch, ScratchNeed};
