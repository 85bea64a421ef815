//! The files and devices of a comparison: each device is opened once, each quantised copy of a file made once.

use super::setting::Setting;
use crate::exit::Usage;
use crate::hints::Advised;
use anyhow::Context as _;
use mynah::{DeviceChoice, Devices, Options, Precision};
use mynah_convert::Options as ConvertOptions;
use mynah_gguf::GgufFile;
use mynah_tensor::DType;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file, the model inside the binary where there is none, and the type that it is quantised to.
type Copied = (Option<PathBuf>, &'static str);

/// The model that the flags name, and the devices that were opened for it.
pub(super) struct Workbench {
    model: Option<PathBuf>,
    attention: Option<Option<[usize; 2]>>,
    threads: Option<usize>,
    strict: bool,
    devices: BTreeMap<String, Devices>,
    quantised: BTreeMap<Copied, NamedTempFile>,
}

impl Workbench {
    /// A bench for a model file, without one for the model inside the binary.
    pub(super) fn new(model: Option<PathBuf>, options: &Options) -> Self {
        Self {
            model,
            attention: options.attention,
            threads: options.threads,
            strict: options.strict,
            devices: BTreeMap::new(),
            quantised: BTreeMap::new(),
        }
    }

    /// Puts a device under a name, in place of the one that the name opens.
    #[cfg(test)]
    pub(super) fn install(&mut self, choice: DeviceChoice, devices: Devices) {
        self.devices.insert(choice.to_string(), devices);
    }

    /// The device of a name, opened once.
    ///
    /// # Errors
    /// When it can't be opened.
    pub(super) fn devices(&mut self, choice: DeviceChoice) -> anyhow::Result<Devices> {
        let name = choice.to_string();
        if let Some(devices) = self.devices.get(&name) {
            return Ok(devices.clone());
        }
        let devices = mynah::open_devices(choice, self.threads)?;
        self.devices.insert(name, devices.clone());
        Ok(devices)
    }

    /// The devices of a setting, and how a model is loaded on them.
    ///
    /// # Errors
    /// As [`Workbench::devices`].
    pub(super) fn place(&mut self, setting: &Setting) -> anyhow::Result<(Devices, Options)> {
        let choice: DeviceChoice = setting.device.parse().map_err(Usage::plain)?;
        let options = Options {
            precision: Precision::Exact,
            routes: setting.switches(),
            strict: self.strict,
            attention: self.attention,
            ..Options::default()
        };
        Ok((self.devices(choice)?, options))
    }

    /// The file of a setting; `None` is the model inside the binary.
    pub(super) fn model(&self, setting: &Setting) -> Option<PathBuf> {
        setting.model.clone().or_else(|| self.model.clone())
    }

    /// A file, quantised if a type is asked for.
    ///
    /// # Errors
    /// A file that can't be read or quantised.
    pub(super) fn file(
        &mut self,
        path: Option<&Path>,
        dtype: Option<&'static str>,
    ) -> anyhow::Result<GgufFile> {
        let Some(name) = dtype else { return crate::ears::file(path) };
        let key = (path.map(Path::to_path_buf), name);
        if !self.quantised.contains_key(&key) {
            let what = || match path {
                Some(path) => format!("can't make {name} of {}", path.display()),
                None => format!("can't make {name} of the built-in model"),
            };
            let made = self.quantise(path, name).with_context(what)?;
            self.quantised.insert(key.clone(), made);
        }
        crate::ears::file(self.quantised.get(&key).map(NamedTempFile::path))
    }

    fn quantise(&self, path: Option<&Path>, name: &str) -> anyhow::Result<NamedTempFile> {
        let dtype: DType = name.parse().map_err(|_| anyhow::anyhow!("there is no type {name}"))?;
        let output = scratch()?;
        let options = ConvertOptions { threads: self.threads, ..ConvertOptions::to(dtype) };
        let make = |input: &Path| mynah_convert::quantize(input, output.path(), &options, &|_| {});
        match path {
            Some(path) => make(path)?,
            None => {
                let bytes = mynah::builtin_bytes().ok_or_else(|| {
                    Advised::new("there is no model inside this binary", "name a GGUF file with -m")
                })?;
                let input = scratch()?;
                std::fs::write(input.path(), bytes)?;
                make(input.path())?
            }
        };
        Ok(output)
    }
}

fn scratch() -> std::io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix("mynah-drift-").suffix(".gguf").tempfile()
}

/// What is said of a model that can't be used.
pub(super) fn blame(path: Option<&Path>) -> String {
    match path {
        Some(path) => format!("can't use the model {}", path.display()),
        None => "can't use the built-in model".into(),
    }
}
