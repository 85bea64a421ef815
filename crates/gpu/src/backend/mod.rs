//! The few things a machine must do for us: hold buffers, compile kernels, run a list of dispatches.
//!
//! One implementation is wgpu; another executes the Metal translation of every kernel on a CPU, for tests.

mod wgpu;

pub use self::wgpu::WgpuBackend;

use crate::caps::Capabilities;
use crate::shader::Shader;
use mynah_device::{DeviceError, DeviceReport};
use std::ops::Deref;
use std::time::Duration;

/// How a kernel accesses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Weights and tables.
    Read,
    /// Anything in the arena, in scratch memory or in a state tensor: a dispatch may bind one buffer in one way only, and
    /// these hold operands and results side by side.
    ReadWrite,
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Bound to kernels, written by the host.
    Storage,
    /// Read back by the host.
    Readback,
}

/// A part of a buffer.
#[derive(Clone, Debug)]
pub struct Slice<B> {
    /// The buffer.
    pub buffer: B,
    /// First byte, a multiple of [`Capabilities::binding_align`].
    pub offset: u64,
    /// Length in bytes, a multiple of four.
    pub bytes: u64,
}

/// Operands bound to a kernel.
pub type Bind<B> = Vec<Slice<B>>;

/// One thing to do, in order; each sees what those before it wrote.
pub enum Command<'a, B: Backend> {
    /// Runs a kernel.
    Dispatch {
        /// The kernel.
        pipeline: &'a B::Pipeline,
        /// Its operands.
        bound: &'a B::Bound,
        /// Its immediates.
        immediates: &'a [u8],
        /// Number of workgroups.
        groups: [u32; 3],
    },
    /// Copies bytes from one buffer to another; all multiples of four.
    Copy {
        /// Where from.
        from: &'a B::Buffer,
        /// First byte there.
        from_offset: u64,
        /// Where to.
        to: &'a B::Buffer,
        /// First byte there.
        to_offset: u64,
        /// How many.
        bytes: u64,
    },
}

/// Bytes of immediates that every kernel may use: what all adapters offer that offer any.
pub(crate) const IMMEDIATE_BYTES: u32 = 128;

/// A machine that runs kernels.
pub trait Backend: Send + Sync + Sized + 'static {
    /// Memory of the machine; clones share it.
    type Buffer: Clone + Send + Sync;
    /// What a [`Usage::Readback`] buffer holds, in place where the machine can lend it. Until this is dropped no command may name the
    /// buffer.
    type View: Deref<Target = [u8]> + Send + Sync;
    /// A compiled kernel; clones share it.
    type Pipeline: Clone + Send + Sync;
    /// A kernel's operands.
    type Bound: Send + Sync;
    /// Commands recorded before they are asked for; they hold the memory that they name.
    type Ahead: Send + Sync;

    /// Name for `--device`.
    fn name(&self) -> &str;

    /// What it is and has.
    fn report(&self) -> DeviceReport;

    /// Limits and features.
    fn capabilities(&self) -> &Capabilities;

    /// Memory, its contents undefined.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`].
    fn buffer(&self, bytes: u64, usage: Usage, what: &str) -> Result<Self::Buffer, DeviceError>;

    /// Writes bytes from the host before anything submitted later; both multiples of four.
    ///
    /// # Errors
    /// When the device is lost.
    fn write(&self, buffer: &Self::Buffer, offset: u64, bytes: &[u8]) -> Result<(), DeviceError>;

    /// Sets a buffer to zeros before anything submitted later.
    ///
    /// # Errors
    /// When the device is lost.
    fn clear(&self, buffer: &Self::Buffer, bytes: u64) -> Result<(), DeviceError>;

    /// Hears which kernels will be asked for next, to compile several at once where that is worth it.
    fn prepare(&self, _shaders: &[&Shader]) {}

    /// Compiles a kernel, or finds it compiled.
    ///
    /// # Errors
    /// [`DeviceError::Kernel`] with the compiler's complaint.
    fn pipeline(&self, shader: &Shader) -> Result<Self::Pipeline, DeviceError>;

    /// Binds operands to a kernel.
    ///
    /// # Errors
    /// [`DeviceError::Kernel`] when they don't fit its declarations.
    fn bind(
        &self,
        pipeline: &Self::Pipeline,
        operands: &Bind<Self::Buffer>,
    ) -> Result<Self::Bound, DeviceError>;

    /// Runs commands in order. May return before they are done.
    ///
    /// # Errors
    /// When the device is lost or a command is refused.
    fn submit(&self, commands: &[Command<'_, Self>]) -> Result<(), DeviceError>;

    /// As [`Backend::submit`], with what [`Backend::record_ahead`] made of earlier commands, which is used if they were the same.
    ///
    /// # Errors
    /// As [`Backend::submit`].
    fn submit_ahead(&self, commands: &[Command<'_, Self>], _ahead: Self::Ahead) -> Result<(), DeviceError> {
        self.submit(commands)
    }

    /// Records, while the machine is busy, commands that will probably be submitted later: recording takes as long as some machines
    /// take to run them. None where that saves nothing.
    fn record_ahead(&self, _commands: &[Command<'_, Self>]) -> Option<Self::Ahead> {
        None
    }

    /// As [`Backend::submit`], waiting; returns the time of each dispatch, or nothing where it can't be taken.
    ///
    /// # Errors
    /// As [`Backend::submit`].
    fn submit_timed(&self, commands: &[Command<'_, Self>]) -> Result<Vec<Duration>, DeviceError>;

    /// Waits for everything submitted and lends the first `bytes` bytes of a [`Usage::Readback`] buffer.
    ///
    /// # Errors
    /// When the device is lost.
    fn view(&self, buffer: &Self::Buffer, bytes: u64) -> Result<Self::View, DeviceError>;

    /// Waits until uploads and everything submitted are done, so that staging memory goes back.
    ///
    /// # Errors
    /// When the device is lost.
    fn wait(&self) -> Result<(), DeviceError>;
}
