//! Which adapter: names for `--device`, and the list of what there is.

use std::fmt;
use std::str::FromStr;

/// A graphics API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// Apple's.
    Metal,
    /// Khronos'.
    Vulkan,
    /// Microsoft's.
    Dx12,
}

impl Api {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Metal, Self::Vulkan, Self::Dx12];

    /// The name `--device` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Metal => "metal",
            Self::Vulkan => "vulkan",
            Self::Dx12 => "dx12",
        }
    }

    pub(crate) fn backends(self) -> wgpu::Backends {
        match self {
            Self::Metal => wgpu::Backends::METAL,
            Self::Vulkan => wgpu::Backends::VULKAN,
            Self::Dx12 => wgpu::Backends::DX12,
        }
    }

    fn of(backend: wgpu::Backend) -> Option<Self> {
        match backend {
            wgpu::Backend::Metal => Some(Self::Metal),
            wgpu::Backend::Vulkan => Some(Self::Vulkan),
            wgpu::Backend::Dx12 => Some(Self::Dx12),
            _ => None,
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An adapter as `--device` names it: an API and a number, `vulkan:1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GpuChoice {
    /// The API.
    pub api: Api,
    /// Which of the API's adapters, as [`list`] counts them; `None` takes the most capable.
    pub index: Option<usize>,
}

impl FromStr for GpuChoice {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let (name, index) = match s.split_once(':') {
            Some((name, index)) => {
                let index =
                    index.parse().map_err(|_| format!("'{index}' in '{s}' is no adapter's number"))?;
                (name, Some(index))
            }
            None => (s, None),
        };
        let api = Api::ALL.into_iter().find(|api| api.name() == name);
        let api =
            api.ok_or_else(|| format!("there is no graphics API '{name}'; there are metal, vulkan, dx12"))?;
        Ok(Self { api, index })
    }
}

impl fmt::Display for GpuChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => f.pad(&format!("{}:{index}", self.api)),
            None => f.pad(self.api.name()),
        }
    }
}

/// Why no adapter could be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// The API has no adapter here, or not that many.
    #[error("{choice}: there is no such adapter here; found: {found}")]
    NoAdapter {
        /// What was asked for.
        choice: GpuChoice,
        /// What there is.
        found: String,
    },
    /// The adapter lacks something that every kernel needs.
    #[error("{adapter} lacks {what}, which Mynah's kernels need")]
    Lacks {
        /// The adapter.
        adapter: String,
        /// What is missing.
        what: String,
    },
    /// The driver refused.
    #[error("{adapter} can't be opened: {reason}")]
    Refused {
        /// The adapter.
        adapter: String,
        /// What the driver says.
        reason: String,
    },
}

/// An adapter found on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuInfo {
    /// The name that opens it.
    pub choice: GpuChoice,
    /// Name of the adapter.
    pub name: String,
    /// Driver and version.
    pub driver: String,
    /// Discrete, integrated, virtual or software.
    pub kind: &'static str,
}

impl GpuInfo {
    /// Whether it is a processor that pretends to be a GPU: right for tests, slower than the CPU device.
    pub fn is_software(&self) -> bool {
        self.kind == "software"
    }
}

/// The adapters on this machine, those of each API in its own order.
pub fn list() -> Vec<GpuInfo> {
    adapters().iter().map(|(choice, adapter)| describe(*choice, &adapter.get_info())).collect()
}

pub(crate) fn describe(choice: GpuChoice, info: &wgpu::AdapterInfo) -> GpuInfo {
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    };
    let driver = [info.driver.as_str(), info.driver_info.as_str()].into_iter().filter(|s| !s.is_empty());
    GpuInfo { choice, name: info.name.clone(), driver: driver.collect::<Vec<_>>().join(" "), kind }
}

/// Every adapter with its name.
pub(crate) fn adapters() -> Vec<(GpuChoice, wgpu::Adapter)> {
    let mut found = Vec::new();
    for api in Api::ALL {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = api.backends();
        let instance = wgpu::Instance::new(descriptor);
        let adapters = pollster::block_on(instance.enumerate_adapters(api.backends()));
        let adapters = adapters.into_iter().filter(|a| Api::of(a.get_info().backend) == Some(api));
        let named = adapters.enumerate().map(|(i, a)| (GpuChoice { api, index: Some(i) }, a));
        found.extend(named);
    }
    found
}

/// How much an adapter promises: real GPUs before pretended ones, discrete before integrated.
pub(crate) fn rank(info: &wgpu::AdapterInfo) -> u8 {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 4,
        wgpu::DeviceType::IntegratedGpu => 3,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 1,
        wgpu::DeviceType::Cpu => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for name in ["metal", "vulkan:0", "dx12:3"] {
            assert_eq!(name.parse::<GpuChoice>().map(|c| c.to_string()), Ok(name.to_owned()));
        }
        assert_eq!(
            "cuda".parse::<GpuChoice>(),
            Err("there is no graphics API 'cuda'; there are metal, vulkan, dx12".into())
        );
        assert_eq!("vulkan:x".parse::<GpuChoice>(), Err("'x' in 'vulkan:x' is no adapter's number".into()));
    }
}
