//! What a file is to become, by the names people give types and mixtures of types.

use std::fmt;
use std::str::FromStr;

use mynah_tensor::DType;

/// The type of the large matrices, and for language models how many of them get more bits.
///
/// `Q4_K` and `Q5_K` are llama.cpp's mixtures `Q4_K_M` and `Q5_K_M` where the family has mixtures; `_S` gives fewer
/// tensors more bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    dtype: DType,
    small: bool,
}

/// A name that is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no type is called {0:?}; there are {names}", names = Target::NAMES)]
pub struct UnknownTarget(pub String);

impl Target {
    /// The names of targets that can be written, for messages.
    pub const NAMES: &str =
        "F32, F16, BF16, Q8_0, Q4_0, Q5_0, Q4_K_M, Q4_K_S, Q5_K_M, Q5_K_S, Q6_K, IQ4_NL and MXFP4";

    /// The type of most large matrices.
    pub fn dtype(self) -> DType {
        self.dtype
    }

    /// Whether this is the smaller of two mixtures.
    pub fn is_small(self) -> bool {
        self.small
    }

    /// llama.cpp's number of the mixture, `general.file_type` of a file.
    pub fn file_type(self) -> Option<u32> {
        let number = match self.dtype {
            DType::F32 => 0,
            DType::F16 => 1,
            DType::Q4_0 => 2,
            DType::Q8_0 => 7,
            DType::Q5_0 => 8,
            DType::Q4K => 15 - u32::from(self.small),
            DType::Q5K => 17 - u32::from(self.small),
            DType::Q6K => 18,
            DType::Iq4Nl => 25,
            DType::BF16 => 32,
            DType::Mxfp4 => 38,
            _ => return None,
        };
        Some(number)
    }
}

impl From<DType> for Target {
    fn from(dtype: DType) -> Target {
        Target { dtype, small: false }
    }
}

impl FromStr for Target {
    type Err = UnknownTarget;

    /// Reads the name of a type or mixture in either case: `q8_0`, `Q4_K_M`, `mxfp4_moe`.
    fn from_str(text: &str) -> Result<Target, UnknownTarget> {
        let unknown = || UnknownTarget(text.to_owned());
        let upper = text.to_ascii_uppercase();
        let mixture = |stem: &str| matches!(stem, "Q4_K" | "Q5_K");
        let (name, small) = match (upper.strip_suffix("_M"), upper.strip_suffix("_S")) {
            (Some(stem), _) if mixture(stem) => (stem, false),
            (_, Some(stem)) if mixture(stem) => (stem, true),
            _ => (upper.strip_suffix("_MOE").filter(|stem| *stem == "MXFP4").unwrap_or(&upper), false),
        };
        let dtype = name.parse().map_err(|_| unknown())?;
        Ok(Target { dtype, small })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = match self.dtype {
            DType::Q4K | DType::Q5K if self.small => "_S",
            DType::Q4K | DType::Q5K => "_M",
            _ => "",
        };
        f.pad(&format!("{}{size}", self.dtype))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let of = |name: &str| name.parse::<Target>().map(|target| (target.to_string(), target.file_type()));
        assert_eq!(of("q4_k_m").unwrap(), ("Q4_K_M".to_owned(), Some(15)));
        assert_eq!(of("Q4_K"), of("Q4_K_M"));
        assert_eq!(of("q5_k_s").unwrap(), ("Q5_K_S".to_owned(), Some(16)));
        assert_eq!(of("MXFP4_MOE").unwrap(), ("MXFP4".to_owned(), Some(38)));
        assert_eq!(of("bf16").unwrap(), ("BF16".to_owned(), Some(32)));
        for wrong in ["", "q8_0_m", "Q6_K_S", "q4", "f32_moe"] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains("IQ4_NL"), "{error}");
        }
    }
}
