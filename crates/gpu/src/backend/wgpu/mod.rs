//! wgpu: Metal, Vulkan and DX12.

mod open;
mod pipeline;
mod submit;
mod view;

use super::{Backend, Bind, Command, Usage};
use crate::caps::Capabilities;
use crate::choice::GpuInfo;
use crate::shader::Shader;
use mynah_device::{DeviceError, DeviceReport};
use pipeline::Pipelines;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An adapter opened through wgpu.
pub struct WgpuBackend {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: GpuInfo,
    name: String,
    caps: Capabilities,
    features: Vec<String>,
    pipelines: Pipelines,
    /// What went wrong behind our back: a lost device, an error outside every scope.
    trouble: Arc<Mutex<Option<String>>>,
}

/// A compiled kernel.
#[derive(Clone)]
pub struct WgpuPipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    name: Arc<str>,
}

impl WgpuBackend {
    /// The adapter's name and driver.
    pub fn info(&self) -> &GpuInfo {
        &self.info
    }

    /// The error that the device reported since it was opened, if any.
    fn sound(&self) -> Result<(), DeviceError> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.as_ref().map_or(Ok(()), |reason| {
            Err(DeviceError::Lost { device: self.name.clone(), reason: reason.clone() })
        })
    }

    /// Runs `f` and gives back what the device objects to.
    fn scoped<T>(&self, filter: wgpu::ErrorFilter, f: impl FnOnce() -> T) -> Result<T, String> {
        let scope = self.device.push_error_scope(filter);
        let made = f();
        match pollster::block_on(scope.pop()) {
            None => Ok(made),
            Some(error) => Err(error.to_string()),
        }
    }
}

impl Backend for WgpuBackend {
    type Buffer = wgpu::Buffer;
    type View = view::View;
    type Pipeline = WgpuPipeline;
    type Bound = wgpu::BindGroup;
    type Ahead = submit::Recorded;

    fn name(&self) -> &str {
        &self.name
    }

    fn report(&self) -> DeviceReport {
        DeviceReport {
            description: format!("{} ({}, {})", self.info.name, self.info.kind, self.info.driver),
            features: self.features.clone(),
            parallelism: 1,
            memory: None,
        }
    }

    fn capabilities(&self) -> &Capabilities {
        &self.caps
    }

    fn buffer(&self, bytes: u64, usage: Usage, what: &str) -> Result<wgpu::Buffer, DeviceError> {
        let refused = || DeviceError::OutOfMemory {
            device: self.name.clone(),
            what: what.to_owned(),
            wanted: usize::try_from(bytes).unwrap_or(usize::MAX),
        };
        if bytes > self.caps.max_buffer {
            return Err(refused());
        }
        // Kernels bind whole vectors of 16 bytes, which may reach past the last element.
        let size = bytes.max(4).next_multiple_of(256);
        let usage = match usage {
            Usage::Storage => {
                wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST
            }
            Usage::Readback => wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        };
        let make = || {
            let descriptor =
                wgpu::BufferDescriptor { label: Some(what), size, usage, mapped_at_creation: false };
            self.device.create_buffer(&descriptor)
        };
        let buffer = self.scoped(wgpu::ErrorFilter::OutOfMemory, make).map_err(|_| refused())?;
        self.sound()?;
        Ok(buffer)
    }

    fn write(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        if !bytes.is_empty() {
            self.queue.write_buffer(buffer, offset, bytes);
        }
        self.sound()
    }

    fn clear(&self, buffer: &wgpu::Buffer, bytes: u64) -> Result<(), DeviceError> {
        if bytes > 0 {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.clear_buffer(buffer, 0, Some(bytes.next_multiple_of(4)));
            self.queue.submit([encoder.finish()]);
        }
        self.sound()
    }

    fn prepare(&self, shaders: &[&Shader]) {
        self.pipelines.prepare(self, shaders);
    }

    fn pipeline(&self, shader: &Shader) -> Result<WgpuPipeline, DeviceError> {
        self.pipelines.get(self, shader)
    }

    fn bind(
        &self,
        pipeline: &WgpuPipeline,
        operands: &Bind<wgpu::Buffer>,
    ) -> Result<wgpu::BindGroup, DeviceError> {
        self.bind_group(pipeline, operands)
    }

    fn submit(&self, commands: &[Command<'_, Self>]) -> Result<(), DeviceError> {
        self.record(commands);
        self.sound()
    }

    fn submit_ahead(
        &self,
        commands: &[Command<'_, Self>],
        ahead: submit::Recorded,
    ) -> Result<(), DeviceError> {
        if !ahead.is(commands) {
            return self.submit(commands);
        }
        self.queue.submit([ahead.buffer]);
        self.sound()
    }

    fn record_ahead(&self, commands: &[Command<'_, Self>]) -> Option<submit::Recorded> {
        Some(submit::Recorded::new(self, commands))
    }

    fn submit_timed(&self, commands: &[Command<'_, Self>]) -> Result<Vec<Duration>, DeviceError> {
        self.record_timed(commands)
    }

    fn view(&self, buffer: &wgpu::Buffer, bytes: u64) -> Result<view::View, DeviceError> {
        view::View::new(self, buffer, bytes)
    }

    fn wait(&self) -> Result<(), DeviceError> {
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .map_err(|e| DeviceError::Lost { device: self.name.clone(), reason: e.to_string() })?;
        self.sound()
    }
}
