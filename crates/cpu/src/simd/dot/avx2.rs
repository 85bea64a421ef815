//! Integer dot products with AVX2: two vectors of eight columns.
//!
//! `vpmaddubsw` adds pairs of unsigned by signed products in sixteen bits and saturates, so the levels are made signed
//! first and their signs moved to `x`: magnitudes up to 128 times 127, twice, stay below 32768.

use super::{DotTile, pick};
use crate::weights::LevelFormat;
use std::arch::x86_64::*;

/// Four rows by two vectors of integer sums; the float sums live in the first-level cache.
pub(super) const HEIGHTS: &[usize] = &[1, 2, 4];

/// A level vector as magnitude and sign.
#[inline(always)]
unsafe fn split(levels: __m256i, zero: __m256i) -> (__m256i, __m256i) {
    // SAFETY: only called from functions compiled with AVX2.
    unsafe {
        let signed = _mm256_sub_epi8(levels, zero);
        (_mm256_abs_epi8(signed), signed)
    }
}

/// Adds the dot products of four levels by four bytes of `x` to a sum.
#[inline(always)]
unsafe fn dot(sum: __m256i, (size, sign): (__m256i, __m256i), x: __m256i) -> __m256i {
    // SAFETY: as above.
    unsafe {
        let pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(x, sign));
        _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
}

/// `QUADS` words to a group, levels as nibbles or bytes, with or without minima.
macro_rules! heights {
    ($($name:ident $rows:literal: [$($r:literal $a:ident $b:ident),*];)*) => {$(
        #[target_feature(enable = "avx2,fma")]
        unsafe fn $name<const QUADS: usize, const NIBBLES: bool, const MINS: bool>(t: &DotTile) {
            // SAFETY: the caller's pointers cover the extents that `DotTile` documents.
            unsafe {
                $(
                    _mm256_storeu_ps(t.c.add(16 * $r), _mm256_setzero_ps());
                    _mm256_storeu_ps(t.c.add(16 * $r + 8), _mm256_setzero_ps());
                )*
                let (mut x, mut scales, mut sums) = (t.x, t.scales, t.sums);
                let (mut levels, mut level_scales, mut mins) = (t.levels, t.level_scales, t.mins);
                let (zero, low) = (_mm256_set1_epi8(t.zero as i8), _mm256_set1_epi8(15));
                let mut group = 0;
                while group < t.groups {
                    $(let (mut $a, mut $b) = (_mm256_setzero_si256(), _mm256_setzero_si256());)*
                    let mut quad = 0;
                    while quad < QUADS {
                        let first = _mm256_loadu_si256(levels.cast());
                        let second = _mm256_loadu_si256(levels.add(32).cast());
                        levels = levels.add(64);
                        if NIBBLES {
                            let f = split(_mm256_and_si256(first, low), zero);
                            let s = split(_mm256_and_si256(second, low), zero);
                            $(
                                let factor = _mm256_set1_epi32(*x.add($r));
                                ($a, $b) = (dot($a, f, factor), dot($b, s, factor));
                            )*
                            let f = split(_mm256_and_si256(_mm256_srli_epi32::<4>(first), low), zero);
                            let s = split(_mm256_and_si256(_mm256_srli_epi32::<4>(second), low), zero);
                            $(
                                let factor = _mm256_set1_epi32(*x.add($rows + $r));
                                ($a, $b) = (dot($a, f, factor), dot($b, s, factor));
                            )*
                            x = x.add(2 * $rows);
                            quad += 2;
                        } else {
                            let (f, s) = (split(first, zero), split(second, zero));
                            $(
                                let factor = _mm256_set1_epi32(*x.add($r));
                                ($a, $b) = (dot($a, f, factor), dot($b, s, factor));
                            )*
                            x = x.add($rows);
                            quad += 1;
                        }
                    }
                    let (first, second) = (_mm256_loadu_ps(level_scales), _mm256_loadu_ps(level_scales.add(8)));
                    $(
                        let scale = _mm256_set1_ps(*scales.add($r));
                        let (p, q) = (t.c.add(16 * $r), t.c.add(16 * $r + 8));
                        let (f, s) = (_mm256_mul_ps(first, scale), _mm256_mul_ps(second, scale));
                        _mm256_storeu_ps(p, _mm256_fmadd_ps(_mm256_cvtepi32_ps($a), f, _mm256_loadu_ps(p)));
                        _mm256_storeu_ps(q, _mm256_fmadd_ps(_mm256_cvtepi32_ps($b), s, _mm256_loadu_ps(q)));
                    )*
                    if MINS {
                        let (first, second) = (_mm256_loadu_ps(mins), _mm256_loadu_ps(mins.add(8)));
                        $(
                            let sum = _mm256_set1_ps(*scales.add($r) * *sums.add($r) as f32);
                            let (p, q) = (t.c.add(16 * $r), t.c.add(16 * $r + 8));
                            _mm256_storeu_ps(p, _mm256_fnmadd_ps(first, sum, _mm256_loadu_ps(p)));
                            _mm256_storeu_ps(q, _mm256_fnmadd_ps(second, sum, _mm256_loadu_ps(q)));
                        )*
                        mins = mins.add(16);
                    }
                    level_scales = level_scales.add(16);
                    scales = scales.add($rows);
                    sums = sums.add($rows);
                    group += 1;
                }
            }
        }
    )*};
}

heights! {
    rows1 1: [0 a0 b0];
    rows2 2: [0 a0 b0, 1 a1 b1];
    rows4 4: [0 a0 b0, 1 a1 b1, 2 a2 b2, 3 a3 b3];
}

/// Runs a tile.
///
/// # Safety
/// As `DotKernel::tile` asks.
pub(super) unsafe fn tile(format: LevelFormat, rows: usize, t: &DotTile) {
    // SAFETY: passed on to the caller.
    unsafe { pick!(format, rows, t: 1 rows1, 2 rows2, 4 rows4) }
}
