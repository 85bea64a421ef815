//! Convolutions in which an output channel sees one input channel: depthwise ones, and the first layer over a
//! spectrogram. Vectors run along the output channels, and the sums of a few neighbouring positions stay in registers
//! over all taps, so that a weight is loaded once for all of them.

use super::kernel::Row;
use crate::simd::{Simd, dispatch};

/// Positions computed together where all of them see the whole kernel.
const TOGETHER: usize = 4;
/// Vectors of channels computed together.
const WIDE: usize = 2;
/// Channels whose sums are finished together: a few kilobytes of sums, and an epilogue that is set up once for them. A
/// multiple of every set's block.
const STRETCH: usize = 256;

/// Floats of scratch for the sums of one stretch.
pub(super) const SUMS: usize = TOGETHER * STRETCH;

dispatch! {
    /// Computes a stretch of an output row of a depthwise convolution; `scratch` holds [`SUMS`] floats.
    pub(super) fn depthwise_row(row: &Row<'_>, scratch: &mut [f32]) = body::<false, _>;
    /// The same where all output channels see the only input channel.
    pub(super) fn spread_row(row: &Row<'_>, scratch: &mut [f32]) = body::<true, _>;
}

/// What a block of positions reads: one pointer for each, and how to go on from there.
#[derive(Clone, Copy)]
struct Block {
    /// The first tap's element of the first position.
    x: *const f32,
    /// The first tap's weights.
    w: *const f32,
    /// Lines and taps of a line that meet the input.
    high: usize,
    wide: usize,
    /// Elements of `x` and `w` between two lines.
    x_line: usize,
    w_line: usize,
    /// Elements of `x` between two taps, and between two positions.
    x_tap: usize,
    x_position: usize,
    channels: usize,
}

#[inline(always)]
unsafe fn body<const SPREAD: bool, S: Simd>(s: S, row: &Row<'_>, scratch: &mut [f32]) {
    let g = row.geometry;
    // What the pointers below rely on, with the taps of every position being inside the input.
    assert_eq!(row.x.len(), g.batch * g.height.input * g.width.input * if SPREAD { 1 } else { g.channels });
    assert_eq!(row.kernel.as_f32().len(), g.height.kernel * g.width.kernel * g.channels);
    let sums = scratch[..SUMS].as_mut_ptr();
    let mut position = row.from;
    while position < row.to {
        let block = block::<SPREAD>(row, position);
        let last = position + TOGETHER - 1;
        let inside =
            last < row.to && block.wide == g.width.kernel && g.width.taps(last).0.len() == block.wide;
        let count = if inside { TOGETHER } else { 1 };
        let mut first = 0;
        while first < g.channels {
            let last = g.channels.min(first + STRETCH);
            let mut channel = first;
            while channel < last {
                let len = (WIDE * S::LANES).min(last - channel);
                // SAFETY: taps are inside the input and `len` channels are left; the sums hold a stretch.
                unsafe {
                    let sums = sums.add(channel - first);
                    match (inside, len == WIDE * S::LANES) {
                        (true, true) => four::<SPREAD, S>(s, &block, channel, sums),
                        (false, true) => one::<SPREAD, S>(s, &block, channel, sums),
                        _ => rest::<SPREAD, S>(s, &block, channel, len, count, sums),
                    }
                }
                channel += len;
            }
            let mut p = 0;
            while p < count {
                let at = (row.batch * g.height.output + row.at) * g.width.output + position + p;
                // SAFETY: the position of the output belongs to this task; its sums were just written.
                unsafe {
                    let sums = sums.add(p * STRETCH);
                    row.finish.store(s, sums, first, last - first, &row.out, at * g.channels + first);
                }
                p += 1;
            }
            first = last;
        }
        position += count;
    }
}

/// What the block that begins at `position` reads. A block of several positions has the same taps at each.
#[inline(always)]
fn block<const SPREAD: bool>(row: &Row<'_>, position: usize) -> Block {
    let g = row.geometry;
    let (high, top) = g.height.taps(row.at);
    let (wide, left) = g.width.taps(position);
    let step = if SPREAD { 1 } else { g.channels };
    // Where no tap meets the input nothing is read, and the place doesn't matter.
    let (mut x, mut w): (&[f32], &[f32]) = (&[], &[]);
    if !high.is_empty() && !wide.is_empty() {
        let line = row.batch * g.height.input + (top + high.start as isize) as usize;
        let pixel = line * g.width.input + (left + wide.start as isize) as usize;
        x = &row.x[pixel * step..];
        w = &row.kernel.as_f32()[(high.start * g.width.kernel + wide.start) * g.channels..];
    }
    Block {
        x: x.as_ptr(),
        w: w.as_ptr(),
        high: if wide.is_empty() { 0 } else { high.len() },
        wide: wide.len(),
        x_line: g.width.input * step,
        w_line: g.width.kernel * g.channels,
        x_tap: step,
        x_position: g.width.stride * step,
        channels: g.channels,
    }
}

/// The element of `x` that a vector of channels is multiplied with: their own ones, or the one of all.
#[inline(always)]
unsafe fn load<const SPREAD: bool, S: Simd>(s: S, x: *const f32, lane: usize) -> S::F {
    // SAFETY: passed on to the caller.
    unsafe { if SPREAD { s.splat(*x) } else { s.load(x.add(lane)) } }
}

/// A block's function: every sum is a variable of its own, because sums in an array end up in memory.
macro_rules! positions {
    ($($name:ident: $($p:literal $left:ident $right:ident),*;)*) => {$(
        #[inline(always)]
        unsafe fn $name<const SPREAD: bool, S: Simd>(s: S, b: &Block, channel: usize, sums: *mut f32) {
            // SAFETY: the caller made sure of the extents, and that two vectors of channels follow.
            unsafe {
                $(let (mut $left, mut $right) = (s.zero(), s.zero());)*
                let lane = if SPREAD { 0 } else { channel };
                let mut high = 0;
                while high < b.high {
                    let mut x = b.x.add(high * b.x_line + lane);
                    let mut w = b.w.add(high * b.w_line + channel);
                    let mut wide = 0;
                    while wide < b.wide {
                        let (first, second) = (s.load(w), s.load(w.add(S::LANES)));
                        $(
                            let at = x.add($p * b.x_position);
                            $left = s.fma(load::<SPREAD, S>(s, at, 0), first, $left);
                            $right = s.fma(load::<SPREAD, S>(s, at, S::LANES), second, $right);
                        )*
                        x = x.wrapping_add(b.x_tap);
                        w = w.wrapping_add(b.channels);
                        wide += 1;
                    }
                    high += 1;
                }
                $(
                    s.store(sums.add($p * STRETCH), $left);
                    s.store(sums.add($p * STRETCH + S::LANES), $right);
                )*
            }
        }
    )*};
}

positions! {
    four: 0 l0 r0, 1 l1 r1, 2 l2 r2, 3 l3 r3;
    one: 0 l0 r0;
}

/// The last channels, fewer than a block's.
#[inline(always)]
unsafe fn rest<const SPREAD: bool, S: Simd>(
    s: S,
    b: &Block,
    channel: usize,
    len: usize,
    positions: usize,
    sums: *mut f32,
) {
    let mut p = 0;
    while p < positions {
        let mut lane = 0;
        while lane < len {
            let n = S::LANES.min(len - lane);
            let mut sum = s.zero();
            let mut tap = 0;
            while tap < b.high * b.wide {
                let (high, wide) = (tap / b.wide, tap % b.wide);
                // SAFETY: the caller made sure of the extents, and that `len` channels follow.
                unsafe {
                    let x = b.x.add(p * b.x_position + high * b.x_line + wide * b.x_tap);
                    let w = b.w.add(high * b.w_line + wide * b.channels + channel + lane);
                    let x = if SPREAD { s.splat(*x) } else { some(s, x.add(channel + lane), n) };
                    sum = s.fma(x, some(s, w, n), sum);
                }
                tap += 1;
            }
            // SAFETY: the sums hold a stretch, whole vectors of it.
            unsafe { s.store(sums.add(p * STRETCH + lane), sum) };
            lane += n;
        }
        p += 1;
    }
}

/// Reads `n ≤ LANES` elements.
#[inline(always)]
unsafe fn some<S: Simd>(s: S, p: *const f32, n: usize) -> S::F {
    // SAFETY: passed on to the caller.
    unsafe { if n == S::LANES { s.load(p) } else { s.load_some(p, n) } }
}
