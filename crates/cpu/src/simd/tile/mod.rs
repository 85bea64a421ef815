//! The register tile all float matrix products are made of.
//!
//! A tile multiplies a few rows of `x` with a panel of weights and keeps all sums in registers. Each element's sum
//! runs over k in order, one term at a time, whatever the number of rows: a row gives the same bits alone and among
//! others.

#[cfg(target_arch = "x86_64")]
mod pairs;

use super::Simd;

/// What one tile works on.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    /// `[k][x_step]`: the rows' elements interleaved, the first of each step used.
    pub(crate) x: *const f32,
    /// Elements between one k and the next in `x`: the tile's height where rows were packed for it alone.
    pub(crate) x_step: usize,
    /// How many stretches of `k` terms are summed, one, but for convolutions, whose taps are stretches.
    pub(crate) segments: usize,
    /// Elements from the end of a stretch in `x` to the beginning of the next; in `w` they follow each other.
    pub(crate) x_jump: isize,
    /// `[k][w_stride]` of the stored type, the first `panel` of each used.
    pub(crate) w: *const u8,
    /// Elements between one k and the next in `w`.
    pub(crate) w_stride: usize,
    /// Terms of a stretch.
    pub(crate) k: usize,
    /// `[rows][c_stride]`, the first `panel` of each written.
    pub(crate) c: *mut f32,
    /// Elements between two rows of `c`.
    pub(crate) c_stride: usize,
    /// Whether the sums are added to what `c` holds.
    pub(crate) accumulate: bool,
}

/// What is brought into the second-level cache while a tile runs: with every term the lines at `from`, which then
/// moves on by `step` bytes.
///
/// A tile leaves most of the memory's bandwidth idle, and the weights of a whole model never stay in a cache. So each
/// tile fetches its share of the weights that come next.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    /// Any address: what isn't mapped isn't fetched.
    pub(crate) from: *const u8,
    /// Bytes.
    pub(crate) step: usize,
}

impl Ahead {
    /// The part of `next` that a tile fetches during its `terms` terms: as much as its `rows` are of `all` that share
    /// the work, from where the rows `before` it stopped.
    #[inline(always)]
    pub(crate) fn share(next: &[u8], before: usize, rows: usize, all: usize, terms: usize) -> Self {
        let of = |rows: usize| next.len() * rows / all.max(1);
        Self { from: next.as_ptr().wrapping_add(of(before)), step: of(rows).div_ceil(terms.max(1)) }
    }

    #[inline(always)]
    fn fetch(&mut self) {
        fetch(self.from);
        fetch(self.from.wrapping_add(64));
        self.from = self.from.wrapping_add(self.step);
    }
}

/// Asks for a cache line; never faults.
#[inline(always)]
fn fetch(p: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching is part of the baseline and reads nothing the program can see.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(p.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("prfm pldl2keep, [{}]", in(reg) p, options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = p;
}

/// Weights stored as 32-bit floats.
pub(crate) const F32: u8 = 0;
/// Weights stored in half precision, widened as they are loaded.
pub(crate) const F16: u8 = 1;
/// Weights stored as bfloat16, widened as they are loaded.
pub(crate) const BF16: u8 = 2;

/// Bytes of a weight.
const fn size_of_stored(stored: u8) -> usize {
    if stored == F32 { 4 } else { 2 }
}

/// Loads a vector of weights.
#[inline(always)]
unsafe fn load<S: Simd, const STORED: u8>(s: S, w: *const u8) -> S::F {
    // SAFETY: passed on to the caller.
    unsafe {
        match STORED {
            F16 => s.load_f16(w.cast()),
            BF16 => s.load_bf16(w.cast()),
            _ => s.load(w.cast()),
        }
    }
}

/// Vectors a tile is wide.
const WIDE: usize = 2;

/// The body of a tile: every sum is a variable of its own, because sums in an array end up in memory.
macro_rules! tile_body {
    ($s:ident, $t:ident, $ahead:ident, $($r:literal $left:ident $right:ident),*) => {{
        let lanes = lanes_of($s);
        let size = size_of_stored(STORED);
        $(let (mut $left, mut $right) = ($s.zero(), $s.zero());)*
        let (mut x, mut w) = ($t.x, $t.w);
        for _ in 0..$t.segments {
            for _ in 0..$t.k {
                $ahead.fetch();
                let first = load::<_, STORED>($s, w);
                let second = load::<_, STORED>($s, w.add(lanes * size));
                $(
                    let factor = $s.splat(*x.add($r));
                    $left = $s.fma(factor, first, $left);
                    $right = $s.fma(factor, second, $right);
                )*
                x = x.wrapping_add($t.x_step);
                w = w.wrapping_add($t.w_stride * size);
            }
            x = x.wrapping_offset($t.x_jump);
        }
        $(
            let c = $t.c.add($r * $t.c_stride);
            if $t.accumulate {
                $left = $s.add($s.load(c), $left);
                $right = $s.add($s.load(c.add(lanes)), $right);
            }
            $s.store(c, $left);
            $s.store(c.add(lanes), $right);
        )*
    }};
}

#[inline(always)]
fn lanes_of<S: Simd>(_: S) -> usize {
    S::LANES
}

/// One function for each height, so that each has the registers to itself.
macro_rules! heights {
    ($isa:ty, #[$features:meta] $($name:ident: [$($row:tt)*];)*) => {$(
        #[$features]
        unsafe fn $name<const STORED: u8>(s: $isa, t: &Tile, mut ahead: Ahead) {
            // SAFETY: the caller's pointers cover the extents that `Tile` documents.
            unsafe { tile_body!(s, t, ahead, $($row)*) }
        }
    )*};
}

/// Shape of the register tile of an instruction set.
pub(crate) trait Tiles: Simd {
    /// Elements of a panel.
    const PANEL: usize;
    /// The heights tiles come in, rising.
    const HEIGHTS: &'static [usize];

    /// Runs a tile of `rows` rows, one of [`Tiles::HEIGHTS`], with weights of the type `STORED`, and fetches what
    /// comes next.
    unsafe fn tile_ahead<const STORED: u8>(self, rows: usize, t: &Tile, ahead: Ahead);

    /// Runs a tile whose elements of `x` and `w` are pairs of bfloat16, two consecutive terms each: `k` counts pairs.
    /// Only for levels that have the instruction.
    unsafe fn pairs_ahead(self, rows: usize, t: &Tile, ahead: Ahead);

    /// Two vectors of floats that aren't negative as pairs of bfloat16, `low` first; what lies in the middle is rounded
    /// up. Only for levels whose tiles multiply pairs.
    #[inline(always)]
    fn pair(self, low: Self::F, _high: Self::F) -> Self::F {
        debug_assert!(false, "no tile multiplies pairs");
        low
    }

    /// Runs a tile of `rows` rows, one of [`Tiles::HEIGHTS`], with weights of the type `STORED`.
    #[inline(always)]
    unsafe fn tile<const STORED: u8>(self, rows: usize, t: &Tile) {
        // SAFETY: passed on to the caller.
        unsafe { self.tile_ahead::<STORED>(rows, t, Ahead { from: t.w, step: 0 }) };
    }
}

// Thirty-two registers hold 14 × 2 sums, two weights and a factor; sixteen hold 6 × 2.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::*;
    use crate::simd::Avx512;

    heights! {
        Avx512,
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
        rows1: [0 l0 r0];
        rows2: [0 l0 r0, 1 l1 r1];
        rows3: [0 l0 r0, 1 l1 r1, 2 l2 r2];
        rows4: [0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3];
        rows5: [
            0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4
        ];
        rows6: [
            0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5
        ];
        rows8: [
            0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5, 6 l6 r6, 7 l7 r7
        ];
        rows10: [
            0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5, 6 l6 r6, 7 l7 r7, 8 l8 r8, 9 l9 r9
        ];
        rows12: [
            0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5, 6 l6 r6, 7 l7 r7, 8 l8 r8, 9 l9 r9,
            10 l10 r10, 11 l11 r11
        ];
        rows14: [
            0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5, 6 l6 r6, 7 l7 r7, 8 l8 r8, 9 l9 r9,
            10 l10 r10, 11 l11 r11, 12 l12 r12, 13 l13 r13
        ];
    }

    impl Tiles for Avx512 {
        const PANEL: usize = WIDE * Avx512::LANES;
        const HEIGHTS: &'static [usize] = &[1, 2, 3, 4, 5, 6, 8, 10, 12, 14];

        #[inline(always)]
        unsafe fn tile_ahead<const STORED: u8>(self, rows: usize, t: &Tile, ahead: Ahead) {
            // SAFETY: `self` proves the features; the rest is passed on to the caller.
            unsafe {
                match rows {
                    1 => rows1::<STORED>(self, t, ahead),
                    2 => rows2::<STORED>(self, t, ahead),
                    3 => rows3::<STORED>(self, t, ahead),
                    4 => rows4::<STORED>(self, t, ahead),
                    5 => rows5::<STORED>(self, t, ahead),
                    6 => rows6::<STORED>(self, t, ahead),
                    8 => rows8::<STORED>(self, t, ahead),
                    10 => rows10::<STORED>(self, t, ahead),
                    12 => rows12::<STORED>(self, t, ahead),
                    14 => rows14::<STORED>(self, t, ahead),
                    _ => debug_assert!(false, "no tile has {rows} rows"),
                }
            }
        }

        #[inline(always)]
        unsafe fn pairs_ahead(self, rows: usize, t: &Tile, ahead: Ahead) {
            // SAFETY: passed on to the caller.
            unsafe { pairs::tile(rows, t, ahead) };
        }

        #[inline(always)]
        fn pair(self, low: Self::F, high: Self::F) -> Self::F {
            use std::arch::x86_64::*;
            // SAFETY: `self` proves the features.
            unsafe {
                let half = _mm512_set1_epi32(0x8000);
                let low = _mm512_srli_epi32::<16>(_mm512_add_epi32(_mm512_castps_si512(low), half));
                let high = _mm512_add_epi32(_mm512_castps_si512(high), half);
                // low | (high & kept)
                let kept = _mm512_set1_epi32(0xffff_0000u32 as i32);
                _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<0xf8>(low, high, kept))
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::*;
    use crate::simd::Avx2;

    heights! {
        Avx2,
        #[target_feature(enable = "avx2,fma,f16c")]
        rows1: [0 l0 r0];
        rows2: [0 l0 r0, 1 l1 r1];
        rows3: [0 l0 r0, 1 l1 r1, 2 l2 r2];
        rows4: [0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3];
        rows5: [
            0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4
        ];
        rows6: [
            0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5
        ];
    }

    impl Tiles for Avx2 {
        const PANEL: usize = WIDE * Avx2::LANES;
        const HEIGHTS: &'static [usize] = &[1, 2, 3, 4, 5, 6];

        #[inline(always)]
        unsafe fn tile_ahead<const STORED: u8>(self, rows: usize, t: &Tile, ahead: Ahead) {
            // SAFETY: `self` proves the features; the rest is passed on to the caller.
            unsafe {
                match rows {
                    1 => rows1::<STORED>(self, t, ahead),
                    2 => rows2::<STORED>(self, t, ahead),
                    3 => rows3::<STORED>(self, t, ahead),
                    4 => rows4::<STORED>(self, t, ahead),
                    5 => rows5::<STORED>(self, t, ahead),
                    6 => rows6::<STORED>(self, t, ahead),
                    _ => debug_assert!(false, "no tile has {rows} rows"),
                }
            }
        }

        #[inline(always)]
        unsafe fn pairs_ahead(self, rows: usize, _: &Tile, _: Ahead) {
            debug_assert!(false, "no tile multiplies pairs in {rows} rows");
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::*;
    use crate::simd::Neon;

    heights! {
        Neon,
        #[inline(never)]
        rows1: [0 l0 r0];
        rows2: [0 l0 r0, 1 l1 r1];
        rows3: [0 l0 r0, 1 l1 r1, 2 l2 r2];
        rows4: [0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3];
        rows6: [
            0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5
        ];
        rows8: [
            0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5, 6 l6 r6, 7 l7 r7
        ];
        rows12: [
            0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3, 4 l4 r4, 5 l5 r5, 6 l6 r6, 7 l7 r7, 8 l8 r8, 9 l9 r9,
            10 l10 r10, 11 l11 r11
        ];
    }

    impl Tiles for Neon {
        const PANEL: usize = WIDE * Neon::LANES;
        const HEIGHTS: &'static [usize] = &[1, 2, 3, 4, 6, 8, 12];

        #[inline(always)]
        unsafe fn tile_ahead<const STORED: u8>(self, rows: usize, t: &Tile, ahead: Ahead) {
            // SAFETY: `self` proves the features; the rest is passed on to the caller.
            unsafe {
                match rows {
                    1 => rows1::<STORED>(self, t, ahead),
                    2 => rows2::<STORED>(self, t, ahead),
                    3 => rows3::<STORED>(self, t, ahead),
                    4 => rows4::<STORED>(self, t, ahead),
                    6 => rows6::<STORED>(self, t, ahead),
                    8 => rows8::<STORED>(self, t, ahead),
                    12 => rows12::<STORED>(self, t, ahead),
                    _ => debug_assert!(false, "no tile has {rows} rows"),
                }
            }
        }

        #[inline(always)]
        unsafe fn pairs_ahead(self, rows: usize, _: &Tile, _: Ahead) {
            debug_assert!(false, "no tile multiplies pairs in {rows} rows");
        }
    }
}

mod portable {
    use super::*;
    use crate::simd::Portable;

    heights! {
        Portable,
        #[inline(never)]
        rows1: [0 l0 r0];
        rows2: [0 l0 r0, 1 l1 r1];
        rows4: [0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3];
    }

    impl Tiles for Portable {
        const PANEL: usize = WIDE * Portable::LANES;
        const HEIGHTS: &'static [usize] = &[1, 2, 4];

        #[inline(always)]
        unsafe fn tile_ahead<const STORED: u8>(self, rows: usize, t: &Tile, ahead: Ahead) {
            // SAFETY: `self` proves the features; the rest is passed on to the caller.
            unsafe {
                match rows {
                    1 => rows1::<STORED>(self, t, ahead),
                    2 => rows2::<STORED>(self, t, ahead),
                    4 => rows4::<STORED>(self, t, ahead),
                    _ => debug_assert!(false, "no tile has {rows} rows"),
                }
            }
        }

        #[inline(always)]
        unsafe fn pairs_ahead(self, rows: usize, _: &Tile, _: Ahead) {
            debug_assert!(false, "no tile multiplies pairs in {rows} rows");
        }
    }
}

/// Panel width and tile heights of an instruction set, for code that lays memory out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TileShape {
    /// Elements of a panel.
    pub(crate) panel: usize,
    /// The heights tiles come in, rising.
    pub(crate) heights: &'static [usize],
}

impl TileShape {
    /// The shape of an instruction set.
    pub(crate) fn of(isa: super::Isa) -> Self {
        fn shape<S: Tiles>() -> TileShape {
            TileShape { panel: S::PANEL, heights: S::HEIGHTS }
        }
        match isa {
            #[cfg(target_arch = "x86_64")]
            super::Isa::Avx512 => shape::<super::Avx512>(),
            #[cfg(target_arch = "x86_64")]
            super::Isa::Avx2 => shape::<super::Avx2>(),
            #[cfg(target_arch = "aarch64")]
            super::Isa::Neon => shape::<super::Neon>(),
            super::Isa::Portable => shape::<super::Portable>(),
        }
    }

    /// Rows of the tallest tile.
    #[inline]
    pub(crate) fn tallest(self) -> usize {
        self.heights.last().copied().unwrap_or(1)
    }

    /// The lowest tile that holds `rows` rows, the tallest for more.
    #[inline]
    pub(crate) fn height_for(self, rows: usize) -> usize {
        self.heights.iter().copied().find(|&h| h >= rows).unwrap_or_else(|| self.tallest())
    }
}
