//! Which machine runs a model.

use crate::error::Error;
use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::Device;
use mynah_gpu::GpuChoice;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A device as `--device` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// What [`DeviceChoice::resolve`] takes by itself.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, by its graphics API and perhaps its number.
    Gpu(GpuChoice),
}

impl DeviceChoice {
    /// What `auto` stands for, decided here and nowhere else: the CPU. A GPU is taken only when it is asked for, as long
    /// as no measurement on the machine at hand says that it is faster with the model at hand: small models on few
    /// seconds of audio are not, and an adapter may be a processor that pretends to be one.
    pub fn resolve(self) -> Self {
        match self {
            Self::Auto => Self::Cpu,
            chosen => chosen,
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => s.parse().map(Self::Gpu).map_err(|reason| {
                // A number that is none has its own complaint; any other name is simply unknown.
                let known = s.split_once(':').is_some_and(|(api, _)| api.parse::<GpuChoice>().is_ok());
                if known {
                    return reason;
                }
                format!(
                    "there is no device '{s}'; there are auto, cpu, metal, vulkan and dx12, and of several adapters \
                     one with its number, such as vulkan:1"
                )
            }),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Cpu => f.pad("cpu"),
            Self::Gpu(choice) => choice.fmt(f),
        }
    }
}

/// An opened device, and the one that runs what it can't.
#[derive(Clone)]
pub struct Devices {
    /// The device chosen.
    pub device: Arc<dyn Device>,
    /// The CPU beside a GPU; the CPU itself runs everything.
    pub fallback: Option<Arc<dyn Device>>,
}

/// Opens a device. `threads` are those of the CPU, by default as many as the machine has.
///
/// # Errors
/// [`Error::Gpu`] when there is no such adapter or it can't be opened, [`Error::Device`] when `MYNAH_CPU` asks for
/// instructions the machine lacks.
pub fn open_device(choice: DeviceChoice, threads: Option<usize>) -> Result<Arc<dyn Device>, Error> {
    match choice.resolve() {
        DeviceChoice::Gpu(gpu) => match mynah_gpu::open(gpu) {
            Ok(device) => Ok(Arc::new(device)),
            Err(source) => Err(Error::Gpu { name: choice.to_string(), source }),
        },
        DeviceChoice::Auto | DeviceChoice::Cpu => {
            let device = CpuDevice::new(CpuOptions { threads, simd: None });
            let reason =
                |e: &dyn fmt::Display| Error::Device { name: choice.to_string(), reason: e.to_string() };
            Ok(Arc::new(device.map_err(|e| reason(&e))?))
        }
    }
}

/// Opens a device with its fallback.
///
/// # Errors
/// As [`open_device`].
pub fn open_devices(choice: DeviceChoice, threads: Option<usize>) -> Result<Devices, Error> {
    let device = open_device(choice, threads)?;
    let fallback = match choice.resolve() {
        DeviceChoice::Gpu(_) => Some(open_device(DeviceChoice::Cpu, threads)?),
        DeviceChoice::Auto | DeviceChoice::Cpu => None,
    };
    Ok(Devices { device, fallback })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for name in ["auto", "cpu", "metal", "vulkan", "vulkan:1", "dx12:0"] {
            assert_eq!(name.parse::<DeviceChoice>().map(|c| c.to_string()), Ok(name.to_owned()));
        }
        let error = |name: &str| name.parse::<DeviceChoice>().unwrap_err();
        assert!(
            error("cuda").starts_with("there is no device 'cuda'; there are auto, cpu"),
            "{}",
            error("cuda")
        );
        assert!(error("npu:1").starts_with("there is no device 'npu:1'"), "{}", error("npu:1"));
        assert_eq!(error("vulkan:x"), "'x' in 'vulkan:x' is no adapter's number");
    }

    #[test]
    fn the_cpu_is_taken_unasked_and_needs_no_fallback() {
        assert_eq!(DeviceChoice::default().resolve(), DeviceChoice::Cpu);
        let devices = open_devices(DeviceChoice::Auto, Some(1)).unwrap();
        assert_eq!(devices.device.name(), "cpu");
        assert!(devices.fallback.is_none());
    }

    #[test]
    fn an_adapter_that_is_not_there_is_named_with_a_way_out() {
        let choice = DeviceChoice::Gpu("vulkan:99".parse().unwrap());
        let Err(error) = open_devices(choice, Some(1)) else { panic!("a hundred adapters in one machine") };
        assert_eq!(error.to_string(), "can't open device 'vulkan:99'");
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("no such adapter"), "{cause}");
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_gpu_has_the_cpu_behind_it() {
        let Some(info) = mynah_gpu::list().into_iter().next() else { return };
        let devices = open_devices(DeviceChoice::Gpu(info.choice), Some(1)).unwrap();
        assert_eq!(devices.device.name(), info.choice.to_string());
        assert_eq!(devices.fallback.map(|d| d.name().to_owned()).as_deref(), Some("cpu"));
    }
}
