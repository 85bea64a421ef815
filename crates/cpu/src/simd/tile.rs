//! The register tile all float matrix products are made of.
//!
//! A tile multiplies a few rows of `x` with a panel of weights and keeps all sums in registers. Each element's sum
//! runs over k in order, one term at a time, whatever the number of rows: a row gives the same bits alone and among
//! others.

use super::Simd;

/// What one tile works on.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    /// `[k][rows]`: the rows' elements interleaved.
    pub(crate) x: *const f32,
    /// `[k][w_stride]`, the first `panel` of each used.
    pub(crate) w: *const f32,
    /// Elements between one k and the next in `w`.
    pub(crate) w_stride: usize,
    /// Terms of the sum.
    pub(crate) k: usize,
    /// `[rows][c_stride]`, the first `panel` of each written.
    pub(crate) c: *mut f32,
    /// Elements between two rows of `c`.
    pub(crate) c_stride: usize,
    /// Whether the sums are added to what `c` holds.
    pub(crate) accumulate: bool,
}

/// `ROWS` rows by `WIDE` vectors.
#[inline(always)]
unsafe fn tile<S: Simd, const ROWS: usize, const WIDE: usize>(s: S, t: &Tile) {
    // SAFETY: the caller's pointers cover the extents that `Tile` documents.
    unsafe {
        let mut sums = [[s.zero(); WIDE]; ROWS];
        let (mut x, mut w) = (t.x, t.w);
        for _ in 0..t.k {
            let mut weights = [s.zero(); WIDE];
            for (v, weight) in weights.iter_mut().enumerate() {
                *weight = s.load(w.add(v * S::LANES));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = s.splat(*x.add(r));
                for (sum, &weight) in sums.iter_mut().zip(&weights) {
                    *sum = s.fma(x, weight, *sum);
                }
            }
            x = x.add(ROWS);
            w = w.add(t.w_stride);
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, &sum) in sums.iter().enumerate() {
                let c = t.c.add(r * t.c_stride + v * S::LANES);
                s.store(c, if t.accumulate { s.add(s.load(c), sum) } else { sum });
            }
        }
    }
}

/// Shape of the register tile of an instruction set.
pub(crate) trait Tiles: Simd {
    /// Elements of a panel.
    const PANEL: usize;
    /// The heights tiles come in, rising.
    const HEIGHTS: &'static [usize];

    /// Runs a tile of `rows` rows, one of [`Tiles::HEIGHTS`].
    unsafe fn tile(self, rows: usize, t: &Tile);
}

macro_rules! tiles {
    ($isa:ty, wide = $wide:literal, heights = [$($height:literal),*]) => {
        impl Tiles for $isa {
            const PANEL: usize = $wide * <$isa as Simd>::LANES;
            const HEIGHTS: &'static [usize] = &[$($height),*];

            #[inline(always)]
            unsafe fn tile(self, rows: usize, t: &Tile) {
                match rows {
                    // SAFETY: passed on to the caller.
                    $($height => unsafe { tile::<Self, $height, $wide>(self, t) },)*
                    _ => debug_assert!(false, "no tile has {rows} rows"),
                }
            }
        }
    };
}

// Thirty-two registers hold 14 × 2 sums, two weights and a factor; sixteen hold 6 × 2.
#[cfg(target_arch = "x86_64")]
tiles!(super::Avx512, wide = 2, heights = [1, 2, 3, 4, 5, 6, 8, 10, 12, 14]);
#[cfg(target_arch = "x86_64")]
tiles!(super::Avx2, wide = 2, heights = [1, 2, 3, 4, 5, 6]);
#[cfg(target_arch = "aarch64")]
tiles!(super::Neon, wide = 4, heights = [1, 2, 3, 4, 5, 6]);
tiles!(super::Portable, wide = 2, heights = [1, 2, 4]);

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
    pub(crate) fn tallest(self) -> usize {
        self.heights.last().copied().unwrap_or(1)
    }

    /// The lowest tile that holds `rows` rows, the tallest for more.
    pub(crate) fn height_for(self, rows: usize) -> usize {
        self.heights.iter().copied().find(|&h| h >= rows).unwrap_or_else(|| self.tallest())
    }
}
