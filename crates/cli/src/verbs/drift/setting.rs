//! One side of a comparison: `device=vulkan,precision=fast,int8-dot=off,type=Q8_0`, `model=other-q4_0.gguf`.

use crate::exit::Usage;
use crate::flags;
use mynah::{Device, DeviceChoice, Policy, Precision};
use mynah_tensor::DType;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What was typed; what is left out comes from the flags of the verb.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Spec {
    pub(super) device: Option<DeviceChoice>,
    pub(super) precision: Option<Precision>,
    /// Another file of the model than the flags name; of a voice T3's.
    pub(super) model: Option<PathBuf>,
    /// Another file of S3Gen.
    pub(super) s3gen: Option<PathBuf>,
    /// Type that the model is quantised to first.
    pub(super) dtype: Option<DType>,
    /// Routes with their switches, as `--route` takes them.
    pub(super) routes: Vec<String>,
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut spec = Self::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("'{part}' is not NAME=VALUE"))?;
            match key {
                "device" => spec.device = Some(value.parse()?),
                "precision" => spec.precision = Some(flags::precision(value)?),
                "model" | "s3gen" if value.is_empty() => return Err(format!("'{part}' names no file")),
                "model" => spec.model = Some(value.into()),
                "s3gen" => spec.s3gen = Some(value.into()),
                "type" => spec.dtype = Some(flags::element_type(value)?),
                _ if matches!(value, "on" | "off") => spec.routes.push(part.to_owned()),
                _ => {
                    return Err(format!(
                        "'{part}' is none of device=, precision=, type=, model=, s3gen= and ROUTE=on|off"
                    ));
                }
            }
        }
        Ok(spec)
    }
}

/// A way to compute, with every route that it takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Setting {
    /// As `--device` names it.
    pub(super) device: String,
    /// Another file of the model than the flags name; of a voice T3's.
    pub(super) model: Option<PathBuf>,
    /// Another file of S3Gen than lies beside T3's.
    pub(super) s3gen: Option<PathBuf>,
    /// Type that the model is quantised to first, by name.
    pub(super) dtype: Option<&'static str>,
    /// Routes of the device that are on.
    pub(super) routes: BTreeSet<String>,
}

impl Setting {
    /// A spec with everything decided. The precision is but a name for all routes of the device, or none.
    ///
    /// # Errors
    /// A route that the device doesn't have.
    pub(super) fn of(
        spec: &Spec,
        choice: DeviceChoice,
        usual: Precision,
        device: &dyn Device,
    ) -> anyhow::Result<Self> {
        let mut policy = Policy { precision: spec.precision.unwrap_or(usual), ..Policy::default() };
        policy.switch(&spec.routes.join(","), device.routes()).map_err(Usage::plain)?;
        let on = device.routes().iter().filter(|r| policy.allows(r)).map(|r| r.name.to_owned());
        Ok(Self {
            device: choice.to_string(),
            model: spec.model.clone(),
            s3gen: spec.s3gen.clone(),
            dtype: spec.dtype.map(DType::name),
            routes: on.collect(),
        })
    }

    /// The switches of a policy that takes exactly these routes, for [`mynah::Options::routes`] beside
    /// [`Precision::Exact`].
    pub(super) fn switches(&self) -> String {
        self.routes.iter().map(|r| format!("{r}=on")).collect::<Vec<_>>().join(",")
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device={}", self.device)?;
        for (name, file) in [("model", &self.model), ("s3gen", &self.s3gen)] {
            if let Some(path) = file {
                write!(f, ",{name}={}", path.display())?;
            }
        }
        if let Some(dtype) = self.dtype {
            write!(f, ",type={dtype}")?;
        }
        if self.routes.is_empty() {
            return write!(f, ",precision=exact");
        }
        self.routes.iter().try_for_each(|r| write!(f, ",{r}=on"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_lab::ReferenceDevice;
    use std::path::Path;

    #[test]
    fn a_side_is_read_part_by_part() {
        let spec: Spec = "device=vulkan:1, precision=fast,int8-dot=off,type=q8_0".parse().unwrap();
        assert_eq!(spec.device.map(|d| d.to_string()).as_deref(), Some("vulkan:1"));
        assert_eq!((spec.precision, spec.dtype), (Some(Precision::Fast), Some(DType::Q8_0)));
        assert_eq!(spec.routes, ["int8-dot=off"]);
        let spec: Spec = "model=a-t3.gguf,s3gen=b/s3gen.gguf".parse().unwrap();
        assert_eq!(spec.model.as_deref(), Some(Path::new("a-t3.gguf")));
        assert_eq!(spec.s3gen.as_deref(), Some(Path::new("b/s3gen.gguf")));
        for wrong in ["model=", "device=abacus", "precision=some", "type=Q9", "int8-dot=maybe", "fast"] {
            assert!(wrong.parse::<Spec>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_precision_becomes_routes() {
        let setting = |text: &str| {
            Setting::of(&text.parse().unwrap(), DeviceChoice::Cpu, Precision::Exact, &ReferenceDevice)
        };
        assert_eq!(setting("").unwrap().to_string(), "device=cpu,precision=exact");
        assert_eq!(setting("precision=fast").unwrap().to_string(), "device=cpu,f16-product=on");
        assert_eq!(setting("precision=fast,f16-product=off").unwrap(), setting("").unwrap());
        assert_eq!(setting("f16-product=on").unwrap().switches(), "f16-product=on");
        assert!(setting("int8-dot=on").is_err());
        let other = "device=cpu,model=q4.gguf,precision=exact";
        assert_eq!(setting("model=q4.gguf").unwrap().to_string(), other);
    }
}
