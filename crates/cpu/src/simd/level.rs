//! Which instruction sets the machine has, and which one a device was told to use.

use std::fmt;

/// An instruction set, with the extensions found beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimdLevel {
    /// Plain Rust, whatever the compiler makes of it.
    Portable,
    /// x86-64 with AVX2, FMA and F16C (Haswell, Zen).
    Avx2 {
        /// Integer dot products of bytes (AVX-VNNI: Alder Lake, Zen 5).
        vnni: bool,
    },
    /// x86-64 with AVX-512 F, BW, VL and DQ.
    Avx512 {
        /// Integer dot products of bytes.
        vnni: bool,
        /// Dot products of bfloat16 pairs.
        bf16: bool,
    },
    /// aarch64.
    Neon {
        /// Integer dot products of bytes.
        dotprod: bool,
        /// Integer matrix products of bytes.
        i8mm: bool,
    },
}

/// A SIMD level that can't be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// The name means nothing.
    #[error("MYNAH_CPU: there is no instruction set '{0}'; known: portable, avx2, avx512, neon")]
    Unknown(String),
    /// The processor lacks it.
    #[error("this processor has no {wanted}; the best it has is {best}")]
    Missing {
        /// What was asked for.
        wanted: String,
        /// What [`SimdLevel::detect`] finds.
        best: SimdLevel,
    },
}

impl SimdLevel {
    /// The best level of this machine.
    pub fn detect() -> Self {
        Self::detect_avx512().or_else(Self::detect_avx2).or_else(Self::detect_neon).unwrap_or(Self::Portable)
    }

    /// Every level this machine has, best first; AVX2 with its extension and without.
    pub fn available() -> Vec<Self> {
        let avx2 = Self::detect_avx2();
        let plain =
            avx2.filter(|level| *level != Self::Avx2 { vnni: false }).map(|_| Self::Avx2 { vnni: false });
        let found = [Self::detect_avx512(), avx2, plain, Self::detect_neon(), Some(Self::Portable)];
        found.into_iter().flatten().collect()
    }

    /// The level called `name` (`portable`, `avx2`, `avx512` or `neon`), with the extensions this machine has.
    ///
    /// # Errors
    /// [`LevelError`] for another name, or a level the machine lacks.
    pub fn from_name(name: &str) -> Result<Self, LevelError> {
        let found = match name {
            "portable" => Some(Self::Portable),
            "avx2" => Self::detect_avx2(),
            "avx512" => Self::detect_avx512(),
            "neon" => Self::detect_neon(),
            _ => return Err(LevelError::Unknown(name.to_owned())),
        };
        found.ok_or_else(|| LevelError::Missing { wanted: name.to_owned(), best: Self::detect() })
    }

    /// Checks that the machine has this level with its extensions.
    ///
    /// # Errors
    /// [`LevelError::Missing`].
    pub fn check(self) -> Result<Self, LevelError> {
        let had = match (self, Self::from_name(self.name())?) {
            (Self::Avx512 { vnni, bf16 }, Self::Avx512 { vnni: has_vnni, bf16: has_bf16 }) => {
                (has_vnni || !vnni) && (has_bf16 || !bf16)
            }
            (Self::Avx2 { vnni }, Self::Avx2 { vnni: has_vnni }) => has_vnni || !vnni,
            (Self::Neon { dotprod, i8mm }, Self::Neon { dotprod: has_dot, i8mm: has_mm }) => {
                (has_dot || !dotprod) && (has_mm || !i8mm)
            }
            _ => true,
        };
        if had {
            Ok(self)
        } else {
            Err(LevelError::Missing { wanted: self.to_string(), best: Self::detect() })
        }
    }

    /// The name [`SimdLevel::from_name`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 { .. } => "avx2",
            Self::Avx512 { .. } => "avx512",
            Self::Neon { .. } => "neon",
        }
    }

    /// Name and extensions, for reports.
    pub(crate) fn features(self) -> Vec<String> {
        let extensions: &[(&str, bool)] = match self {
            Self::Portable => &[],
            Self::Avx2 { vnni } => &[("fma", true), ("f16c", true), ("vnni", vnni)],
            Self::Avx512 { vnni, bf16 } => &[("vnni", vnni), ("bf16", bf16)],
            Self::Neon { dotprod, i8mm } => &[("dotprod", dotprod), ("i8mm", i8mm)],
        };
        let had = extensions.iter().filter(|(_, has)| *has).map(|(name, _)| *name);
        std::iter::once(self.name()).chain(had).map(str::to_owned).collect()
    }

    /// Which float kernels to call.
    pub(crate) fn isa(self) -> Isa {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 { .. } => Isa::Avx512,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 { .. } => Isa::Avx2,
            #[cfg(target_arch = "aarch64")]
            Self::Neon { .. } => Isa::Neon,
            _ => Isa::Portable,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn detect_avx512() -> Option<Self> {
        use std::arch::is_x86_feature_detected as has;
        let base = has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512dq");
        let level = Self::Avx512 { vnni: has!("avx512vnni"), bf16: has!("avx512bf16") };
        (base && Self::detect_avx2().is_some()).then_some(level)
    }

    #[cfg(target_arch = "x86_64")]
    fn detect_avx2() -> Option<Self> {
        use std::arch::is_x86_feature_detected as has;
        let level = Self::Avx2 { vnni: has!("avxvnni") };
        (has!("avx2") && has!("fma") && has!("f16c")).then_some(level)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn detect_avx512() -> Option<Self> {
        None
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn detect_avx2() -> Option<Self> {
        None
    }

    #[cfg(target_arch = "aarch64")]
    fn detect_neon() -> Option<Self> {
        use std::arch::is_aarch64_feature_detected as has;
        Some(Self::Neon { dotprod: has!("dotprod"), i8mm: has!("i8mm") })
    }

    #[cfg(not(target_arch = "aarch64"))]
    fn detect_neon() -> Option<Self> {
        None
    }
}

impl fmt::Display for SimdLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.features().join("+"))
    }
}

/// The instruction set float kernels are compiled for; only made from a [`SimdLevel`] the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Isa {
    /// For kernel names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 { .. } => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_found_by_name_or_refused() {
        for level in SimdLevel::available() {
            assert_eq!(SimdLevel::from_name(level.name()).map(SimdLevel::name), Ok(level.name()));
            assert_eq!(level.check(), Ok(level));
        }
        assert_eq!(SimdLevel::available()[0], SimdLevel::detect());
        assert!(matches!(SimdLevel::from_name("mmx"), Err(LevelError::Unknown(_))));
        let foreign = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
        let error = SimdLevel::from_name(foreign).unwrap_err().to_string();
        assert!(error.contains(foreign), "{error}");
    }
}
