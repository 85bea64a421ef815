//! Complex short-time spectra and the way back, as `torch.stft` and `torch.istft` with `center=True`: for models that change a
//! recording rather than listen to it. In f64; nothing but a frame and what overlaps it is held.

use crate::AudioError;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Largest transform accepted.
const LARGEST: usize = 1 << 16;
/// Sums of squared windows below this are no ground to divide by (torch's own bound).
const LEAST_WEIGHT: f64 = 1e-11;

/// A bin of a spectrum.
pub type Bin = Complex<f64>;

/// A planned transform with its window.
#[derive(Clone)]
pub struct Stft {
    n_fft: usize,
    hop: usize,
    /// Padded with zeros on both sides to `n_fft`.
    window: Vec<f64>,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
}

impl std::fmt::Debug for Stft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stft").field("n_fft", &self.n_fft).field("hop", &self.hop).finish_non_exhaustive()
    }
}

impl Stft {
    /// Transforms of `n_fft` samples behind `window`, which stands in the middle of them, `hop` samples apart.
    ///
    /// # Errors
    /// [`AudioError::Config`] if `n_fft` is odd or out of range, the window longer, or the hop not within 1 and half of `n_fft`.
    pub fn new(n_fft: usize, window: &[f32], hop: usize) -> Result<Self, AudioError> {
        let bad = |reason: String| Err(AudioError::Config { what: "STFT", reason });
        if !n_fft.is_multiple_of(2) || !(2..=LARGEST).contains(&n_fft) {
            return bad(format!("a transform of {n_fft} samples; it must be even and at most {LARGEST}"));
        }
        if window.is_empty() || window.len() > n_fft {
            return bad(format!("a window of {} samples for a transform of {n_fft}", window.len()));
        }
        if !(1..=n_fft / 2).contains(&hop) {
            return bad(format!("{hop} samples between transforms of {n_fft}"));
        }
        let mut padded = vec![0.0; n_fft];
        let first = (n_fft - window.len()) / 2;
        padded[first..].iter_mut().zip(window).for_each(|(p, &w)| *p = f64::from(w));
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(n_fft), planner.plan_fft_inverse(n_fft));
        Ok(Self { n_fft, hop, window: padded, forward, inverse })
    }

    /// Bins of a spectrum, `n_fft / 2 + 1`.
    pub fn bins(&self) -> usize {
        self.n_fft / 2 + 1
    }

    /// Fewest samples that can be mirrored at both ends.
    pub fn least(&self) -> usize {
        self.n_fft / 2 + 1
    }

    /// Spectra of so many samples: frame `t` is centred on sample `t · hop`.
    pub fn frames(&self, samples: usize) -> usize {
        samples / self.hop + 1
    }

    /// Gives the spectrum of each frame to `take`.
    ///
    /// # Errors
    /// [`AudioError::Config`] for fewer than [`Stft::least`] samples.
    pub fn each(&self, samples: &[f32], mut take: impl FnMut(usize, &[Bin])) -> Result<(), AudioError> {
        let mut frame = Frame::new(self, samples)?;
        (0..self.frames(samples.len())).for_each(|index| take(index, frame.spectrum(index)));
        Ok(())
    }

    /// The samples whose spectra are those of `samples` after `edit` has been at each of them; as many as there were, with what lies
    /// beyond the last frame's centre from the frames that reach there.
    ///
    /// # Errors
    /// [`AudioError::Config`] for fewer than [`Stft::least`] samples.
    pub fn edit(
        &self,
        samples: &[f32],
        mut edit: impl FnMut(usize, &mut [Bin]),
    ) -> Result<Vec<f32>, AudioError> {
        let mut frame = Frame::new(self, samples)?;
        let mut wave = self.inverse.make_output_vec();
        let mut scratch = self.inverse.make_scratch_vec();
        let mut sums = vec![[0.0; 2]; self.n_fft];
        let mut out = Vec::with_capacity(samples.len() + self.n_fft);
        let ready = |sums: &[[f64; 2]], out: &mut Vec<f32>| {
            out.extend(sums.iter().map(|&[x, w]| if w > LEAST_WEIGHT { (x / w) as f32 } else { 0.0 }));
        };
        for index in 0..self.frames(samples.len()) {
            let spectrum = frame.spectrum(index);
            edit(index, spectrum);
            // A real signal has nothing imaginary there; what an edit left is dropped as torch drops it.
            for bin in [0, self.n_fft / 2] {
                spectrum[bin].im = 0.0;
            }
            // The buffers come from the plan, so their sizes fit.
            let done = self.inverse.process_with_scratch(spectrum, &mut wave, &mut scratch);
            debug_assert!(done.is_ok());
            for ((sum, &x), &w) in sums.iter_mut().zip(&wave).zip(&self.window) {
                sum[0] += x / self.n_fft as f64 * w;
                sum[1] += w * w;
            }
            ready(&sums[..self.hop], &mut out);
            sums.copy_within(self.hop.., 0);
            sums[self.n_fft - self.hop..].fill([0.0; 2]);
        }
        ready(&sums, &mut out);
        out.drain(..self.n_fft / 2);
        out.truncate(samples.len());
        Ok(out)
    }
}

/// Buffers for one frame after the other.
struct Frame<'a> {
    stft: &'a Stft,
    samples: &'a [f32],
    input: Vec<f64>,
    spectrum: Vec<Bin>,
    scratch: Vec<Bin>,
}

impl<'a> Frame<'a> {
    fn new(stft: &'a Stft, samples: &'a [f32]) -> Result<Self, AudioError> {
        if samples.len() < stft.least() {
            let reason = format!("{} samples; at least {} are needed", samples.len(), stft.least());
            return Err(AudioError::Config { what: "STFT", reason });
        }
        let (input, spectrum) = (stft.forward.make_input_vec(), stft.forward.make_output_vec());
        Ok(Self { stft, samples, input, spectrum, scratch: stft.forward.make_scratch_vec() })
    }

    fn spectrum(&mut self, index: usize) -> &mut [Bin] {
        let Self { stft, samples, .. } = *self;
        let last = samples.len() - 1;
        for (n, (x, w)) in self.input.iter_mut().zip(&stft.window).enumerate() {
            // Both ends are mirrored.
            let at = (index * stft.hop + n).abs_diff(stft.n_fft / 2);
            let at = if at > last { (2 * last).saturating_sub(at) } else { at };
            *x = f64::from(samples.get(at).copied().unwrap_or(0.0)) * w;
        }
        let done = stft.forward.process_with_scratch(&mut self.input, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok());
        &mut self.spectrum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::hann_periodic;

    fn noise(count: usize) -> Vec<f32> {
        (0..count as u64).map(|i| ((i * i * 2_654_435_761) % 65_536) as f32 / 32_768.0 - 1.0).collect()
    }

    #[test]
    fn what_nobody_edits_comes_back() {
        let stft = Stft::new(64, &hann_periodic(64), 10).unwrap();
        for count in [33, 64, 95, 1000, 1009] {
            let samples = noise(count);
            let back = stft.edit(&samples, |_, _| {}).unwrap();
            assert_eq!(back.len(), count);
            let worst = back.iter().zip(&samples).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{count}: {worst:e}");
        }
    }

    #[test]
    fn a_cosine_is_in_its_bin() {
        let wave: Vec<f32> =
            (0..256).map(|n| (std::f64::consts::TAU * 3.0 * f64::from(n) / 16.0).cos() as f32).collect();
        let stft = Stft::new(16, &hann_periodic(16), 4).unwrap();
        let mut frames = 0;
        let seen = stft.each(&wave, |index, bins| {
            frames += 1;
            if index == 6 {
                // Half the sum of the window is 4, its neighbours have half of that; frame 6 begins with a whole wave.
                assert!((bins[3].re - 4.0).abs() < 1e-6 && (bins[2].re + 2.0).abs() < 1e-6, "{bins:?}");
                assert!(bins[0].norm() < 1e-6 && bins[6].norm() < 1e-6, "{bins:?}");
            }
        });
        assert!(seen.is_ok());
        assert_eq!(frames, stft.frames(wave.len()));
    }

    #[test]
    fn impossible_sizes_and_too_few_samples_are_refused() {
        for (n_fft, window, hop) in
            [(0, 0, 1), (15, 15, 4), (16, 17, 4), (16, 16, 0), (16, 16, 9), (1 << 17, 16, 4)]
        {
            assert!(Stft::new(n_fft, &vec![1.0; window], hop).is_err(), "{n_fft} {window} {hop}");
        }
        let stft = Stft::new(16, &hann_periodic(16), 4).unwrap();
        for count in [0, 1, 8] {
            assert!(stft.each(&noise(count), |_, _| {}).is_err(), "{count}");
            assert!(stft.edit(&noise(count), |_, _| {}).is_err(), "{count}");
        }
        assert!(stft.each(&noise(9), |_, _| {}).is_ok());
    }
}
