//! wgpu with some changes: more is bound than kernels ask for, so that what they access past an operand's end happens instead of
//! being masked by the driver; the text of kernels may be edited, to break them on purpose; bindings may be limited to less than the adapter's.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use mynah_device::{DeviceError, DeviceReport};
use mynah_gpu::{Backend, Bind, Capabilities, Command, Shader, Slice, Usage, WgpuBackend};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Bytes bound after every operand, and held after every buffer.
pub(crate) const ROOM: usize = 1024;

/// A part of kernels' text and what stands there instead.
pub(crate) type Edit = [&'static str; 2];

/// wgpu with room, and perhaps with kernels that are wrong.
pub(crate) struct Altered {
    inner: WgpuBackend,
    caps: Capabilities,
    edit: Option<Edit>,
    /// Kernels that were edited.
    edited: AtomicUsize,
}

impl Altered {
    /// With room only.
    pub(crate) fn roomy(inner: WgpuBackend) -> Self {
        let caps = inner.capabilities().clone();
        Self { inner, caps, edit: None, edited: AtomicUsize::new(0) }
    }

    /// With room, and bindings of so many bytes at most.
    pub(crate) fn narrow(inner: WgpuBackend, max_binding: u64) -> Self {
        let roomy = Self::roomy(inner);
        Self { caps: Capabilities { max_binding, ..roomy.caps.clone() }, ..roomy }
    }

    /// With room, and other kernels.
    pub(crate) fn broken(inner: WgpuBackend, edit: Edit) -> Self {
        Self { edit: Some(edit), ..Self::roomy(inner) }
    }

    /// Kernels in whose text the edit found its part.
    pub(crate) fn edited(&self) -> usize {
        self.edited.load(Ordering::Relaxed)
    }
}

type Inner<'a> = Command<'a, WgpuBackend>;

fn inner<'a>(commands: &'a [Command<'a, Altered>]) -> Vec<Inner<'a>> {
    let one = |command: &Command<'a, Altered>| match *command {
        Command::Dispatch { pipeline, bound, immediates, groups } => {
            Inner::Dispatch { pipeline, bound, immediates, groups }
        }
        Command::Copy { from, from_offset, to, to_offset, bytes } => {
            Inner::Copy { from, from_offset, to, to_offset, bytes }
        }
    };
    commands.iter().map(one).collect()
}

impl Backend for Altered {
    type Buffer = <WgpuBackend as Backend>::Buffer;
    type View = <WgpuBackend as Backend>::View;
    type Pipeline = <WgpuBackend as Backend>::Pipeline;
    type Bound = <WgpuBackend as Backend>::Bound;
    type Ahead = ();

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn report(&self) -> DeviceReport {
        self.inner.report()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.caps
    }

    fn buffer(&self, bytes: u64, usage: Usage, what: &str) -> Result<Self::Buffer, DeviceError> {
        // Bindings are rounded up to vectors, buffers to 256 bytes.
        self.inner.buffer(bytes.next_multiple_of(256) + ROOM as u64, usage, what)
    }

    fn write(&self, buffer: &Self::Buffer, offset: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        self.inner.write(buffer, offset, bytes)
    }

    fn clear(&self, buffer: &Self::Buffer, bytes: u64) -> Result<(), DeviceError> {
        self.inner.clear(buffer, bytes)
    }

    fn pipeline(&self, shader: &Shader) -> Result<Self::Pipeline, DeviceError> {
        let Some([from, to]) = self.edit.filter(|[from, _]| shader.wgsl.contains(from)) else {
            return self.inner.pipeline(shader);
        };
        self.edited.fetch_add(1, Ordering::Relaxed);
        self.inner.pipeline(&Shader { wgsl: shader.wgsl.replace(from, to).into(), ..shader.clone() })
    }

    fn bind(
        &self,
        pipeline: &Self::Pipeline,
        operands: &Bind<Self::Buffer>,
    ) -> Result<Self::Bound, DeviceError> {
        let wider = |slice: &Slice<Self::Buffer>| Slice { bytes: slice.bytes + ROOM as u64, ..slice.clone() };
        self.inner.bind(pipeline, &operands.iter().map(wider).collect())
    }

    fn submit(&self, commands: &[Command<'_, Self>]) -> Result<(), DeviceError> {
        self.inner.submit(&inner(commands))
    }

    fn submit_timed(&self, commands: &[Command<'_, Self>]) -> Result<Vec<Duration>, DeviceError> {
        self.inner.submit_timed(&inner(commands))
    }

    fn view(&self, buffer: &Self::Buffer, bytes: u64) -> Result<Self::View, DeviceError> {
        self.inner.view(buffer, bytes)
    }

    fn wait(&self) -> Result<(), DeviceError> {
        self.inner.wait()
    }
}
