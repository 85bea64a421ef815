//! Integer dot products with AVX2: two vectors of eight columns.
//!
//! `vpmaddubsw` adds pairs of unsigned by signed products in sixteen bits and saturates, so the levels are made signed
//! first and their signs moved to `x`: magnitudes up to 128 times 127, twice, stay below 32768.

use super::tile::{Dot, heights};
use super::{DotTile, pick};
use crate::weights::LevelFormat;
use std::arch::x86_64::*;

/// Four rows by two vectors of integer sums; most float sums live in the first-level cache.
pub(super) const HEIGHTS: &[usize] = &[1, 2, 4];

#[derive(Clone, Copy)]
struct Avx2Dot;

// SAFETY of all methods: they are only called from functions compiled with the features, and pointers are the caller's.
#[allow(clippy::undocumented_unsafe_blocks, reason = "said once above")]
impl Dot for Avx2Dot {
    const LANES: usize = 8;
    type I = __m256i;
    type F = __m256;
    type W = (__m256i, __m256i);
    const OFFSET: bool = false;

    #[inline(always)]
    unsafe fn word(self, x: i32) -> __m256i {
        unsafe { _mm256_set1_epi32(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const u8) -> __m256i {
        unsafe { _mm256_loadu_si256(p.cast()) }
    }
    #[inline(always)]
    unsafe fn and(self, a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_and_si256(a, b) }
    }
    #[inline(always)]
    unsafe fn or(self, a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_or_si256(a, b) }
    }
    #[inline(always)]
    unsafe fn right<const BITS: i32>(self, a: __m256i) -> __m256i {
        unsafe { _mm256_srl_epi16(a, _mm_cvtsi32_si128(BITS)) }
    }
    #[inline(always)]
    unsafe fn left4(self, a: __m256i) -> __m256i {
        unsafe { _mm256_slli_epi16::<4>(a) }
    }
    /// Magnitudes and signs.
    #[inline(always)]
    unsafe fn levels(self, levels: __m256i, zero: __m256i) -> (__m256i, __m256i) {
        unsafe {
            let signed = _mm256_sub_epi8(levels, zero);
            (_mm256_abs_epi8(signed), signed)
        }
    }
    #[inline(always)]
    unsafe fn dot(self, sum: __m256i, (size, sign): (__m256i, __m256i), x: __m256i) -> __m256i {
        unsafe {
            let pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(x, sign));
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    unsafe fn splat(self, x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn float(self, sum: __m256i) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(sum) }
    }
    #[inline(always)]
    unsafe fn halves(self, p: *const u8) -> __m256 {
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(p.cast())) }
    }
    #[inline(always)]
    unsafe fn bytes(self, p: *const u8) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast()))) }
    }
    #[inline(always)]
    unsafe fn read(self, p: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn write(self, p: *mut f32, v: __m256) {
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn mul(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn sub(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fnmadd_ps(a, b, c) }
    }
}

heights! {
    Avx2Dot,
    #[target_feature(enable = "avx2,fma,f16c")]
    rows1 1: [0 a0 b0 p0 q0];
    rows2 2: [0 a0 b0 p0 q0, 1 a1 b1 p1 q1];
    rows4 4: [0 a0 b0 p0 q0, 1 a1 b1 p1 q1, 2 a2 b2 p2 q2, 3 a3 b3 p3 q3];
}

/// Runs a tile.
///
/// # Safety
/// As `DotKernel::tile` asks.
pub(super) unsafe fn tile(format: LevelFormat, rows: usize, t: &DotTile) {
    // SAFETY: passed on to the caller.
    unsafe { pick!(format, rows, t: 1 rows1, 2 rows2, 4 rows4) }
}
