//! The GPU device: one set of WGSL kernels for Metal, Vulkan and DX12 through wgpu.
//!
//! A plan becomes a list of dispatches, recorded into one pass and one submission per run: a dispatch costs a fraction of a
//! microsecond in a shared pass and a hundred times that with a submission of its own. Everything above [`Backend`] is
//! free of wgpu, so that the same kernels and host code also run where naga's Metal translation is executed on a CPU.
//!
//! ```text
//! plan ─► kernels (one folder per op family: host code beside its .wgsl) ─► Dispatch ─► program ─► Backend: wgpu, …
//! ```

mod backend;
mod caps;
mod check;
mod choice;
mod device;
mod kernels;
mod pages;
mod program;
mod session;
mod shader;
mod state;
mod weights;

pub use backend::{Access, Backend, Bind, Command, Slice, Usage, WgpuBackend};
pub use caps::{Capabilities, MatrixShape};
pub use choice::{Api, GpuChoice, GpuError, GpuInfo, list};
pub use device::{GpuDevice, open};
pub use kernels::ROUTES;
pub use shader::Shader;
