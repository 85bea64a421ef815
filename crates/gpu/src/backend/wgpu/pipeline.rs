//! Compiled kernels, each compiled once for all sessions of a device, and operands bound to them.

use super::{WgpuBackend, WgpuPipeline};
use crate::backend::{Access, Bind};
use crate::shader::Shader;
use mynah_device::DeviceError;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The kernels compiled so far.
#[derive(Default)]
pub(super) struct Pipelines {
    compiled: Mutex<HashMap<Shader, Slot>>,
}

/// A kernel's place, locked while it is compiled, so that two sessions don't compile the same one.
type Slot = Arc<Mutex<Option<WgpuPipeline>>>;

impl Pipelines {
    pub(super) fn get(&self, backend: &WgpuBackend, shader: &Shader) -> Result<WgpuPipeline, DeviceError> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = Slot::clone(compiled.entry(shader.clone()).or_default());
        drop(compiled);
        let mut pipeline = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = &*pipeline {
            return Ok(found.clone());
        }
        Ok(pipeline.insert(backend.compile(shader)?).clone())
    }

    /// Compiles kernels on all processors: a driver takes tens of milliseconds for each. What fails is reported when it is asked for.
    pub(super) fn prepare(&self, backend: &WgpuBackend, shaders: &[&Shader]) {
        let distinct: Vec<&Shader> = shaders.iter().copied().collect::<HashSet<_>>().into_iter().collect();
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(shader) = distinct.get(next.fetch_add(1, Ordering::Relaxed)) {
                // The one who needs it meets the error.
                drop(self.get(backend, shader));
            }
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 1..processors.min(distinct.len()) {
                scope.spawn(work);
            }
            work();
        });
    }
}

impl WgpuBackend {
    fn compile(&self, shader: &Shader) -> Result<WgpuPipeline, DeviceError> {
        let make = || {
            let descriptor = wgpu::ShaderModuleDescriptor {
                label: Some(&shader.name),
                source: wgpu::ShaderSource::Wgsl(shader.wgsl.as_ref().into()),
            };
            // Checks cost a clamp on each access; `MYNAH_GPU_CHECKS=1` brings them back to look for a stray index.
            let module = if std::env::var_os("MYNAH_GPU_CHECKS").is_some_and(|v| v == "1") {
                self.device.create_shader_module(descriptor)
            } else {
                // SAFETY: kernels index within the extents their host code binds, which the op suite checks with guards
                // around every output, on a device with checks and on one without.
                unsafe {
                    self.device
                        .create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
                }
            };
            let entries: Vec<_> = shader.bindings.iter().enumerate().map(|(i, a)| entry(i, *a)).collect();
            let layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(&shader.name),
                entries: &entries,
            });
            let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(&shader.name),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: shader.immediate_bytes,
            });
            let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&shader.name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &[],
                    zero_initialize_workgroup_memory: false,
                },
                cache: None,
            });
            WgpuPipeline { pipeline, layout, name: shader.name.as_str().into() }
        };
        let start = std::time::Instant::now();
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let made = self.scoped(wgpu::ErrorFilter::Validation, make);
        let internal = pollster::block_on(internal.pop());
        let refuse = |reason: String| {
            tracing::trace!(source = %shader.wgsl, "a kernel that does not compile");
            DeviceError::Kernel { node: shader.name.clone(), reason }
        };
        let pipeline = made.map_err(refuse)?;
        if let Some(error) = internal {
            return Err(refuse(error.to_string()));
        }
        tracing::debug!(kernel = shader.name, time = ?start.elapsed(), "compiled");
        Ok(pipeline)
    }

    pub(super) fn bind_group(
        &self,
        pipeline: &WgpuPipeline,
        operands: &Bind<wgpu::Buffer>,
    ) -> Result<wgpu::BindGroup, DeviceError> {
        let entries: Vec<_> = operands
            .iter()
            .enumerate()
            .map(|(i, slice)| wgpu::BindGroupEntry {
                binding: i as u32,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &slice.buffer,
                    offset: slice.offset,
                    size: wgpu::BufferSize::new(slice.bytes),
                }),
            })
            .collect();
        let make = || {
            self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&pipeline.name),
                layout: &pipeline.layout,
                entries: &entries,
            })
        };
        let refuse = |reason| DeviceError::Kernel { node: pipeline.name.to_string(), reason };
        self.scoped(wgpu::ErrorFilter::Validation, make).map_err(refuse)
    }
}

fn entry(index: usize, access: Access) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding: index as u32,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: access == Access::Read },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    }
}
