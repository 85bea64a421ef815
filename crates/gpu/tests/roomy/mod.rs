//! A backend that binds more than kernels ask for, so that what they access past an operand's end happens instead of being
//! masked by the driver.

use mynah_device::{DeviceError, DeviceReport};
use mynah_gpu::{Backend, Bind, Capabilities, Command, Shader, Slice, Usage, WgpuBackend};
use std::time::Duration;

/// Bytes bound after every operand, and held after every buffer.
pub(crate) const ROOM: usize = 1024;

/// wgpu with room.
pub(crate) struct Roomy(pub(crate) WgpuBackend);

type Inner<'a> = Command<'a, WgpuBackend>;

fn inner<'a>(commands: &'a [Command<'a, Roomy>]) -> Vec<Inner<'a>> {
    let one = |command: &Command<'a, Roomy>| match *command {
        Command::Dispatch { pipeline, bound, immediates, groups } => {
            Inner::Dispatch { pipeline, bound, immediates, groups }
        }
        Command::Copy { from, from_offset, to, to_offset, bytes } => {
            Inner::Copy { from, from_offset, to, to_offset, bytes }
        }
    };
    commands.iter().map(one).collect()
}

impl Backend for Roomy {
    type Buffer = <WgpuBackend as Backend>::Buffer;
    type Pipeline = <WgpuBackend as Backend>::Pipeline;
    type Bound = <WgpuBackend as Backend>::Bound;

    fn name(&self) -> &str {
        self.0.name()
    }

    fn report(&self) -> DeviceReport {
        self.0.report()
    }

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn buffer(&self, bytes: u64, usage: Usage, what: &str) -> Result<Self::Buffer, DeviceError> {
        // Bindings are rounded up to vectors, buffers to 256 bytes.
        self.0.buffer(bytes.next_multiple_of(256) + ROOM as u64, usage, what)
    }

    fn write(&self, buffer: &Self::Buffer, offset: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        self.0.write(buffer, offset, bytes)
    }

    fn clear(&self, buffer: &Self::Buffer, bytes: u64) -> Result<(), DeviceError> {
        self.0.clear(buffer, bytes)
    }

    fn pipeline(&self, shader: &Shader) -> Result<Self::Pipeline, DeviceError> {
        self.0.pipeline(shader)
    }

    fn bind(
        &self,
        pipeline: &Self::Pipeline,
        operands: &Bind<Self::Buffer>,
    ) -> Result<Self::Bound, DeviceError> {
        let wider = |slice: &Slice<Self::Buffer>| Slice { bytes: slice.bytes + ROOM as u64, ..slice.clone() };
        self.0.bind(pipeline, &operands.iter().map(wider).collect())
    }

    fn submit(&self, commands: &[Command<'_, Self>]) -> Result<(), DeviceError> {
        self.0.submit(&inner(commands))
    }

    fn submit_timed(&self, commands: &[Command<'_, Self>]) -> Result<Vec<Duration>, DeviceError> {
        self.0.submit_timed(&inner(commands))
    }

    fn read(
        &self,
        buffer: &Self::Buffer,
        bytes: u64,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), DeviceError> {
        self.0.read(buffer, bytes, take)
    }

    fn wait(&self) -> Result<(), DeviceError> {
        self.0.wait()
    }
}
