//! Memory of a session: aligned buffers that fail with numbers instead of aborting, and the views through which
//! kernels see them.

mod buffer;
mod pages;
mod view;

pub(crate) use buffer::Buffer;
pub(crate) use view::{Input, Output, Scratch, ScratchNeed};
