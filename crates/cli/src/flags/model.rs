//! Which model runs where and how.

use super::values;
use clap::Args;
use mynah::{DeviceChoice, Options, Precision};
use std::path::PathBuf;

/// The model and the machine.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model and machine")]
pub(crate) struct ModelFlags {
    /// The model, a GGUF file; without it the model inside the binary is used
    #[arg(short, long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,

    /// Where it runs: auto, cpu, metal, vulkan or dx12, with :N for one of several adapters; `mynah devices` lists them.
    /// What a GPU can't run, the CPU does
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub(crate) device: DeviceChoice,

    /// Threads; by default one for each physical core. The result doesn't depend on it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// exact computes with the plain formulas, fast may take every route of the device
    #[arg(long, value_name = "exact|fast", default_value = "fast", value_parser = values::precision)]
    pub(crate) precision: Precision,

    /// Switch single fast routes, whatever --precision says; `mynah doctor` lists them
    #[arg(long, value_name = "NAME=on|off,...", value_delimiter = ',')]
    pub(crate) route: Vec<String>,

    /// Refuse a model that the device can't run whole, instead of running the rest on the CPU
    #[arg(long)]
    pub(crate) strict: bool,
}

impl ModelFlags {
    /// As the library takes them.
    pub(crate) fn options(&self) -> Options {
        Options {
            device: self.device,
            threads: self.threads.map(usize::from),
            precision: self.precision,
            routes: self.route.join(","),
            strict: self.strict,
            ..Options::default()
        }
    }
}
