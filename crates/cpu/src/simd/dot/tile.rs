//! The one tile of integer dot products, written over what instruction sets differ in.
//!
//! The body is a macro, not a function, because every sum must be a variable of its own: sums in an array end up in
//! memory.

use super::DotTile;

/// Vectors of a set that multiplies bytes.
pub(super) trait Dot: Copy {
    /// Floats, or 32-bit sums, of a vector.
    const LANES: usize;
    /// 32-bit integers, or four times as many bytes.
    type I: Copy;
    /// Floats.
    type F: Copy;
    /// Levels as the dot product takes them.
    type W: Copy;

    /// Whether products start from `−zero · Σx` because levels stay unsigned.
    const OFFSET: bool;

    /// All lanes the word `x`.
    unsafe fn word(self, x: i32) -> Self::I;
    /// Reads a vector of bytes.
    unsafe fn load(self, p: *const u8) -> Self::I;
    /// Bits that both have.
    unsafe fn and(self, a: Self::I, b: Self::I) -> Self::I;
    /// Bits that either has.
    unsafe fn or(self, a: Self::I, b: Self::I) -> Self::I;
    /// Bytes, or pairs of them, shifted right.
    unsafe fn right<const BITS: i32>(self, a: Self::I) -> Self::I;
    /// Bytes, or pairs of them, shifted left by four.
    unsafe fn left4(self, a: Self::I) -> Self::I;
    /// Levels, of which `zero` means zero, for [`Dot::dot`].
    unsafe fn levels(self, levels: Self::I, zero: Self::I) -> Self::W;
    /// Adds the products of four levels by four bytes to each sum.
    unsafe fn dot(self, sum: Self::I, levels: Self::W, x: Self::I) -> Self::I;

    /// All lanes `x`.
    unsafe fn splat(self, x: f32) -> Self::F;
    /// Sums as floats.
    unsafe fn float(self, sum: Self::I) -> Self::F;
    /// Reads half-precision floats.
    unsafe fn halves(self, p: *const u8) -> Self::F;
    /// Reads signed bytes as floats.
    unsafe fn bytes(self, p: *const u8) -> Self::F;
    /// Reads floats.
    unsafe fn read(self, p: *const f32) -> Self::F;
    /// Writes floats.
    unsafe fn write(self, p: *mut f32, v: Self::F);
    /// `a · b`.
    unsafe fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a · b + c`.
    unsafe fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `c − a · b`.
    unsafe fn sub(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
}

/// A vector of scales: those of the block, times those of the group where the format has both.
#[inline(always)]
pub(super) unsafe fn scale<D: Dot, const GROUPS: usize>(s: D, d: *const u8, sub: *const u8) -> D::F {
    // SAFETY: passed on to the caller.
    unsafe { if GROUPS == 1 { s.halves(d) } else { s.mul(s.halves(d), s.bytes(sub)) } }
}

/// Adds a block's sums, in units of its scale of `x`, to the totals.
#[inline(always)]
pub(super) unsafe fn add<D: Dot>(s: D, t: &DotTile, at: usize, sum: D::F, scale: D::F, fresh: bool) {
    // SAFETY: passed on to the caller.
    unsafe {
        let c = t.c.add(at);
        s.write(c, if fresh { s.mul(sum, scale) } else { s.fma(sum, scale, s.read(c)) });
    }
}

/// How far ahead of its reading a low tile asks for weights: it reads each once, faster than the machine foresees that it
/// will. Measured with one row of 4096 × 14336 on Zen 5, GB/s with 4096 and with 8192 ahead: Q4_0 29 and 34, Q5_K 23 and
/// 26, Q6_K 21 and 28, Q8_0 35 both times, and 28 without.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 8192;

/// Asks for the bytes that a low tile reads some steps later, where there is an instruction for that.
#[inline(always)]
pub(super) fn fetch(step: *const u8, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let mut at = 0;
        while at < bytes {
            // SAFETY: a hint; behind the panel comes the next one or nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(step.wrapping_add(AHEAD + at).cast()) };
            at += 64;
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (step, bytes);
}

/// Functions of tiles for a set: `QUADS` words to a group of levels of `BITS` bits, with or without minima, `GROUPS`
/// groups to a record.
macro_rules! heights {
    (
        $set:ident, #[$features:meta]
        $($name:ident $rows:literal: [$($r:literal $a:ident $b:ident $p:ident $q:ident),*];)*
    ) => {$(
        #[$features]
        unsafe fn $name<const QUADS: usize, const BITS: usize, const MINS: bool, const GROUPS: usize>(
            t: &$crate::simd::dot::DotTile,
        ) {
            use $crate::simd::dot::{X_BLOCK, tile::{Dot, add, fetch, scale}};
            use $crate::weights::Record;
            // SAFETY: the caller's pointers cover the extents that `DotTile` documents.
            unsafe {
                let s = $set;
                let lanes = const { <$set as Dot>::LANES };
                let record = const { Record::new(2 * <$set as Dot>::LANES, QUADS, BITS, MINS, GROUPS) };
                let (mut x, mut scales, mut sums) = (t.x, t.scales, t.sums);
                let (mut head, mut levels) = (t.records, t.records.add(record.levels));
                let (low, zero) = (s.word(0x0f0f_0f0f), s.word(t.zero.wrapping_mul(0x0101_0101)));
                let upper = s.word(if BITS == 5 { 0x1010_1010 } else { 0x3030_3030 });
                let (mut left, mut in_record, mut fresh) = (t.groups, 0, t.fresh);
                while left > 0 {
                    // What shares a scale of x is summed in units of it.
                    $(let (mut $p, mut $q) = (s.splat(0.0), s.splat(0.0));)*
                    let block = if left < X_BLOCK / (4 * QUADS) { left } else { X_BLOCK / (4 * QUADS) };
                    left -= block;
                    let mut group = 0;
                    while group < block {
                        if in_record == GROUPS {
                            if $rows <= 4 {
                                fetch(levels, record.levels);
                            }
                            (head, levels, in_record) = (levels, levels.add(record.levels), 0);
                        }
                        $(
                            // Levels that stay unsigned stand too high: their sums begin at what that comes to.
                            let start = s.word(if <$set as Dot>::OFFSET && !MINS { *sums.add($r) } else { 0 });
                            let (mut $a, mut $b) = (start, start);
                        )*
                        if BITS == 8 {
                            let mut quad = 0;
                            while quad < QUADS {
                                if $rows <= 4 {
                                    fetch(levels, 8 * lanes);
                                }
                                let f = s.levels(s.load(levels), zero);
                                let g = s.levels(s.load(levels.add(4 * lanes)), zero);
                                $(
                                    let factor = s.word(*x.add($r));
                                    ($a, $b) = (s.dot($a, f, factor), s.dot($b, g, factor));
                                )*
                                levels = levels.add(8 * lanes);
                                x = x.add($rows);
                                quad += 1;
                            }
                        } else {
                            let (high, other) = (levels.add(record.low), levels.add(record.low + 4 * lanes));
                            let (mut h, mut k) = (low, low);
                            if BITS > 4 {
                                (h, k) = (s.load(high), s.load(other));
                            }
                            let mut pair = 0;
                            while pair < QUADS / 2 {
                                if $rows <= 4 {
                                    fetch(levels, 8 * lanes);
                                }
                                let (first, second) = (s.load(levels), s.load(levels.add(4 * lanes)));
                                let (mut f, mut g) = (s.and(first, low), s.and(second, low));
                                if BITS > 4 {
                                    (f, g) = (s.or(f, s.and(h, upper)), s.or(g, s.and(k, upper)));
                                    (h, k) = if BITS == 5 {
                                        (s.right::<1>(h), s.right::<1>(k))
                                    } else {
                                        (s.right::<2>(h), s.right::<2>(k))
                                    };
                                }
                                let (f, g) = (s.levels(f, zero), s.levels(g, zero));
                                $(
                                    let factor = s.word(*x.add($r));
                                    ($a, $b) = (s.dot($a, f, factor), s.dot($b, g, factor));
                                )*
                                let (f, g) = (s.right::<4>(first), s.right::<4>(second));
                                let (mut f, mut g) = (s.and(f, low), s.and(g, low));
                                if BITS > 4 {
                                    (f, g) = (s.or(f, s.and(h, upper)), s.or(g, s.and(k, upper)));
                                    // The bits of the later quads are in the lower halves of the bytes.
                                    (h, k) = if 2 * (BITS - 4) * (pair + 1) == 4 {
                                        (s.left4(s.load(high)), s.left4(s.load(other)))
                                    } else {
                                        (s.right::<1>(h), s.right::<1>(k))
                                    };
                                }
                                let (f, g) = (s.levels(f, zero), s.levels(g, zero));
                                $(
                                    let factor = s.word(*x.add($rows + $r));
                                    ($a, $b) = (s.dot($a, f, factor), s.dot($b, g, factor));
                                )*
                                levels = levels.add(8 * lanes);
                                x = x.add(2 * $rows);
                                pair += 1;
                            }
                            if $rows <= 4 {
                                fetch(levels, record.group - record.low);
                            }
                            levels = levels.add(record.group - record.low);
                        }
                        let sub = head.add(record.sub + 2 * lanes * in_record);
                        let f = scale::<_, GROUPS>(s, head, sub);
                        let g = scale::<_, GROUPS>(s, head.add(2 * lanes), sub.add(lanes));
                        $(($p, $q) = (s.fma(s.float($a), f, $p), s.fma(s.float($b), g, $q));)*
                        if MINS {
                            let (dmin, sub) = (head.add(record.dmin), head.add(record.submin + 2 * lanes * in_record));
                            let f = scale::<_, GROUPS>(s, dmin, sub);
                            let g = scale::<_, GROUPS>(s, dmin.add(2 * lanes), sub.add(lanes));
                            $(
                                let sum = s.splat(*sums.add($r).cast::<f32>());
                                ($p, $q) = (s.sub(f, sum, $p), s.sub(g, sum, $q));
                            )*
                        }
                        sums = sums.add($rows);
                        in_record += 1;
                        group += 1;
                    }
                    $(
                        let factor = s.splat(*scales.add($r));
                        add(s, t, 2 * lanes * $r, $p, factor, fresh);
                        add(s, t, 2 * lanes * $r + lanes, $q, factor, fresh);
                    )*
                    scales = scales.add($rows);
                    fresh = false;
                }
            }
        }
    )*};
}
pub(super) use heights;
