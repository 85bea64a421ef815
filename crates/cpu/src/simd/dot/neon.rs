//! Integer dot products with the dotprod extension of NEON: two vectors of four columns.

use super::{DotTile, pick};
use crate::weights::LevelFormat;
use std::arch::aarch64::*;
use std::arch::asm;

/// Six rows by two vectors: twelve integer and twelve float sums, and eight registers for the rest.
pub(super) const HEIGHTS: &[usize] = &[1, 2, 3, 4, 6];

/// Adds the dot products of four signed bytes by four to each lane. The intrinsic of this instruction isn't stable yet.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn dot(sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    let mut sum = sum;
    // SAFETY: the instruction only touches these registers; the caller makes sure that the machine has it.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sum, in(vreg) w, in(vreg) x,
            options(pure, nomem, nostack, preserves_flags));
    }
    sum
}

/// `QUADS` words to a group, levels as nibbles or bytes, with or without minima.
macro_rules! heights {
    ($($name:ident $rows:literal: [$($r:literal $a:ident $b:ident $p:ident $q:ident),*];)*) => {$(
        #[target_feature(enable = "neon,dotprod")]
        unsafe fn $name<const QUADS: usize, const NIBBLES: bool, const MINS: bool>(t: &DotTile) {
            // SAFETY: the caller's pointers cover the extents that `DotTile` documents.
            unsafe {
                $(let (mut $p, mut $q) = (vdupq_n_f32(0.0), vdupq_n_f32(0.0));)*
                let (mut x, mut scales, mut sums) = (t.x, t.scales, t.sums);
                let (mut levels, mut level_scales, mut mins) = (t.levels, t.level_scales, t.mins);
                let (zero, low) = (vdupq_n_u8(t.zero as u8), vdupq_n_u8(15));
                let mut group = 0;
                while group < t.groups {
                    $(let (mut $a, mut $b) = (vdupq_n_s32(0), vdupq_n_s32(0));)*
                    let mut quad = 0;
                    while quad < QUADS {
                        let (first, second) = (vld1q_u8(levels), vld1q_u8(levels.add(16)));
                        levels = levels.add(32);
                        if NIBBLES {
                            let f = vreinterpretq_s8_u8(vsubq_u8(vandq_u8(first, low), zero));
                            let s = vreinterpretq_s8_u8(vsubq_u8(vandq_u8(second, low), zero));
                            $(
                                let factor = vreinterpretq_s8_s32(vdupq_n_s32(*x.add($r)));
                                ($a, $b) = (dot($a, f, factor), dot($b, s, factor));
                            )*
                            let f = vreinterpretq_s8_u8(vsubq_u8(vshrq_n_u8::<4>(first), zero));
                            let s = vreinterpretq_s8_u8(vsubq_u8(vshrq_n_u8::<4>(second), zero));
                            $(
                                let factor = vreinterpretq_s8_s32(vdupq_n_s32(*x.add($rows + $r)));
                                ($a, $b) = (dot($a, f, factor), dot($b, s, factor));
                            )*
                            x = x.add(2 * $rows);
                            quad += 2;
                        } else {
                            let f = vreinterpretq_s8_u8(vsubq_u8(first, zero));
                            let s = vreinterpretq_s8_u8(vsubq_u8(second, zero));
                            $(
                                let factor = vreinterpretq_s8_s32(vdupq_n_s32(*x.add($r)));
                                ($a, $b) = (dot($a, f, factor), dot($b, s, factor));
                            )*
                            x = x.add($rows);
                            quad += 1;
                        }
                    }
                    let (first, second) = (vld1q_f32(level_scales), vld1q_f32(level_scales.add(4)));
                    $(
                        let scale = *scales.add($r);
                        $p = vfmaq_f32($p, vcvtq_f32_s32($a), vmulq_n_f32(first, scale));
                        $q = vfmaq_f32($q, vcvtq_f32_s32($b), vmulq_n_f32(second, scale));
                    )*
                    if MINS {
                        let (first, second) = (vld1q_f32(mins), vld1q_f32(mins.add(4)));
                        $(
                            let sum = vdupq_n_f32(*scales.add($r) * *sums.add($r) as f32);
                            $p = vfmsq_f32($p, first, sum);
                            $q = vfmsq_f32($q, second, sum);
                        )*
                        mins = mins.add(8);
                    }
                    level_scales = level_scales.add(8);
                    scales = scales.add($rows);
                    sums = sums.add($rows);
                    group += 1;
                }
                $(
                    vst1q_f32(t.c.add(8 * $r), $p);
                    vst1q_f32(t.c.add(8 * $r + 4), $q);
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
