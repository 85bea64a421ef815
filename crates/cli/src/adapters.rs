//! The GPUs of this machine, each opened once to see what it can do.

use crate::units;
use mynah::{GpuError, GpuInfo};
use mynah_gpu::{Backend, Capabilities, GpuDevice, WgpuBackend};
use serde_json::{Value, json};
use std::sync::Arc;

/// A GPU that was found.
pub(crate) struct Adapter {
    pub(crate) info: GpuInfo,
    /// The device, or why it can't be opened.
    pub(crate) device: Result<Arc<GpuDevice<WgpuBackend>>, GpuError>,
}

/// Every adapter of this machine.
pub(crate) fn found() -> Vec<Adapter> {
    let open = |info: GpuInfo| Adapter { device: mynah_gpu::open(info.choice).map(Arc::new), info };
    mynah::list_gpus().into_iter().map(open).collect()
}

impl Adapter {
    /// Its limits and features, if it could be opened.
    pub(crate) fn capabilities(&self) -> Option<&Capabilities> {
        self.device.as_ref().ok().map(|device| device.backend().capabilities())
    }

    /// What it is, what it can do and its limits, for programs.
    pub(crate) fn json(&self) -> Value {
        let mut value = json!({
            "device": self.info.choice.to_string(),
            "kind": self.info.kind,
            "name": self.info.name,
            "driver": self.info.driver,
            "error": self.device.as_ref().err().map(ToString::to_string),
        });
        if let Some(caps) = self.capabilities() {
            let matrix: Vec<_> = caps.matrix.iter().map(|s| json!([s.m, s.n, s.k])).collect();
            value["subgroup"] = json!(caps.subgroup);
            value["f16"] = json!(caps.f16);
            value["matrix"] = json!(matrix);
            value["timestamps"] = json!(caps.timestamps);
            value["limits"] = json!({
                "buffer_bytes": caps.max_buffer,
                "binding_bytes": caps.max_binding,
                "bindings": caps.max_bindings,
                "workgroup_bytes": caps.workgroup_bytes,
                "workgroup_threads": caps.workgroup_threads,
                "workgroups": caps.max_groups,
            });
        }
        value
    }
}

/// Lanes of a subgroup.
pub(crate) fn subgroup(caps: &Capabilities) -> String {
    match caps.subgroup {
        Some([min, max]) if min == max => min.to_string(),
        Some([min, max]) => format!("{min} to {max}"),
        None => "none".into(),
    }
}

/// Shapes of the matrix units.
pub(crate) fn matrix(caps: &Capabilities) -> String {
    if caps.matrix.is_empty() {
        return "none".into();
    }
    let shapes = caps.matrix.iter().map(|s| format!("{}x{}x{}", s.m, s.n, s.k));
    shapes.collect::<Vec<_>>().join(" ")
}

/// Sizes that bound a model.
pub(crate) fn limits(caps: &Capabilities) -> String {
    format!(
        "buffers of {}, bindings of {} (at most {}), workgroups of {} threads with {}",
        units::bytes(caps.max_buffer),
        units::bytes(caps.max_binding),
        caps.max_bindings,
        caps.workgroup_threads,
        units::bytes(u64::from(caps.workgroup_bytes)),
    )
}
