//! Depthwise convolution: every channel has its own kernel, vectors run along the channels.

use super::kernel::Row;
use crate::simd::{Simd, dispatch};

dispatch! {
    /// Computes a stretch of an output row; `sums` holds one position's channels.
    pub(super) fn depthwise_row(row: &Row<'_>, sums: &mut [f32]) = body;
}

#[inline(always)]
unsafe fn body<S: Simd>(s: S, row: &Row<'_>, sums: &mut [f32]) {
    let g = row.geometry;
    let channels = g.channels;
    let (high, top) = g.height.taps(row.at);
    for position in row.from..row.to {
        let (wide, left) = g.width.taps(position);
        let mut c = 0;
        while c < channels {
            // Two vectors at a time hide the latency of the sums' chain.
            let vectors = if c + 2 * S::LANES <= channels { 2 } else { 1 };
            let len = (vectors * S::LANES).min(channels - c);
            let mut acc = [s.zero(); 2];
            for kh in high.clone() {
                let line = row.batch * g.height.input + (top + kh as isize) as usize;
                for kw in wide.clone() {
                    let pixel = line * g.width.input + (left + kw as isize) as usize;
                    let x = &row.x[pixel * channels + c..][..len];
                    let w = &row.kernel.row(kh * g.width.kernel + kw, 0)[c..c + len];
                    // SAFETY: both slices hold `len` elements.
                    unsafe {
                        if vectors == 2 {
                            for (v, acc) in acc.iter_mut().enumerate() {
                                let (x, w) = (x.as_ptr().add(v * S::LANES), w.as_ptr().add(v * S::LANES));
                                *acc = s.fma(s.load(x), s.load(w), *acc);
                            }
                        } else if len == S::LANES {
                            acc[0] = s.fma(s.load(x.as_ptr()), s.load(w.as_ptr()), acc[0]);
                        } else {
                            let (x, w) = (s.load_some(x.as_ptr(), len), s.load_some(w.as_ptr(), len));
                            acc[0] = s.fma(x, w, acc[0]);
                        }
                    }
                }
            }
            let sums = &mut sums[c..c + len];
            // SAFETY: the slice holds `len` elements.
            unsafe {
                if vectors == 2 {
                    s.store(sums.as_mut_ptr(), acc[0]);
                    s.store(sums.as_mut_ptr().add(S::LANES), acc[1]);
                } else if len == S::LANES {
                    s.store(sums.as_mut_ptr(), acc[0]);
                } else {
                    s.store_some(sums.as_mut_ptr(), acc[0], len);
                }
            }
            c += len;
        }
        let at = ((row.batch * g.height.output + row.at) * g.width.output + position) * channels;
        // SAFETY: this position of the output belongs to this task.
        unsafe { row.finish.store(s, sums.as_ptr(), 0, channels, &row.out, at) };
    }
}
