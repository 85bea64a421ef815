//! Integer dot products with AVX-512 VNNI: two vectors of sixteen columns.

use super::{DotTile, pick};
use crate::weights::LevelFormat;
use std::arch::x86_64::*;

/// Six rows by two vectors: twelve integer and twelve float sums, and eight registers for the rest.
pub(super) const HEIGHTS: &[usize] = &[1, 2, 3, 4, 6];

/// `QUADS` words to a group, levels as nibbles or bytes, with or without minima.
macro_rules! heights {
    ($($name:ident $rows:literal: [$($r:literal $a:ident $b:ident $p:ident $q:ident),*];)*) => {$(
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
        unsafe fn $name<const QUADS: usize, const NIBBLES: bool, const MINS: bool>(t: &DotTile) {
            // SAFETY: the caller's pointers cover the extents that `DotTile` documents.
            unsafe {
                $(let (mut $p, mut $q) = (_mm512_setzero_ps(), _mm512_setzero_ps());)*
                let (mut x, mut scales, mut sums) = (t.x, t.scales, t.sums);
                let (mut levels, mut level_scales, mut mins) = (t.levels, t.level_scales, t.mins);
                let zero = -t.zero;
                let low = _mm512_set1_epi8(15);
                let mut group = 0;
                while group < t.groups {
                    // Unsigned levels stand `zero` too high: the sums begin at what that comes to.
                    $(
                        let (mut $a, mut $b) = if MINS {
                            (_mm512_setzero_si512(), _mm512_setzero_si512())
                        } else {
                            let start = _mm512_set1_epi32(zero * *sums.add($r));
                            (start, start)
                        };
                    )*
                    let mut quad = 0;
                    while quad < QUADS {
                        let first = _mm512_loadu_si512(levels.cast());
                        let second = _mm512_loadu_si512(levels.add(64).cast());
                        levels = levels.add(128);
                        if NIBBLES {
                            let (f, s) = (_mm512_and_si512(first, low), _mm512_and_si512(second, low));
                            $(
                                let factor = _mm512_set1_epi32(*x.add($r));
                                $a = _mm512_dpbusd_epi32($a, f, factor);
                                $b = _mm512_dpbusd_epi32($b, s, factor);
                            )*
                            let f = _mm512_and_si512(_mm512_srli_epi32::<4>(first), low);
                            let s = _mm512_and_si512(_mm512_srli_epi32::<4>(second), low);
                            $(
                                let factor = _mm512_set1_epi32(*x.add($rows + $r));
                                $a = _mm512_dpbusd_epi32($a, f, factor);
                                $b = _mm512_dpbusd_epi32($b, s, factor);
                            )*
                            x = x.add(2 * $rows);
                            quad += 2;
                        } else {
                            $(
                                let factor = _mm512_set1_epi32(*x.add($r));
                                $a = _mm512_dpbusd_epi32($a, first, factor);
                                $b = _mm512_dpbusd_epi32($b, second, factor);
                            )*
                            x = x.add($rows);
                            quad += 1;
                        }
                    }
                    let first = _mm512_loadu_ps(level_scales);
                    let second = _mm512_loadu_ps(level_scales.add(16));
                    $(
                        let scale = _mm512_set1_ps(*scales.add($r));
                        $p = _mm512_fmadd_ps(_mm512_cvtepi32_ps($a), _mm512_mul_ps(first, scale), $p);
                        $q = _mm512_fmadd_ps(_mm512_cvtepi32_ps($b), _mm512_mul_ps(second, scale), $q);
                    )*
                    if MINS {
                        let (first, second) = (_mm512_loadu_ps(mins), _mm512_loadu_ps(mins.add(16)));
                        $(
                            let sum = _mm512_set1_ps(*scales.add($r) * *sums.add($r) as f32);
                            $p = _mm512_fnmadd_ps(first, sum, $p);
                            $q = _mm512_fnmadd_ps(second, sum, $q);
                        )*
                        mins = mins.add(32);
                    }
                    level_scales = level_scales.add(32);
                    scales = scales.add($rows);
                    sums = sums.add($rows);
                    group += 1;
                }
                $(
                    _mm512_storeu_ps(t.c.add(32 * $r), $p);
                    _mm512_storeu_ps(t.c.add(32 * $r + 16), $q);
                )*
            }
        }
    )*};
}

heights! {
    rows1 1: [0 a0 b0 p0 q0];
    rows2 2: [0 a0 b0 p0 q0, 1 a1 b1 p1 q1];
    rows3 3: [0 a0 b0 p0 q0, 1 a1 b1 p1 q1, 2 a2 b2 p2 q2];
    rows4 4: [0 a0 b0 p0 q0, 1 a1 b1 p1 q1, 2 a2 b2 p2 q2, 3 a3 b3 p3 q3];
    rows6 6: [0 a0 b0 p0 q0, 1 a1 b1 p1 q1, 2 a2 b2 p2 q2, 3 a3 b3 p3 q3, 4 a4 b4 p4 q4, 5 a5 b5 p5 q5];
}

/// Runs a tile.
///
/// # Safety
/// As `DotKernel::tile` asks.
pub(super) unsafe fn tile(format: LevelFormat, rows: usize, t: &DotTile) {
    // SAFETY: passed on to the caller.
    unsafe { pick!(format, rows, t: 1 rows1, 2 rows2, 3 rows3, 4 rows4, 6 rows6) }
}
