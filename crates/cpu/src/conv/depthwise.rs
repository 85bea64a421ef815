//! Depthwise convolution: every channel has its own kernel, vectors run along the channels.

use super::kernel::Row;
use crate::simd::{Simd, dispatch};

dispatch! {
    /// Computes a stretch of an output row; `scratch` holds one position's channels.
    pub(super) fn depthwise_row(row: &Row<'_>, scratch: &mut [f32]) = body;
}

#[inline(always)]
unsafe fn body<S: Simd>(s: S, row: &Row<'_>, scratch: &mut [f32]) {
    let g = row.geometry;
    let channels = g.channels;
    let sums = &mut scratch[..channels];
    let (high, top) = g.height.taps(row.at);
    let mut position = row.from;
    while position < row.to {
        let (wide, left) = g.width.taps(position);
        sums.fill(0.0);
        let mut kh = high.start;
        while kh < high.end {
            let line = row.batch * g.height.input + (top + kh as isize) as usize;
            if !wide.is_empty() {
                // The taps of one line are neighbours, in the input as in the kernel.
                let pixel = line * g.width.input + (left + wide.start as isize) as usize;
                let x = &row.x[pixel * channels..][..wide.len() * channels];
                let w = &row.kernel.as_f32()[(kh * g.width.kernel + wide.start) * channels..][..x.len()];
                // SAFETY: both slices hold `wide.len()` rows of `channels` elements.
                unsafe { add_line(s, x.as_ptr(), w.as_ptr(), wide.len(), sums) };
            }
            kh += 1;
        }
        let at = ((row.batch * g.height.output + row.at) * g.width.output + position) * channels;
        // SAFETY: this position of the output belongs to this task.
        unsafe { row.finish.store(s, sums.as_ptr(), 0, channels, &row.out, at) };
        position += 1;
    }
}

/// Adds `taps` rows of `x` times `w` to the sums.
#[inline(always)]
unsafe fn add_line<S: Simd>(s: S, x: *const f32, w: *const f32, taps: usize, sums: &mut [f32]) {
    let (channels, sums) = (sums.len(), sums.as_mut_ptr());
    // SAFETY: the caller's pointers cover `taps` rows of as many elements as there are sums.
    unsafe {
        let mut c = 0;
        // Four vectors at a time hide the latency of each sum's chain.
        while c + 4 * S::LANES <= channels {
            let to = sums.add(c);
            let mut a0 = s.load(to);
            let mut a1 = s.load(to.add(S::LANES));
            let mut a2 = s.load(to.add(2 * S::LANES));
            let mut a3 = s.load(to.add(3 * S::LANES));
            let (mut x, mut w) = (x.add(c), w.add(c));
            let mut tap = 0;
            while tap < taps {
                a0 = s.fma(s.load(x), s.load(w), a0);
                a1 = s.fma(s.load(x.add(S::LANES)), s.load(w.add(S::LANES)), a1);
                a2 = s.fma(s.load(x.add(2 * S::LANES)), s.load(w.add(2 * S::LANES)), a2);
                a3 = s.fma(s.load(x.add(3 * S::LANES)), s.load(w.add(3 * S::LANES)), a3);
                x = x.wrapping_add(channels);
                w = w.wrapping_add(channels);
                tap += 1;
            }
            s.store(to, a0);
            s.store(to.add(S::LANES), a1);
            s.store(to.add(2 * S::LANES), a2);
            s.store(to.add(3 * S::LANES), a3);
            c += 4 * S::LANES;
        }
        while c < channels {
            let len = S::LANES.min(channels - c);
            let mut tap = 0;
            while tap < taps {
                let (x, w, to) = (x.add(tap * channels + c), w.add(tap * channels + c), sums.add(c));
                if len == S::LANES {
                    s.store(to, s.fma(s.load(x), s.load(w), s.load(to)));
                } else {
                    let sum = s.fma(s.load_some(x, len), s.load_some(w, len), s.load_some(to, len));
                    s.store_some(to, sum, len);
                }
                tap += 1;
            }
            c += len;
        }
    }
}
