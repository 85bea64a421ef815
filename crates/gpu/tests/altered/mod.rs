//! A backend with some changes: more may be bound than kernels ask for, so that what they access past an operand's end happens instead
//! of being masked by the driver; the text of kernels may be rewritten, to break them on purpose or to run them without matrix units;
//! what the adapter can do may be said otherwise. Tests of the Metal translation take it too.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use mynah_device::{DeviceError, DeviceReport};
use mynah_gpu::{Backend, Bind, Capabilities, Command, Shader, Slice, Usage};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Bytes bound after every operand, and held after every buffer.
pub(crate) const ROOM: usize = 1024;

/// A part of kernels' text and what stands there instead.
pub(crate) type Edit = [&'static str; 2];

/// What stands instead of a kernel; `None` where it stays.
type Rewrite = Box<dyn Fn(&Shader) -> Option<Shader> + Send + Sync>;

/// A backend with changes.
pub(crate) struct Altered<B: Backend> {
    inner: B,
    caps: Capabilities,
    /// Bytes bound after every operand, and held after every buffer.
    room: usize,
    rewrite: Rewrite,
    /// Kernels that were rewritten.
    rewritten: AtomicUsize,
}

impl<B: Backend> Altered<B> {
    /// Without a change.
    pub(crate) fn plain(inner: B) -> Self {
        let caps = inner.capabilities().clone();
        Self { inner, caps, room: 0, rewrite: Box::new(|_| None), rewritten: AtomicUsize::new(0) }
    }

    /// With room.
    pub(crate) fn roomy(inner: B) -> Self {
        Self { room: ROOM, ..Self::plain(inner) }
    }

    /// Saying that it can do something else.
    pub(crate) fn capable(self, change: impl FnOnce(Capabilities) -> Capabilities) -> Self {
        Self { caps: change(self.caps), ..self }
    }

    /// With other kernels.
    pub(crate) fn rewriting(
        self,
        rewrite: impl Fn(&Shader) -> Option<Shader> + Send + Sync + 'static,
    ) -> Self {
        Self { rewrite: Box::new(rewrite), ..self }
    }

    /// With an edit of every kernel in whose text it finds its part.
    pub(crate) fn broken(self, [from, to]: Edit) -> Self {
        self.rewriting(move |shader| {
            let found = shader.wgsl.contains(from);
            found.then(|| Shader { wgsl: shader.wgsl.replace(from, to).into(), ..shader.clone() })
        })
    }

    /// Kernels that were rewritten.
    pub(crate) fn rewritten(&self) -> usize {
        self.rewritten.load(Ordering::Relaxed)
    }
}

fn inner<'a, B: Backend>(commands: &'a [Command<'a, Altered<B>>]) -> Vec<Command<'a, B>> {
    let one = |command: &Command<'a, Altered<B>>| match *command {
        Command::Dispatch { pipeline, bound, immediates, groups } => {
            Command::Dispatch { pipeline, bound, immediates, groups }
        }
        Command::Copy { from, from_offset, to, to_offset, bytes } => {
            Command::Copy { from, from_offset, to, to_offset, bytes }
        }
    };
    commands.iter().map(one).collect()
}

impl<B: Backend> Backend for Altered<B> {
    type Buffer = B::Buffer;
    type View = B::View;
    type Pipeline = B::Pipeline;
    type Bound = B::Bound;
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
        let held = if self.room == 0 { bytes } else { bytes.next_multiple_of(256) + self.room as u64 };
        self.inner.buffer(held, usage, what)
    }

    fn write(&self, buffer: &Self::Buffer, offset: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        self.inner.write(buffer, offset, bytes)
    }

    fn clear(&self, buffer: &Self::Buffer, bytes: u64) -> Result<(), DeviceError> {
        self.inner.clear(buffer, bytes)
    }

    fn pipeline(&self, shader: &Shader) -> Result<Self::Pipeline, DeviceError> {
        let Some(other) = (self.rewrite)(shader) else { return self.inner.pipeline(shader) };
        self.rewritten.fetch_add(1, Ordering::Relaxed);
        self.inner.pipeline(&other)
    }

    fn bind(
        &self,
        pipeline: &Self::Pipeline,
        operands: &Bind<Self::Buffer>,
    ) -> Result<Self::Bound, DeviceError> {
        let room = self.room as u64;
        let wider = |slice: &Slice<Self::Buffer>| Slice { bytes: slice.bytes + room, ..slice.clone() };
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
