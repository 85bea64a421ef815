//! Integer dot products: the tile of products whose weights are levels and whose `x` is quantised to bytes.
//!
//! Within a group everything is exact integer arithmetic; across groups a float sum runs over k in order. So a row's
//! bits depend neither on the height of its tile nor on which instructions formed the integers.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tile;
#[cfg(target_arch = "x86_64")]
mod vnni;

use crate::simd::SimdLevel;
use crate::weights::LevelFormat;

/// Terms of `x` that share a scale. Longer blocks cost a product less work, shorter ones are closer to `x`; llama.cpp
/// takes 32 for the plain formats and 256 for K-quants. 640 and 512 and 1024 are whole numbers of these.
pub(crate) const X_BLOCK: usize = 128;

/// What one tile works on.
#[derive(Clone, Copy)]
pub(crate) struct DotTile {
    /// `[quad][rows]` words of four signed bytes.
    pub(crate) x: *const i32,
    /// `[block][rows]`: the scale of each [`X_BLOCK`] of `x`, the last one possibly shorter.
    pub(crate) scales: *const f32,
    /// `[group][rows]`: what the sum of each group's bytes is good for ([`offset`]).
    pub(crate) sums: *const i32,
    /// Records of a panel ([`LevelFormat`]).
    pub(crate) records: *const u8,
    /// Number of groups, whole records.
    pub(crate) groups: usize,
    /// The level that means zero.
    pub(crate) zero: i32,
    /// `[rows][panel]`: written when `fresh`, else added to.
    pub(crate) c: *mut f32,
    /// Whether `c` holds nothing yet.
    pub(crate) fresh: bool,
}

/// The word that a product needs to know of a group's sum of bytes: as float bits to be multiplied by the group's
/// minimum, or, without minima, what makes up for unsigned levels that stand `zero` too high.
pub(crate) fn offset(format: LevelFormat, sum: i32) -> i32 {
    if format.mins { (sum as f32).to_bits() as i32 } else { -i32::from(format.zero) * sum }
}

/// How a machine multiplies bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DotKernel {
    /// AVX-512 VNNI: four unsigned by four signed bytes to a 32-bit sum in one instruction.
    #[cfg(target_arch = "x86_64")]
    Vnni,
    /// AVX-VNNI: the same on 256 bits, of processors without AVX-512.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// AVX2: pairs to sixteen bits, pairs of those to 32.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON with dotprod: four signed by four signed bytes to a 32-bit sum in one instruction.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl DotKernel {
    /// The kernel of a level for a format, where it has one that beats floats.
    pub(crate) fn of(level: SimdLevel, format: LevelFormat) -> Option<Self> {
        // Measured with 138 rows: AVX2 gains 1.3 to 1.5 times with groups of 32, nothing with groups of 16.
        match (level, format.group) {
            #[cfg(target_arch = "x86_64")]
            (SimdLevel::Avx512 { vnni: true, .. }, _) => Some(Self::Vnni),
            #[cfg(target_arch = "x86_64")]
            (SimdLevel::Avx2 { vnni: true }, _) => Some(Self::AvxVnni),
            #[cfg(target_arch = "x86_64")]
            (SimdLevel::Avx2 { vnni: false }, 32) => Some(Self::Avx2),
            #[cfg(target_arch = "aarch64")]
            (SimdLevel::Neon { dotprod: true, .. }, _) => Some(Self::Neon),
            _ => None,
        }
    }

    /// For kernel names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => "vnni",
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "dotprod",
        }
    }

    /// The heights tiles come in, rising.
    pub(crate) fn heights(self) -> &'static [usize] {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => vnni::HEIGHTS,
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => avx_vnni::HEIGHTS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::HEIGHTS,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => neon::HEIGHTS,
        }
    }

    /// Runs a tile of `rows` rows, one of [`DotKernel::heights`].
    ///
    /// # Safety
    /// The pointers must cover the extents that [`DotTile`] documents for a panel of the level's width, and the
    /// machine must have the instructions.
    pub(crate) unsafe fn tile(self, format: LevelFormat, rows: usize, t: &DotTile) {
        // SAFETY: passed on to the caller.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Vnni => vnni::tile(format, rows, t),
                #[cfg(target_arch = "x86_64")]
                Self::AvxVnni => avx_vnni::tile(format, rows, t),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => avx2::tile(format, rows, t),
                #[cfg(target_arch = "aarch64")]
                Self::Neon => neon::tile(format, rows, t),
            }
        }
    }
}

/// Picks the function compiled for a format and a height.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! pick {
    ($format:ident, $rows:ident, $t:ident: $($height:literal $name:ident),*) => {
        match $rows {
            $($height => match ($format.group, $format.bits, $format.mins, $format.groups) {
                (32, 8, false, 1) => $name::<8, 8, false, 1>($t),
                (32, 4, false, 1) => $name::<8, 4, false, 1>($t),
                (32, 5, false, 1) => $name::<8, 5, false, 1>($t),
                (32, 4, true, 1) => $name::<8, 4, true, 1>($t),
                (32, 5, true, 1) => $name::<8, 5, true, 1>($t),
                (32, 4, true, 8) => $name::<8, 4, true, 8>($t),
                (32, 5, true, 8) => $name::<8, 5, true, 8>($t),
                (32, 8, true, 1) => $name::<8, 8, true, 1>($t),
                (32, 8, true, 8) => $name::<8, 8, true, 8>($t),
                (16, 8, false, 16) => $name::<4, 8, false, 16>($t),
                (16, 6, false, 16) => $name::<4, 6, false, 16>($t),
                _ => debug_assert!(false, "no tile for {:?}", $format),
            },)*
            _ => debug_assert!(false, "no tile has {} rows", $rows),
        }
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use pick;
