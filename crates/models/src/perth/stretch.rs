//! The detector's changes of speed: `torch.nn.functional.interpolate` along time. Positions are computed in f32 as torch does, since
//! a minute in, the difference between that and the exact position is far above any other rounding here.

/// Frames after stretching by `factor`, rounded down.
pub(super) fn length(frames: usize, factor: f32) -> usize {
    (frames as f64 * f64::from(factor)) as usize
}

/// Rows `[frames, width]` at `count` places from the first row to the last, linearly between neighbours (`mode="linear"`,
/// `align_corners=True`).
pub(super) fn linear(rows: &[f32], width: usize, count: usize) -> Vec<f32> {
    let frames = rows.len() / width.max(1);
    if count == frames {
        return rows.to_vec();
    }
    let step = if count > 1 { frames.saturating_sub(1) as f32 / (count - 1) as f32 } else { 0.0 };
    let mut out = Vec::with_capacity(count * width);
    for index in 0..count {
        let at = step * index as f32;
        let first = (at as usize).min(frames.saturating_sub(1));
        let second = (first + 1).min(frames.saturating_sub(1));
        let part = (at - first as f32).clamp(0.0, 1.0);
        let row = |index: usize| rows.get(index * width..(index + 1) * width).unwrap_or_default();
        out.extend(row(first).iter().zip(row(second)).map(|(a, b)| (1.0 - part) * a + part * b));
    }
    out
}

/// The flags at `count` places, each that of the frame before it (`mode="nearest"`).
pub(super) fn nearest(flags: &[bool], count: usize) -> Vec<bool> {
    let step = flags.len() as f32 / count.max(1) as f32;
    let last = flags.len().saturating_sub(1);
    let at = |index: usize| flags.get(((index as f32 * step) as usize).min(last)).copied().unwrap_or(false);
    (0..count).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_rounded_down() {
        for (frames, slow, fast) in [(4, 5, 3), (5, 6, 3), (101, 126, 75), (1, 1, 0)] {
            assert_eq!([length(frames, 1.25), length(frames, 0.75)], [slow, fast], "{frames}");
        }
    }

    /// `F.interpolate(torch.tensor([[[0., 1., 4., 9., 16.]]]), size=n, mode="linear", align_corners=True)`.
    #[test]
    fn rows_between_rows() {
        let rows = [0.0, 1.0, 4.0, 9.0, 16.0];
        assert_eq!(linear(&rows, 1, 3), [0.0, 4.0, 16.0]);
        let wanted = [0.0, 0.8, 2.8, 6.0, 10.4, 16.0];
        assert!(linear(&rows, 1, 6).iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-5));
        assert_eq!(linear(&rows, 1, 1), [0.0]);
        assert_eq!(linear(&rows, 1, 0), [] as [f32; 0]);
        assert_eq!(linear(&[1.0, 2.0, 3.0, 4.0], 2, 2), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn flags_are_those_of_the_frame_before() {
        let flags = [true, false, false, true];
        assert_eq!(nearest(&flags, 5), [true, true, false, false, true]);
        assert_eq!(nearest(&flags, 3), [true, false, false]);
        assert_eq!(nearest(&flags, 4), flags);
        assert_eq!(nearest(&[], 2), [false, false]);
    }
}
