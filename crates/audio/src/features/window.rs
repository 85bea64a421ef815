//! The analysis window.

use std::f64::consts::TAU;

/// Symmetric Hann window of `length` samples: `0.5 - 0.5 cos(2πn / (length - 1))`, zero at both ends. This is
/// `torch.hann_window(length, periodic=False)`, rounded where torch rounds (the angle is a f32), since a difference of
/// 1e-6 here is one of 1e-5 in quiet bands. A window of one sample is 1.
pub fn hann_symmetric(length: usize) -> Vec<f32> {
    if length == 1 {
        return vec![1.0];
    }
    let step = (TAU / length.saturating_sub(1) as f64) as f32;
    (0..length).map(|n| (n as f32 * step).cos() * -0.5 + 0.5).collect()
}

/// Periodic Hann window of `length` samples, `0.5 - 0.5 cos(2πn / length)`: `torch.hann_window(length)`, and librosa's.
pub fn hann_periodic(length: usize) -> Vec<f32> {
    let mut window = hann_symmetric(length.saturating_add(1));
    window.truncate(length);
    window
}

/// Kaldi's window: the symmetric Hann window to the power 0.85.
pub fn povey(length: usize) -> Vec<f32> {
    hann_symmetric(length).iter().map(|w| w.powf(0.85)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symmetric_with_zero_ends() {
        let window = hann_symmetric(400);
        for n in 0..200 {
            assert!((window[n] - window[399 - n]).abs() < 1e-6);
        }
        assert!(window[0] == 0.0 && window[399].abs() < 1e-6);
        // torch.hann_window(400, periodic=False) at 1, 100, 199.
        for (n, expected) in [(1, 6.1988e-5), (100, 0.501_968_44), (199, 0.999_984_5)] {
            assert!((window[n] - expected).abs() < 1e-6, "{n}: {}", window[n]);
        }
    }

    #[test]
    fn short_windows() {
        assert!(hann_symmetric(0).is_empty());
        assert_eq!(hann_symmetric(1), [1.0]);
        assert_eq!(hann_symmetric(3), [0.0, 1.0, 0.0]);
    }
}
