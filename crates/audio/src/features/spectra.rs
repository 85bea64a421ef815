//! Power spectra of windowed frames: what [`super::BandExtractor`] and [`super::KaldiFbank`] sum into bands. In f64, for the
//! reason given in `extractor.rs`.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

/// A planned transform with its window.
#[derive(Clone)]
pub(super) struct Spectra {
    window: Vec<f64>,
    fft: Arc<dyn RealToComplex<f64>>,
}

impl Spectra {
    /// Frames as long as the window, with zeros behind them up to `n_fft`.
    pub(super) fn new(window: &[f32], n_fft: usize) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(n_fft);
        Self { window: window.iter().take(n_fft).map(|&w| f64::from(w)).collect(), fft }
    }

    /// For each of `count` frames: `fill` gives its samples, `take` gets its power spectrum of `n_fft / 2 + 1` bins.
    pub(super) fn each(
        &self,
        count: usize,
        mut fill: impl FnMut(usize, &mut [f64]),
        mut take: impl FnMut(usize, &[f64]),
    ) {
        let mut frame = self.fft.make_input_vec();
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut power = vec![0.0; spectrum.len()];
        for index in 0..count {
            let (samples, rest) = frame.split_at_mut(self.window.len());
            fill(index, samples);
            samples.iter_mut().zip(&self.window).for_each(|(x, w)| *x *= w);
            rest.fill(0.0);
            // The buffers come from the plan, so their sizes fit.
            let done = self.fft.process_with_scratch(&mut frame, &mut spectrum, &mut scratch);
            debug_assert!(done.is_ok());
            power.iter_mut().zip(&spectrum).for_each(|(p, bin)| *p = bin.norm_sqr());
            take(index, &power);
        }
    }
}
