//! What the reference does to the first 40 ms: silence, then a raised cosine, against what spills over from the prompt.

use std::f64::consts::PI;

/// Samples that are silent, and as many that rise, for 24 kHz.
const HALF: usize = 480;

/// Fades samples in; the first of them is sample `first` of what is spoken.
pub(crate) fn fade_in(samples: &mut [f32], first: usize) {
    for (i, sample) in samples.iter_mut().enumerate().take((2 * HALF).saturating_sub(first)) {
        *sample *= gain(first + i);
    }
}

/// The gain of a sample, `(cos θ + 1)/2` with θ from π to 0 at the last of the samples, as `torch.linspace` has it.
fn gain(at: usize) -> f32 {
    match at.checked_sub(HALF) {
        None => 0.0,
        Some(i) => ((libm::cos(PI * (1.0 - i as f64 / (HALF - 1) as f64)) + 1.0) / 2.0) as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::fade_in;

    #[test]
    fn it_ends_at_one_and_can_be_cut_anywhere() {
        let mut whole = vec![1.0; 1000];
        fade_in(&mut whole, 0);
        assert!(whole[..=480].iter().all(|&x| x == 0.0) && whole[959] == 1.0 && whole[960] == 1.0);
        assert!((whole[719] - 0.498_36).abs() < 1e-4);
        for cut in [1, 479, 480, 481, 900, 960, 999] {
            let mut parts = vec![1.0; 1000];
            let (head, tail) = parts.split_at_mut(cut);
            fade_in(head, 0);
            fade_in(tail, cut);
            assert_eq!(parts, whole);
        }
    }
}
