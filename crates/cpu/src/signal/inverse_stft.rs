//! Samples of a one-sided spectrum: each frame's inverse Fourier transform as a product with a small matrix, overlap-added.
//!
//! Vocoders predict windows of 16 samples or so, for which a matrix in the first-level cache beats any fast transform. The matrix
//! holds the window already. A task takes a stretch of samples and adds up the frames that reach into it, in their order, so that a
//! sample's bits don't depend on the cutting.

use crate::memory::{Buffer, ScratchNeed};
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;
use mynah_graph::InverseStft;
use std::f64::consts::TAU;
use std::ops::Range;

/// The longest window taken: its matrix has as many rows as columns.
pub(crate) const LARGEST: usize = 4096;
/// Frames from one task's first sample to the next one's.
const STRETCH: usize = 256;

struct Inverse {
    x: Operand,
    out: Target,
    frames: usize,
    window: usize,
    hop: usize,
    /// `[number of a frame][sample]`.
    basis: Buffer,
    /// Squares of the window.
    weights: Vec<f32>,
    isa: Isa,
}

/// Compiles the transform.
pub(crate) fn compile(bind: &Bind<'_>, op: InverseStft) -> Result<Box<dyn Kernel>, DeviceError> {
    let shape = bind.shape(0);
    let window = InverseStft::window(shape.last()).filter(|&window| window <= LARGEST);
    let window = window.ok_or_else(|| bind.misplaced("the window is longer than its matrix may be"))?;
    let hann = |n: usize| 0.5 - 0.5 * (TAU * n as f64 / window as f64).cos();
    let bins = window / 2 + 1;
    let mut basis = Buffer::zeroed_f32(2 * bins * window, "inverse_stft")?;
    for (number, row) in basis.as_f32_mut().chunks_exact_mut(window).take(2 * bins).enumerate() {
        let bin = number % bins;
        let end = bin == 0 || bin + 1 == bins;
        for (n, out) in row.iter_mut().enumerate() {
            let angle = TAU * (bin * n % window) as f64 / window as f64;
            let wave = match (number < bins, end) {
                (true, true) => angle.cos(),
                (true, false) => 2.0 * angle.cos(),
                (false, true) => 0.0,
                (false, false) => -2.0 * angle.sin(),
            };
            *out = (wave * hann(n) / window as f64) as f32;
        }
    }
    let weights = (0..window).map(|n| (hann(n) * hann(n)) as f32).collect();
    let (x, out, hop, isa) = (bind.operand(0)?, bind.target()?, op.hop, bind.isa());
    Ok(Box::new(Inverse { x, out, frames: shape.dims()[1], window, hop, basis, weights, isa }))
}

impl Kernel for Inverse {
    fn name(&self) -> String {
        format!("inverse_stft{}/{}", self.window, self.isa.name())
    }

    fn scratch(&self) -> ScratchNeed {
        // The samples of a stretch with a window on either side, and what they are divided by.
        let samples = STRETCH.min(self.frames) * self.hop + 2 * self.window;
        ScratchNeed { shared: 0, private: 8 * samples }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (x, out) = (launch.read(&self.x), launch.output(&self.out));
        let numbers = self.window + 2;
        let length = self.hop * self.frames.saturating_sub(1);
        let stretch = STRETCH.min(self.frames) * self.hop;
        let stretches = length.div_ceil(stretch.max(1));
        let clips = out.len().checked_div(length).unwrap_or(0);
        launch.pool().run(clips * stretches, &|task| {
            let (clip, first) = (task.index / stretches, task.index % stretches * stretch);
            let samples = first..length.min(first + stretch);
            let spectra = &x[clip * self.frames * numbers..][..self.frames * numbers];
            let private = launch.scratch().private(task.thread);
            // SAFETY: stretches are disjoint, the private part belongs to this thread, the isa was checked by the device.
            unsafe {
                let out = out.slice(clip * length + samples.start..clip * length + samples.end);
                self.samples(spectra, samples, out, private.slice(0..private.len()));
            }
        })?;
        Ok(())
    }
}

impl Inverse {
    /// Some samples of a clip, counted from the first that is kept.
    fn samples(&self, spectra: &[f32], samples: Range<usize>, out: &mut [f32], scratch: &mut [f32]) {
        let (window, hop) = (self.window, self.hop);
        // Frame `f` begins half a window before sample `f · hop`; the frames that reach into the stretch.
        let from = (samples.start + window / 2 + 1).saturating_sub(window).div_ceil(hop);
        let to = self.frames.min((samples.end + window / 2).div_ceil(hop));
        // Sums are kept from a window before the stretch on.
        let origin = samples.start as isize - window as isize;
        let kept = samples.len() + 2 * window;
        let (sums, weights) = scratch.split_at_mut(scratch.len() / 2);
        let (sums, weights) = (&mut sums[..kept], &mut weights[..kept]);
        sums.fill(0.0);
        weights.fill(0.0);
        let basis = &self.basis.as_f32()[..(window + 2) * window];
        for f in from..to {
            let at = (f * hop) as isize - (window / 2) as isize - origin;
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let spectrum = &spectra[f * (window + 2)..][..window + 2];
            // SAFETY: the isa was checked by the device.
            unsafe { add_frame(self.isa, spectrum, basis, &mut sums[at..at + window]) };
            weights[at..at + window].iter_mut().zip(&self.weights).for_each(|(sum, w)| *sum += w);
        }
        for ((out, sum), weight) in out.iter_mut().zip(&sums[window..]).zip(&weights[window..]) {
            *out = sum / weight;
        }
    }
}

dispatch! {
    /// Adds the samples of a spectrum; the basis has a row of samples for each of its numbers.
    fn add_frame(spectrum: &[f32], basis: &[f32], samples: &mut [f32]) = add_frame_body;
}

#[inline(always)]
unsafe fn add_frame_body<S: Simd>(s: S, spectrum: &[f32], basis: &[f32], samples: &mut [f32]) {
    let window = samples.len();
    assert!(basis.len() == spectrum.len() * window);
    // The first and the last bin have no imaginary part; what stands there may be anything.
    let bins = spectrum.len() / 2;
    let skipped = [bins, spectrum.len() - 1];
    let mut at = 0;
    while at < window {
        let n = S::LANES.min(window - at);
        let mut sum = s.zero();
        let mut number = 0;
        while number < spectrum.len() {
            if number != skipped[0] && number != skipped[1] {
                // SAFETY: `n` samples follow in each row.
                unsafe {
                    let row = basis.as_ptr().add(number * window + at);
                    let wave = if n == S::LANES { s.load(row) } else { s.load_some(row, n) };
                    sum = s.fma(s.splat(*spectrum.as_ptr().add(number)), wave, sum);
                }
            }
            number += 1;
        }
        // SAFETY: as above.
        unsafe {
            let y = samples.as_mut_ptr().add(at);
            if n == S::LANES {
                s.store(y, s.add(s.load(y), sum));
            } else {
                s.store_some(y, s.add(s.load_some(y, n), sum), n);
            }
        }
        at += n;
    }
}
