//! Convolution with any number of groups: the patches of a few positions are laid side by side and multiplied with the
//! kernel by the register tile of matrix products. Only the patches of one tile exist at a time.

use super::kernel::Row;
use crate::simd::dispatch;
use crate::simd::tile::{F32, Tile, Tiles};
use crate::weights::K_BLOCK;

dispatch! {
    /// Computes a stretch of an output row; `scratch` holds one tile's patches, a padded panel and the sums.
    pub(super) fn general_row(row: &Row<'_>, scratch: &mut [f32]) = body;
}

#[inline(always)]
unsafe fn body<S: Tiles>(s: S, row: &Row<'_>, scratch: &mut [f32]) {
    let (g, tiles) = (row.geometry, row.tiles);
    let (tallest, per_group, k) =
        (tiles.tallest(), g.channels / g.groups, row.kernel.taps() * row.kernel.inputs);
    let (patches, scratch) = scratch.split_at_mut(k * tallest);
    let (panel, sums) = scratch.split_at_mut(k * S::PANEL);
    // Where there is nothing to add up, no tile writes its sums.
    sums.fill(0.0);
    let mut from = row.from;
    while from < row.to {
        let count = tallest.min(row.to - from);
        let height = tiles.height_for(count);
        let mut group = 0;
        while group < g.groups {
            gather(row, group, from, count, height, patches);
            let mut first = 0;
            while first < per_group {
                let (channel, len) = (group * per_group + first, S::PANEL.min(per_group - first));
                let (weights, stride) = if len == S::PANEL {
                    (&row.kernel.as_f32()[channel..], g.channels)
                } else {
                    pad(row, channel, len, S::PANEL, panel);
                    (&*panel, S::PANEL)
                };
                let mut k0 = 0;
                while k0 < k {
                    let tile = Tile {
                        x: patches[k0 * height..].as_ptr(),
                        x_step: height,
                        segments: 1,
                        x_jump: 0,
                        w: weights[k0 * stride..].as_ptr().cast(),
                        w_stride: stride,
                        k: K_BLOCK.min(k - k0),
                        c: sums.as_mut_ptr(),
                        c_stride: S::PANEL,
                        accumulate: k0 > 0,
                    };
                    // SAFETY: patches, weights and sums have the extents the tile reads and writes.
                    unsafe { s.tile::<F32>(height, &tile) };
                    k0 += K_BLOCK;
                }
                let mut r = 0;
                while r < count {
                    let position = (row.batch * g.height.output + row.at) * g.width.output + from + r;
                    let (sums, at) = (&sums[r * S::PANEL..][..len], position * g.channels + channel);
                    // SAFETY: this position of the output belongs to this task.
                    unsafe { row.finish.store(s, sums.as_ptr(), channel, len, &row.out, at) };
                    r += 1;
                }
                first += S::PANEL;
            }
            group += 1;
        }
        from += count;
    }
}

/// Lays the patches of `count` positions side by side as `[tap, input][height]`; what lies outside the input is zero.
fn gather(row: &Row<'_>, group: usize, from: usize, count: usize, height: usize, out: &mut [f32]) {
    let (g, inputs) = (row.geometry, row.kernel.inputs);
    out[..row.kernel.taps() * inputs * height].fill(0.0);
    if inputs == 0 {
        return;
    }
    let (high, top) = g.height.taps(row.at);
    for r in 0..count {
        let (wide, left) = g.width.taps(from + r);
        for kh in high.clone() {
            let line = row.batch * g.height.input + (top + kh as isize) as usize;
            for kw in wide.clone() {
                let pixel = line * g.width.input + (left + kw as isize) as usize;
                let x = &row.x[pixel * g.inputs + group * inputs..][..inputs];
                let out = &mut out[(kh * g.width.kernel + kw) * inputs * height + r..];
                out.iter_mut().step_by(height).zip(x).for_each(|(out, &x)| *out = x);
            }
        }
    }
}

/// Copies the last channels of a group as a panel padded with zeros.
fn pad(row: &Row<'_>, channel: usize, len: usize, width: usize, panel: &mut [f32]) {
    let weights = row.kernel.as_f32().chunks_exact(row.kernel.channels);
    for (out, weights) in panel.chunks_exact_mut(width).zip(weights) {
        out[..len].copy_from_slice(&weights[channel..channel + len]);
        out[len..].fill(0.0);
    }
}
