//! Short-time Fourier transforms of the source, as `torch.stft(center=True)` with a periodic Hann window.
//!
//! Windows have 16 samples, for which the sum as it is written is no slower than a fast transform.

use std::f64::consts::TAU;

/// Tables of a transform.
#[derive(Clone, Debug)]
pub(crate) struct Spectrum {
    window: usize,
    hop: usize,
    /// `[window, 2·bins]`: what a sample adds to the real, then to the imaginary parts.
    table: Vec<f64>,
}

impl Spectrum {
    pub(crate) fn new(window: usize, hop: usize) -> Self {
        let bins = window / 2 + 1;
        let mut table = Vec::with_capacity(window * 2 * bins);
        for n in 0..window {
            let hann = 0.5 - 0.5 * libm::cos(TAU * n as f64 / window as f64);
            // Whole turns are left out while they are whole numbers.
            let angle = |k: usize| TAU * ((k * n) % window) as f64 / window as f64;
            table.extend((0..bins).map(|k| hann * libm::cos(angle(k))));
            table.extend((0..bins).map(|k| -hann * libm::sin(angle(k))));
        }
        Self { window, hop, table }
    }

    /// `[len/hop + 1, 2·bins]`, the real parts of a frame, then the imaginary ones.
    pub(crate) fn run(&self, samples: &[f32]) -> Vec<f32> {
        let width = self.table.len() / self.window;
        let mut out = Vec::with_capacity((samples.len() / self.hop + 1) * width);
        let mut sums = vec![0.0_f64; width];
        for frame in 0..=samples.len() / self.hop {
            sums.fill(0.0);
            for (n, row) in self.table.chunks_exact(width).enumerate() {
                let sample = f64::from(reflected(samples, frame * self.hop + n, self.window / 2));
                sums.iter_mut().zip(row).for_each(|(sum, t)| *sum += sample * t);
            }
            out.extend(sums.iter().map(|&x| x as f32));
        }
        out
    }
}

/// Sample `at − pad`, mirrored at both ends.
fn reflected(samples: &[f32], at: usize, pad: usize) -> f32 {
    let index = at.abs_diff(pad);
    let last = samples.len().saturating_sub(1);
    let index = if index > last { (2 * last).saturating_sub(index) } else { index };
    samples.get(index).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::Spectrum;

    #[test]
    fn a_cosine_is_in_its_bin() {
        let wave: Vec<f32> =
            (0..64).map(|n| (std::f64::consts::TAU * 3.0 * n as f64 / 16.0).cos() as f32).collect();
        let spectrum = Spectrum::new(16, 4).run(&wave);
        assert_eq!(spectrum.len(), 17 * 18);
        // Frame 6 begins with sample 16, a whole number of waves; half the sum of the window is 4, its neighbours have half of that.
        let frame = &spectrum[6 * 18..7 * 18];
        assert!(
            (frame[3] - 4.0).abs() < 1e-5 && (frame[2] + 2.0).abs() < 1e-5 && (frame[4] + 2.0).abs() < 1e-5
        );
        assert!(frame[0].abs() < 1e-5 && frame[8].abs() < 1e-5 && frame[12].abs() < 1e-5);
    }
}
