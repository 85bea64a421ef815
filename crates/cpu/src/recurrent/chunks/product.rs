//! Matrix products of a chunk, made of the register tiles of all products.

use crate::matmul::pack_columns;
use crate::simd::Bf16;
use crate::simd::tile::{Ahead, F32, Tile, Tiles};

/// What factors are stored as: floats, or pairs of bfloat16 of consecutive terms.
#[derive(Clone, Copy)]
pub(super) struct Form(pub(super) Option<Bf16>);

impl Form {
    /// Steps that so many terms take. Pairs must come out even.
    #[inline(always)]
    pub(super) fn steps(self, terms: usize) -> usize {
        if self.0.is_some() { terms.div_ceil(2) } else { terms }
    }

    /// Writes four rows of one length as columns `r .. r + 4` of `[step][height]`.
    #[inline(always)]
    pub(super) fn pack_columns(self, rows: [&[f32]; 4], r: usize, height: usize, out: &mut [f32]) {
        match self.0 {
            Some(bf16) => bf16.pack_columns(rows, r, height, out),
            None => pack_columns(rows, r, height, out),
        }
    }

    /// Rows of `width` elements as factors `[step][width]`: themselves, or what is written to `pairs`.
    #[inline(always)]
    pub(super) fn rows<'a>(self, rows: &'a [f32], width: usize, pairs: &'a mut [f32]) -> &'a [f32] {
        let Some(bf16) = self.0 else { return rows };
        for (two, pair) in rows.chunks(2 * width).zip(pairs.chunks_exact_mut(width)) {
            let (first, second) = two.split_at(width);
            bf16.pair_rows(first, Some(second).filter(|row| !row.is_empty()), pair);
        }
        pairs
    }
}

/// `c [rows, columns] = xᵀ · w`, or that added to `c`; `columns` is a multiple of the widest panel.
pub(super) struct Product<'a> {
    /// `[step][rows]`.
    pub(super) x: &'a [f32],
    /// `[step][columns]`, a step `w_stride` elements behind the one before.
    pub(super) w: &'a [f32],
    pub(super) w_stride: usize,
    pub(super) c: &'a mut [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) terms: usize,
    pub(super) accumulate: bool,
    /// Whether row i has no terms after term i.
    pub(super) lower: bool,
}

impl Product<'_> {
    /// Computes it.
    #[inline(always)]
    pub(super) fn run<S: Tiles>(self, s: S, form: Form) {
        let Self { x, w, w_stride, c, rows, columns, terms, accumulate, lower } = self;
        let steps = form.steps(terms);
        assert!(columns.is_multiple_of(S::PANEL) && w_stride >= columns && steps > 0);
        assert!(x.len() >= steps * rows && w.len() >= (steps - 1) * w_stride + columns);
        assert!(c.len() >= rows * columns);
        let mut column = 0;
        while column < columns {
            let mut row = 0;
            while row < rows {
                let height = next_height::<S>(rows - row);
                let tile = Tile {
                    // SAFETY: a row and a column that exist.
                    x: unsafe { x.as_ptr().add(row) },
                    x_step: rows,
                    segments: 1,
                    x_jump: 0,
                    // SAFETY: as above.
                    w: unsafe { w.as_ptr().add(column) }.cast(),
                    w_stride,
                    k: if lower { form.steps(terms.min(row + height)) } else { steps },
                    // SAFETY: as above.
                    c: unsafe { c.as_mut_ptr().add(row * columns + column) },
                    c_stride: columns,
                    accumulate,
                };
                // SAFETY: the extents were checked above; pairs come from the proof of their instructions.
                unsafe {
                    match form.0 {
                        Some(_) => s.pairs_ahead(height, &tile, Ahead { from: tile.w, step: 0 }),
                        None => s.tile::<F32>(height, &tile),
                    }
                }
                row += height;
            }
            column += S::PANEL;
        }
    }
}

/// The height of the next of the tiles that `left` rows are made of: the tallest, and at last two of about the same.
#[inline(always)]
fn next_height<S: Tiles>(left: usize) -> usize {
    let tallest = S::HEIGHTS[S::HEIGHTS.len() - 1];
    let wanted = match left {
        _ if left >= 2 * tallest => tallest,
        _ if left > tallest => left.div_ceil(2),
        _ => left,
    };
    let mut height = 1;
    let mut i = 0;
    while i < S::HEIGHTS.len() {
        if S::HEIGHTS[i] <= wanted {
            height = S::HEIGHTS[i];
        }
        i += 1;
    }
    height
}
