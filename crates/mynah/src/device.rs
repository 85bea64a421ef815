//! Which machine runs a model.

use crate::error::Error;
use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::Device;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A device as `--device` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The fastest there is; today that is the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => Err(format!("there is no device '{s}'; this build has: auto, cpu")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
        })
    }
}

/// Opens a device with that many threads, or as many as the machine has.
///
/// # Errors
/// [`Error::Device`] when `MYNAH_CPU` asks for instructions the machine lacks.
pub fn open_device(choice: DeviceChoice, threads: Option<usize>) -> Result<Arc<dyn Device>, Error> {
    let options = CpuOptions { threads, simd: None };
    let device = CpuDevice::new(options);
    Ok(Arc::new(device.map_err(|e| Error::Device { name: choice.to_string(), reason: e.to_string() })?))
}
