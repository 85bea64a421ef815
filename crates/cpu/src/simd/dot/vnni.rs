//! Integer dot products with AVX-512 VNNI: two vectors of sixteen columns.

use super::tile::{Dot, heights};
use super::{DotTile, pick};
use crate::weights::LevelFormat;
use std::arch::x86_64::*;

/// Six rows by two vectors: twelve integer and twelve float sums, and eight registers for the rest.
pub(super) const HEIGHTS: &[usize] = &[1, 2, 3, 4, 6];

#[derive(Clone, Copy)]
struct Vnni;

// SAFETY of all methods: they are only called from functions compiled with the features, and pointers are the caller's.
#[allow(clippy::undocumented_unsafe_blocks, reason = "said once above")]
impl Dot for Vnni {
    const LANES: usize = 16;
    type I = __m512i;
    type F = __m512;
    type W = __m512i;
    const OFFSET: bool = true;

    #[inline(always)]
    unsafe fn word(self, x: i32) -> __m512i {
        unsafe { _mm512_set1_epi32(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const u8) -> __m512i {
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    unsafe fn and(self, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_and_si512(a, b) }
    }
    #[inline(always)]
    unsafe fn or(self, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_or_si512(a, b) }
    }
    #[inline(always)]
    unsafe fn right<const BITS: i32>(self, a: __m512i) -> __m512i {
        unsafe { _mm512_srl_epi16(a, _mm_cvtsi32_si128(BITS)) }
    }
    #[inline(always)]
    unsafe fn left4(self, a: __m512i) -> __m512i {
        unsafe { _mm512_slli_epi16::<4>(a) }
    }
    #[inline(always)]
    unsafe fn levels(self, levels: __m512i, _zero: __m512i) -> __m512i {
        levels
    }
    #[inline(always)]
    unsafe fn dot(self, sum: __m512i, levels: __m512i, x: __m512i) -> __m512i {
        unsafe { _mm512_dpbusd_epi32(sum, levels, x) }
    }

    #[inline(always)]
    unsafe fn splat(self, x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn float(self, sum: __m512i) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(sum) }
    }
    #[inline(always)]
    unsafe fn halves(self, p: *const u8) -> __m512 {
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(p.cast())) }
    }
    #[inline(always)]
    unsafe fn bytes(self, p: *const u8) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p.cast()))) }
    }
    #[inline(always)]
    unsafe fn read(self, p: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn write(self, p: *mut f32, v: __m512) {
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn sub(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }
}

heights! {
    Vnni,
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
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
