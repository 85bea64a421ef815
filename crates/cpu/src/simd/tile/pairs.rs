//! The tile of bfloat16 products: AVX-512 BF16 adds two products of a pair to a float sum in one instruction.
//!
//! The geometry is that of the float tile with a pair in place of a float. The instruction rounds to nearest, takes
//! subnormal numbers as zero and adds the pair's terms in a fixed order, so a row's bits depend on nothing but the row.

use super::{Ahead, Tile};
use std::arch::x86_64::*;

/// Fourteen rows by two vectors, as for floats.
macro_rules! heights {
    ($($name:ident $rows:literal: [$($r:literal $left:ident $right:ident),*];)*) => {
        $(
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
            unsafe fn $name(t: &Tile, mut ahead: Ahead) {
                // SAFETY: the caller's pointers cover the extents that `Tile` documents; pairs are plain bits.
                unsafe {
                    $(let (mut $left, mut $right) = (_mm512_setzero_ps(), _mm512_setzero_ps());)*
                    let (mut x, mut w) = (t.x.cast::<i32>(), t.w.cast::<i32>());
                    for _ in 0..t.segments {
                        for _ in 0..t.k {
                            ahead.fetch();
                            let first = bits(_mm512_loadu_si512(w.cast()));
                            let second = bits(_mm512_loadu_si512(w.add(16).cast()));
                            $(
                                let factor = bits(_mm512_set1_epi32(*x.add($r)));
                                $left = _mm512_dpbf16_ps($left, factor, first);
                                $right = _mm512_dpbf16_ps($right, factor, second);
                            )*
                            x = x.wrapping_add(t.x_step);
                            w = w.wrapping_add(t.w_stride);
                        }
                        x = x.wrapping_offset(t.x_jump);
                    }
                    $(
                        let c = t.c.add($r * t.c_stride);
                        if t.accumulate {
                            $left = _mm512_add_ps(_mm512_loadu_ps(c), $left);
                            $right = _mm512_add_ps(_mm512_loadu_ps(c.add(16)), $right);
                        }
                        _mm512_storeu_ps(c, $left);
                        _mm512_storeu_ps(c.add(16), $right);
                    )*
                }
            }
        )*

        /// Runs a tile of `rows` rows.
        ///
        /// # Safety
        /// The machine must have AVX-512 BF16, and the pointers must cover what [`Tile`] documents.
        pub(super) unsafe fn tile(rows: usize, t: &Tile, ahead: Ahead) {
            // SAFETY: passed on to the caller.
            unsafe {
                match rows {
                    $($rows => $name(t, ahead),)*
                    _ => debug_assert!(false, "no tile has {rows} rows"),
                }
            }
        }
    };
}

/// The same bits as pairs.
#[inline]
#[target_feature(enable = "avx512f")]
fn bits(v: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits of which any are a value.
    unsafe { std::mem::transmute(v) }
}

heights! {
    rows1 1: [0 l0 r0];
    rows2 2: [0 l0 r0, 1 l1 r1];
    rows3 3: [0 l0 r0, 1 l1 r1, 2 l2 r2];
    rows4 4: [0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3];
    rows5 5: [0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4];
    rows6 6: [0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5];
    rows8 8: [0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5, 6 l6 r6, 7 l7 r7];
    rows10 10: [
        0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5, 6 l6 r6, 7 l7 r7, 8 l8 r8, 9 l9 r9
    ];
    rows12 12: [
        0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5, 6 l6 r6, 7 l7 r7, 8 l8 r8, 9 l9 r9,
        10 l10 r10, 11 l11 r11
    ];
    rows14 14: [
        0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5, 6 l6 r6, 7 l7 r7, 8 l8 r8, 9 l9 r9,
        10 l10 r10, 11 l11 r11, 12 l12 r12, 13 l13 r13
    ];
}
