//! Integer dot products with AVX-VNNI, the same instruction on two vectors of eight columns.

use super::{DotTile, pick};
use crate::weights::LevelFormat;
use std::arch::x86_64::*;

/// Three rows by two vectors: six integer and six float sums, and four registers for the rest.
pub(super) const HEIGHTS: &[usize] = &[1, 2, 3];

/// `QUADS` words to a group, levels as nibbles or bytes, with or without minima.
macro_rules! heights {
    ($($name:ident $rows:literal: [$($r:literal $a:ident $b:ident $p:ident $q:ident),*];)*) => {$(
        #[target_feature(enable = "avx2,fma,avxvnni")]
        unsafe fn $name<const QUADS: usize, const NIBBLES: bool, const MINS: bool>(t: &DotTile) {
            // SAFETY: the caller's pointers cover the extents that `DotTile` documents.
            unsafe {
                $(let (mut $p, mut $q) = (_mm256_setzero_ps(), _mm256_setzero_ps());)*
                let (mut x, mut scales, mut sums) = (t.x, t.scales, t.sums);
                let (mut levels, mut level_scales, mut mins) = (t.levels, t.level_scales, t.mins);
                let zero = -t.zero;
                let low = _mm256_set1_epi8(15);
                let mut group = 0;
                while group < t.groups {
                    // Unsigned levels stand `zero` too high: the sums begin at what that comes to.
                    $(
                        let (mut $a, mut $b) = if MINS {
                            (_mm256_setzero_si256(), _mm256_setzero_si256())
                        } else {
                            let start = _mm256_set1_epi32(zero * *sums.add($r));
                            (start, start)
                        };
                    )*
                    let mut quad = 0;
                    while quad < QUADS {
                        let first = _mm256_loadu_si256(levels.cast());
                        let second = _mm256_loadu_si256(levels.add(32).cast());
                        levels = levels.add(64);
                        if NIBBLES {
                            let (f, s) = (_mm256_and_si256(first, low), _mm256_and_si256(second, low));
                            $(
                                let factor = _mm256_set1_epi32(*x.add($r));
                                $a = _mm256_dpbusd_avx_epi32($a, f, factor);
                                $b = _mm256_dpbusd_avx_epi32($b, s, factor);
                            )*
                            let f = _mm256_and_si256(_mm256_srli_epi32::<4>(first), low);
                            let s = _mm256_and_si256(_mm256_srli_epi32::<4>(second), low);
                            $(
                                let factor = _mm256_set1_epi32(*x.add($rows + $r));
                                $a = _mm256_dpbusd_avx_epi32($a, f, factor);
                                $b = _mm256_dpbusd_avx_epi32($b, s, factor);
                            )*
                            x = x.add(2 * $rows);
                            quad += 2;
                        } else {
                            $(
                                let factor = _mm256_set1_epi32(*x.add($r));
                                $a = _mm256_dpbusd_avx_epi32($a, first, factor);
                                $b = _mm256_dpbusd_avx_epi32($b, second, factor);
                            )*
                            x = x.add($rows);
                            quad += 1;
                        }
                    }
                    let first = _mm256_loadu_ps(level_scales);
                    let second = _mm256_loadu_ps(level_scales.add(8));
                    $(
                        let scale = _mm256_set1_ps(*scales.add($r));
                        $p = _mm256_fmadd_ps(_mm256_cvtepi32_ps($a), _mm256_mul_ps(first, scale), $p);
                        $q = _mm256_fmadd_ps(_mm256_cvtepi32_ps($b), _mm256_mul_ps(second, scale), $q);
                    )*
                    if MINS {
                        let (first, second) = (_mm256_loadu_ps(mins), _mm256_loadu_ps(mins.add(8)));
                        $(
                            let sum = _mm256_set1_ps(*scales.add($r) * *sums.add($r) as f32);
                            $p = _mm256_fnmadd_ps(first, sum, $p);
                            $q = _mm256_fnmadd_ps(second, sum, $q);
                        )*
                        mins = mins.add(16);
                    }
                    level_scales = level_scales.add(16);
                    scales = scales.add($rows);
                    sums = sums.add($rows);
                    group += 1;
                }
                $(
                    _mm256_storeu_ps(t.c.add(16 * $r), $p);
                    _mm256_storeu_ps(t.c.add(16 * $r + 8), $q);
                )*
            }
        }
    )*};
}

heights! {
    rows1 1: [0 a0 b0 p0 q0];
    rows2 2: [0 a0 b0 p0 q0, 1 a1 b1 p1 q1];
    rows3 3: [0 a0 b0 p0 q0, 1 a1 b1 p1 q1, 2 a2 b2 p2 q2];
}

/// Runs a tile.
///
/// # Safety
/// As `DotKernel::tile` asks.
pub(super) unsafe fn tile(format: LevelFormat, rows: usize, t: &DotTile) {
    // SAFETY: passed on to the caller.
    unsafe { pick!(format, rows, t: 1 rows1, 2 rows2, 3 rows3) }
}
