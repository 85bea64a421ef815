//! Integer dot products with the dotprod extension of NEON: two vectors of four columns.

use super::tile::{Dot, heights};
use super::{DotTile, pick};
use crate::weights::LevelFormat;
use std::arch::aarch64::*;
use std::arch::asm;

/// Six rows by two vectors: twelve integer and twelve float sums, and eight registers for the rest.
pub(super) const HEIGHTS: &[usize] = &[1, 2, 3, 4, 6];

#[derive(Clone, Copy)]
struct DotProd;

// SAFETY of all methods: NEON is part of the baseline; `dot` is only called from functions compiled with dotprod, and
// pointers are the caller's.
#[allow(clippy::undocumented_unsafe_blocks, reason = "said once above")]
impl Dot for DotProd {
    const LANES: usize = 4;
    type I = uint8x16_t;
    type F = float32x4_t;
    type W = int8x16_t;
    const OFFSET: bool = false;

    #[inline(always)]
    unsafe fn word(self, x: i32) -> uint8x16_t {
        unsafe { vreinterpretq_u8_s32(vdupq_n_s32(x)) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const u8) -> uint8x16_t {
        unsafe { vld1q_u8(p) }
    }
    #[inline(always)]
    unsafe fn and(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        unsafe { vandq_u8(a, b) }
    }
    #[inline(always)]
    unsafe fn or(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        unsafe { vorrq_u8(a, b) }
    }
    #[inline(always)]
    unsafe fn right<const BITS: i32>(self, a: uint8x16_t) -> uint8x16_t {
        unsafe { vshrq_n_u8::<BITS>(a) }
    }
    #[inline(always)]
    unsafe fn left4(self, a: uint8x16_t) -> uint8x16_t {
        unsafe { vshlq_n_u8::<4>(a) }
    }
    #[inline(always)]
    unsafe fn levels(self, levels: uint8x16_t, zero: uint8x16_t) -> int8x16_t {
        unsafe { vreinterpretq_s8_u8(vsubq_u8(levels, zero)) }
    }
    /// The intrinsic of this instruction isn't stable yet.
    #[inline(always)]
    unsafe fn dot(self, sum: uint8x16_t, levels: int8x16_t, x: uint8x16_t) -> uint8x16_t {
        let mut sum = sum;
        unsafe {
            asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sum, in(vreg) levels, in(vreg) x,
                options(pure, nomem, nostack, preserves_flags));
        }
        sum
    }
    #[inline(always)]
    unsafe fn splat(self, x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn float(self, sum: uint8x16_t) -> float32x4_t {
        unsafe { vcvtq_f32_s32(vreinterpretq_s32_u8(sum)) }
    }
    #[inline(always)]
    unsafe fn halves(self, p: *const u8) -> float32x4_t {
        use crate::simd::{Neon, Simd};
        unsafe { Neon::assume().load_f16(p.cast()) }
    }
    #[inline(always)]
    unsafe fn bytes(self, p: *const u8) -> float32x4_t {
        use crate::simd::{Neon, Simd};
        unsafe { Neon::assume().load_i8(p) }
    }
    #[inline(always)]
    unsafe fn read(self, p: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn write(self, p: *mut f32, v: float32x4_t) {
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn sub(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmsq_f32(c, a, b) }
    }
}

heights! {
    DotProd,
    #[target_feature(enable = "neon,dotprod")]
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
