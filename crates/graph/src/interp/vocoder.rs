//! Rows repeated and averaged, and samples of spectra.

use super::Tensor64;
use crate::vocoder::InverseStft;
use std::f64::consts::TAU;

pub(super) fn repeat_rows(times: usize, x: &Tensor64) -> Vec<f64> {
    x.rows().flat_map(|row| std::iter::repeat_n(row, times)).flatten().copied().collect()
}

pub(super) fn segment_mean(len: usize, x: &Tensor64) -> Vec<f64> {
    let &[_, time, width] = x.shape.dims() else { return Vec::new() };
    let (sequence, segment) = ((time * width).max(1), len.saturating_mul(width).max(1));
    let segments = x.data.chunks_exact(sequence).flat_map(|rows| rows.chunks(segment));
    let mean = |rows: &[f64]| -> Vec<f64> {
        let sum = |c: usize| rows.iter().skip(c).step_by(width).sum::<f64>();
        (0..width).map(|c| sum(c) / (rows.len() / width) as f64).collect()
    };
    segments.flat_map(mean).collect()
}

pub(super) fn inverse_stft(i: &InverseStft, x: &Tensor64) -> Vec<f64> {
    let &[_, frames, numbers] = x.shape.dims() else { return Vec::new() };
    let (bins, window) = (numbers / 2, InverseStft::window(numbers).unwrap_or(0));
    let hann: Vec<f64> = (0..window).map(|n| 0.5 - 0.5 * (TAU * n as f64 / window as f64).cos()).collect();
    // The bins between the first and the last stand for two each, themselves and their mirror images.
    let sample = |spectrum: &[f64], n: usize| -> f64 {
        let bin = |b: usize| {
            let angle = TAU * (b * n % window) as f64 / window as f64;
            let ends = b == 0 || b + 1 == bins;
            let sine = if ends { 0.0 } else { spectrum[bins + b] * angle.sin() };
            (spectrum[b] * angle.cos() - sine) * if ends { 1.0 } else { 2.0 }
        };
        (0..bins).map(bin).sum::<f64>() / window as f64
    };
    let mut out = Vec::new();
    for clip in x.data.chunks_exact((frames * numbers).max(1)) {
        let length = i.hop * (frames - 1) + window;
        let (mut sums, mut weights) = (vec![0.0; length], vec![0.0; length]);
        for (f, spectrum) in clip.chunks_exact(numbers).enumerate() {
            for (n, hann) in hann.iter().enumerate() {
                sums[f * i.hop + n] += sample(spectrum, n) * hann;
                weights[f * i.hop + n] += hann * hann;
            }
        }
        let centre = window / 2..length - window / 2;
        out.extend(sums[centre.clone()].iter().zip(&weights[centre]).map(|(sum, weight)| sum / weight));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, evaluate, normal, t};
    use super::*;
    use crate::op::Op;

    #[test]
    fn rows_are_repeated_one_after_the_other() {
        let x = t([2, 2, 2], &[1., 2., 3., 4., 5., 6., 7., 8.]);
        let y = evaluate(Op::RepeatRows { times: 2 }, &[&x]).unwrap();
        let wanted = [1., 2., 1., 2., 3., 4., 3., 4., 5., 6., 5., 6., 7., 8., 7., 8.];
        assert_eq!(y, t([2, 4, 2], &wanted));
    }

    #[test]
    fn the_last_segment_has_the_mean_of_what_is_left() {
        // Segments of two of three rows, of two sequences with two channels.
        let x = t([2, 3, 2], &[1., 10., 3., 30., 7., 70., 0., 2., 4., 6., 9., 9.]);
        let y = evaluate(Op::SegmentMean { len: 2 }, &[&x]).unwrap();
        assert_eq!(y, t([2, 2, 2], &[2., 20., 7., 70., 2., 4., 9., 9.]));
        let all = evaluate(Op::SegmentMean { len: 100 }, &[&x]).unwrap();
        assert_eq!(all.shape.dims(), [2, 1, 2]);
        close(all.data[0], 11.0 / 3.0);
    }

    /// `torch.stft(center=True, pad_mode="reflect")` of one clip with a periodic Hann window.
    fn stft(x: &[f64], window: usize, hop: usize) -> Tensor64 {
        let (half, last) = (window / 2, x.len() - 1);
        let at = |n: usize| {
            let n = n as i64 - half as i64;
            let n = n.unsigned_abs() as usize;
            x[if n > last { 2 * last - n } else { n }]
        };
        let (frames, bins) = (x.len() / hop + 1, half + 1);
        let mut data = Vec::new();
        for f in 0..frames {
            let term = |n: usize| at(f * hop + n) * (0.5 - 0.5 * (TAU * n as f64 / window as f64).cos());
            let part = |b: usize, turn: fn(f64) -> f64| {
                (0..window).map(|n| term(n) * turn(-TAU * (b * n) as f64 / window as f64)).sum::<f64>()
            };
            data.extend((0..bins).map(|b| part(b, f64::cos)));
            data.extend((0..bins).map(|b| part(b, f64::sin)));
        }
        Tensor64::new([1, frames, 2 * bins], data).unwrap()
    }

    #[test]
    fn samples_come_back_from_their_spectra() {
        for (window, hop, length) in [(16, 4, 40), (8, 4, 24), (6, 2, 12), (2, 1, 5)] {
            let x = normal([1, 40], 3).data[..length].to_vec();
            let back = evaluate(Op::InverseStft(InverseStft { hop }), &[&stft(&x, window, hop)]).unwrap();
            assert_eq!(back.shape.dims(), [1, length]);
            for (a, b) in back.data.iter().zip(&x) {
                assert!((a - b).abs() < 1e-12, "window {window}, hop {hop}: {a} is not {b}");
            }
        }
    }

    #[test]
    fn imaginary_parts_of_real_bins_are_not_looked_at() {
        let mut x = normal([2, 5, 6], 4);
        let op = Op::InverseStft(InverseStft { hop: 1 });
        let before = evaluate(op.clone(), &[&x]).unwrap();
        x.data.iter_mut().skip(3).step_by(6).for_each(|v| *v = f64::NAN);
        x.data.iter_mut().skip(5).step_by(6).for_each(|v| *v = f64::NAN);
        assert_eq!(evaluate(op, &[&x]).unwrap(), before);
    }
}
