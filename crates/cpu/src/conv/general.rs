//! Convolution with any number of groups: an input element times the weights of all output channels it feeds.

use super::kernel::Row;
use crate::simd::{Simd, dispatch};

/// Vectors of sums kept in registers.
const WIDE: usize = 8;

dispatch! {
    /// Computes a stretch of an output row; `sums` holds one position's channels.
    pub(super) fn general_row(row: &Row<'_>, sums: &mut [f32]) = body;
}

#[inline(always)]
unsafe fn body<S: Simd>(s: S, row: &Row<'_>, sums: &mut [f32]) {
    let g = row.geometry;
    let per_group = g.channels / g.groups;
    for position in row.from..row.to {
        for group in 0..g.groups {
            let mut c = group * per_group;
            let end = c + per_group;
            while c + WIDE * S::LANES <= end {
                // SAFETY: the block lies within the group's channels.
                unsafe { block::<S, WIDE>(s, row, position, group, c, S::LANES, sums) };
                c += WIDE * S::LANES;
            }
            while c < end {
                let len = S::LANES.min(end - c);
                // SAFETY: as above.
                unsafe { block::<S, 1>(s, row, position, group, c, len, sums) };
                c += len;
            }
        }
        let at = ((row.batch * g.height.output + row.at) * g.width.output + position) * g.channels;
        // SAFETY: this position of the output belongs to this task.
        unsafe { row.finish.store(s, sums.as_ptr(), 0, g.channels, &row.out, at) };
    }
}

/// The sums of `N` vectors of output channels from `c` on; `len` elements of each vector exist.
#[inline(always)]
unsafe fn block<S: Simd, const N: usize>(
    s: S,
    row: &Row<'_>,
    position: usize,
    group: usize,
    c: usize,
    len: usize,
    sums: &mut [f32],
) {
    let g = row.geometry;
    let inputs = row.kernel.inputs;
    let (high, top) = g.height.taps(row.at);
    let (wide, left) = g.width.taps(position);
    let mut acc = [s.zero(); N];
    for kh in high {
        let line = row.batch * g.height.input + (top + kh as isize) as usize;
        for kw in wide.clone() {
            let pixel = line * g.width.input + (left + kw as isize) as usize;
            let x = &row.x[pixel * g.inputs + group * inputs..][..inputs];
            let tap = kh * g.width.kernel + kw;
            for (input, &x) in x.iter().enumerate() {
                let w = &row.kernel.as_f32()[(tap * inputs + input) * g.channels + c..][..(N - 1) * S::LANES + len];
                let x = s.splat(x);
                for (v, acc) in acc.iter_mut().enumerate() {
                    // SAFETY: the slice holds N − 1 whole vectors and `len` elements of the last.
                    unsafe {
                        let w = w.as_ptr().add(v * S::LANES);
                        let w = if len == S::LANES { s.load(w) } else { s.load_some(w, len) };
                        *acc = s.fma(x, w, *acc);
                    }
                }
            }
        }
    }
    let sums = &mut sums[c..c + (N - 1) * S::LANES + len];
    for (v, &acc) in acc.iter().enumerate() {
        // SAFETY: as for the weights.
        unsafe {
            let to = sums.as_mut_ptr().add(v * S::LANES);
            if len == S::LANES { s.store(to, acc) } else { s.store_some(to, acc, len) };
        }
    }
}
