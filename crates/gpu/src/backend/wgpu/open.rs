//! Opens an adapter with the features and limits that kernels can use.

use super::WgpuBackend;
use super::pipeline::Pipelines;
use crate::backend::IMMEDIATE_BYTES;
use crate::caps::{Capabilities, MatrixShape};
use crate::choice::{GpuChoice, GpuError, adapters, describe, rank};
use std::sync::{Arc, Mutex, PoisonError};
use wgpu::{CooperativeScalarType, Features};

/// What is taken if it is there.
const WANTED: Features = Features::SUBGROUP
    .union(Features::SUBGROUP_BARRIER)
    .union(Features::SHADER_F16)
    .union(Features::TIMESTAMP_QUERY)
    .union(Features::TIMESTAMP_QUERY_INSIDE_ENCODERS)
    .union(Features::TIMESTAMP_QUERY_INSIDE_PASSES)
    .union(Features::EXPERIMENTAL_COOPERATIVE_MATRIX);

/// How much of an adapter is taken.
#[derive(Clone, Copy)]
enum Offer {
    /// All that kernels can use.
    Whole,
    /// What every adapter has.
    Least,
}

impl WgpuBackend {
    /// Opens an adapter.
    ///
    /// # Errors
    /// [`GpuError`]: there is no such adapter, it lacks immediates, or the driver refuses.
    pub fn open(choice: GpuChoice) -> Result<Self, GpuError> {
        Self::find(choice, Offer::Whole)
    }

    /// Opens an adapter as if it had no more than every adapter has: WebGPU's default limits, no subgroups, no `f16`, no matrix
    /// units. A kernel that asks for more is refused by wgpu itself, so what runs here runs everywhere.
    ///
    /// # Errors
    /// As [`WgpuBackend::open`].
    pub fn open_least(choice: GpuChoice) -> Result<Self, GpuError> {
        Self::find(choice, Offer::Least)
    }

    fn find(choice: GpuChoice, offer: Offer) -> Result<Self, GpuError> {
        let mut found = adapters();
        let names = || match crate::choice::list() {
            all if all.is_empty() => "none at all".to_owned(),
            all => all.iter().map(|a| format!("{} ({})", a.choice, a.name)).collect::<Vec<_>>().join(", "),
        };
        let fits = |c: &GpuChoice| c.api == choice.api && choice.index.is_none_or(|i| c.index == Some(i));
        found.retain(|(c, _)| fits(c));
        let best = found.into_iter().max_by_key(|(c, adapter)| {
            // Of equals the first.
            (rank(&adapter.get_info()), std::cmp::Reverse(c.index))
        });
        let (choice, adapter) = best.ok_or_else(|| GpuError::NoAdapter { choice, found: names() })?;
        Self::of(choice, &adapter, offer)
    }

    fn of(choice: GpuChoice, adapter: &wgpu::Adapter, offer: Offer) -> Result<Self, GpuError> {
        let info = describe(choice, &adapter.get_info());
        let features = adapter.features();
        if !features.contains(Features::IMMEDIATES) {
            return Err(GpuError::Lacks { adapter: info.name, what: "immediates (push constants)".into() });
        }
        let (wanted, limits) = match offer {
            Offer::Whole => (WANTED, adapter.limits()),
            // Timestamps are for reports; no kernel knows of them.
            Offer::Least => (Features::empty(), wgpu::Limits::default()),
        };
        let features = (features & wanted) | Features::IMMEDIATES;
        let limits = wgpu::Limits { max_immediate_size: IMMEDIATE_BYTES, ..limits };
        let refused = |reason: String| GpuError::Refused { adapter: info.name.clone(), reason };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("mynah"),
            required_features: features,
            required_limits: limits.clone(),
            // SAFETY: the one experiment is matrix units, whose kernels pass the op suite on every adapter before a release;
            // the defects known in their translation (operands that are expressions, sizes that Metal lacks) are avoided.
            experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        let (device, queue) =
            pollster::block_on(adapter.request_device(&descriptor)).map_err(|e| refused(e.to_string()))?;
        let trouble = Arc::new(Mutex::new(None));
        let note = |trouble: &Arc<Mutex<Option<String>>>| {
            let trouble = Arc::clone(trouble);
            move |reason: String| {
                tracing::debug!(reason, "the GPU reports");
                // The first complaint is the cause, later ones are its consequences.
                trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
            }
        };
        let (lost, uncaptured) = (note(&trouble), note(&trouble));
        device.set_device_lost_callback(move |reason, message| {
            // Dropping the device is no trouble.
            if reason != wgpu::DeviceLostReason::Destroyed {
                lost(format!("{reason:?}: {message}"));
            }
        });
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| uncaptured(error.to_string())));
        let caps = capabilities(adapter, features, &limits);
        Ok(Self {
            name: choice.to_string(),
            features: summary(&caps),
            pipelines: Pipelines::default(),
            device,
            queue,
            info,
            caps,
            trouble,
        })
    }
}

fn capabilities(adapter: &wgpu::Adapter, features: Features, limits: &wgpu::Limits) -> Capabilities {
    let info = adapter.get_info();
    let subgroup = features.contains(Features::SUBGROUP);
    let matrix = if features.contains(Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
        let shapes = adapter.cooperative_matrix_properties();
        let usable = shapes.iter().filter(|s| {
            s.ab_type == CooperativeScalarType::F16
                && s.cr_type == CooperativeScalarType::F32
                && s.m_size == s.n_size
                && s.n_size == s.k_size
                && !s.saturating_accumulation
        });
        usable.map(|s| MatrixShape { m: s.m_size, n: s.n_size, k: s.k_size }).collect()
    } else {
        Vec::new()
    };
    Capabilities {
        subgroup: subgroup.then_some([info.subgroup_min_size, info.subgroup_max_size]),
        f16: features.contains(Features::SHADER_F16),
        matrix,
        timestamps: features.contains(Features::TIMESTAMP_QUERY | Features::TIMESTAMP_QUERY_INSIDE_PASSES),
        max_binding: limits.max_storage_buffer_binding_size,
        max_buffer: limits.max_buffer_size,
        binding_align: u64::from(limits.min_storage_buffer_offset_alignment),
        workgroup_bytes: limits.max_compute_workgroup_storage_size,
        workgroup_threads: limits.max_compute_invocations_per_workgroup,
        max_groups: limits.max_compute_workgroups_per_dimension,
        max_bindings: limits.max_storage_buffers_per_shader_stage,
    }
}

/// The features, for reports.
fn summary(caps: &Capabilities) -> Vec<String> {
    let mut all = Vec::new();
    match caps.subgroup {
        Some([min, max]) if min == max => all.push(format!("subgroups of {min}")),
        Some([min, max]) => all.push(format!("subgroups of {min} to {max}")),
        None => {}
    }
    if caps.f16 {
        all.push("f16".into());
    }
    for s in &caps.matrix {
        all.push(format!("matrix {}x{}x{}", s.m, s.n, s.k));
    }
    if caps.timestamps {
        all.push("timestamps".into());
    }
    all
}
