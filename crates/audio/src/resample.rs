//! Changes the sample rate of a mono stream by a fixed ratio. FFT-based (rubato's synchronous resampler, in double
//! precision, windowed with the square of a Blackman-Harris window), with its delay removed, so sample `n` of the
//! output is the signal at time `n / to`. Rates without a common factor, such as 44 101 Hz, would take transforms of a
//! second of audio and go through a windowed-sinc interpolator instead; its delay is removed to the nearest sample. Used
//! by [`crate::AudioStream`] for input and open to writers of other rates.
//!
//! Pass band: flat within 0.01 dB up to about 97 % of the lower Nyquist frequency; aliases and images below -100 dB.
//! The linear interpolation some programs use instead lets aliases through and changes transcripts.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, Fft, FixedAsync, FixedSync, ResamplerConstructionError, SincInterpolationParameters,
    SincInterpolationType, WindowFunction, calculate_cutoff,
};

use crate::AudioError;

/// Lowest sample rate accepted, in Hz.
pub const MIN_RATE: u32 = 1_000;
/// Highest sample rate accepted, in Hz.
pub const MAX_RATE: u32 = 384_000;

/// Shortest filter, in samples of the lower rate. Longer filters have a steeper edge.
const MIN_FILTER: usize = 1024;

/// A block of the FFT resampler lasts at most this part of a second (a quarter), since the filter is as long and would
/// ring as long; and it has at most this many samples, which bounds its memory.
const MAX_BLOCK_PART: usize = 4;
const MAX_BLOCK: usize = 1 << 14;

/// Filter length of the sinc interpolator in samples of the lower rate, and its oversampling when rates are close.
const SINC_LENGTH: usize = 256;
const SINC_OVERSAMPLING: usize = 256;

const WINDOW: WindowFunction = WindowFunction::BlackmanHarris2;

/// A streaming mono resampler. Equal rates pass samples through untouched.
pub struct Resampler {
    from: u32,
    to: u32,
    engine: Option<Engine>,
    received: u64,
    emitted: u64,
}

/// A resampler of fixed input blocks, and the input that does not fill a block yet.
struct Engine {
    blocks: Box<dyn rubato::Resampler<f64>>,
    input: Vec<f64>,
    output: Vec<f64>,
    size_in: usize,
    /// Output samples still to be dropped: the delay of the filter.
    delay: usize,
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Resampler {{ {} Hz -> {} Hz, {} in, {} out }}",
            self.from, self.to, self.received, self.emitted
        )
    }
}

impl Resampler {
    /// A resampler between two rates in [`MIN_RATE`]..=[`MAX_RATE`] Hz.
    ///
    /// # Errors
    /// [`AudioError::Config`] if a rate is outside that range.
    pub fn new(from: u32, to: u32) -> Result<Self, AudioError> {
        let bad = |reason: String| AudioError::Config { what: "resampler", reason };
        for rate in [from, to] {
            if !(MIN_RATE..=MAX_RATE).contains(&rate) {
                return Err(bad(format!("{rate} Hz is outside {MIN_RATE}..={MAX_RATE} Hz")));
            }
        }
        let engine =
            if from == to { None } else { Some(Engine::new(from, to).map_err(|e| bad(e.to_string()))?) };
        Ok(Self { from, to, engine, received: 0, emitted: 0 })
    }

    /// Takes samples and appends to `out` those of the new rate that are ready.
    ///
    /// # Errors
    /// [`AudioError::Config`] if the resampler refuses its own block sizes (a defect).
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), AudioError> {
        self.received += samples.len() as u64;
        let Some(engine) = &mut self.engine else {
            self.emitted += samples.len() as u64;
            out.extend_from_slice(samples);
            return Ok(());
        };
        let mut rest = samples;
        while !rest.is_empty() {
            let take = rest.len().min(engine.size_in - engine.input.len());
            engine.input.extend(rest[..take].iter().map(|&s| f64::from(s)));
            rest = &rest[take..];
            if engine.input.len() == engine.size_in {
                self.emitted += engine.run(u64::MAX, out)?;
            }
        }
        Ok(())
    }

    /// Ends the stream and appends the tail. In all, `ceil(received * to / from)` samples have then been given out; the
    /// resampler starts anew.
    ///
    /// # Errors
    /// As [`Resampler::push`].
    pub fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let total = (u128::from(self.received) * u128::from(self.to)).div_ceil(u128::from(self.from));
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        if let Some(engine) = &mut self.engine {
            while self.emitted < total {
                engine.input.resize(engine.size_in, 0.0);
                self.emitted += engine.run(total - self.emitted, out)?;
            }
        }
        let fresh = Self::new(self.from, self.to)?;
        *self = fresh;
        Ok(())
    }
}

impl Engine {
    fn new(from: u32, to: u32) -> Result<Self, ResamplerConstructionError> {
        let (from, to) = (from as usize, to as usize);
        let divisor = gcd(from, to);
        let unit = from.min(to) / divisor;
        // An even number of units keeps half a filter, the delay, a whole number of samples on both sides.
        let units = MIN_FILTER.div_ceil(unit).next_multiple_of(2);
        let size_in = units * from / divisor;
        if size_in <= (from / MAX_BLOCK_PART).min(MAX_BLOCK) {
            return Ok(Self::around(Fft::new_custom(from, to, size_in, 1, 1, WINDOW, FixedSync::Both)?));
        }
        // When the rate falls, the filter spans more input samples, and its oversampling can fall with it.
        let fall = from.div_ceil(to);
        let parameters = SincInterpolationParameters {
            sinc_len: SINC_LENGTH * fall,
            f_cutoff: Some(calculate_cutoff(SINC_LENGTH, WINDOW)),
            oversampling_factor: SINC_OVERSAMPLING.div_ceil(fall).max(16),
            interpolation: SincInterpolationType::Cubic,
            window: WINDOW,
        };
        let ratio = to as f64 / from as f64;
        Ok(Self::around(Async::new_sinc(ratio, 1.0, &parameters, MIN_FILTER, 1, FixedAsync::Input)?))
    }

    fn around(blocks: impl rubato::Resampler<f64> + 'static) -> Self {
        let (size_in, size_out) = (blocks.input_frames_max(), blocks.output_frames_max());
        let delay = blocks.output_delay();
        Self {
            blocks: Box::new(blocks),
            input: Vec::with_capacity(size_in),
            output: vec![0.0; size_out],
            size_in,
            delay,
        }
    }

    /// Resamples the one full input block and appends at most `limit` samples; says how many.
    fn run(&mut self, limit: u64, out: &mut Vec<f32>) -> Result<u64, AudioError> {
        let bad = |reason: String| AudioError::Config { what: "resampler", reason };
        let frames = self.output.len();
        let input = InterleavedSlice::new(&self.input, 1, self.size_in).map_err(|e| bad(e.to_string()))?;
        let mut output =
            InterleavedSlice::new_mut(&mut self.output, 1, frames).map_err(|e| bad(e.to_string()))?;
        let (_, written) =
            self.blocks.process_into_buffer(&input, &mut output, None).map_err(|e| bad(e.to_string()))?;
        self.input.clear();
        let skipped = self.delay.min(written);
        self.delay -= skipped;
        let ready = self.output.get(skipped..written).unwrap_or_default();
        let kept = ready.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        out.extend(ready[..kept].iter().map(|&s| s as f32));
        Ok(kept as u64)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Resamples a whole clip: `ceil(samples.len() * to / from)` samples.
///
/// # Errors
/// As [`Resampler::new`].
pub fn resample(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, AudioError> {
    let mut resampler = Resampler::new(from, to)?;
    let mut out = Vec::new();
    resampler.push(samples, &mut out)?;
    resampler.finish(&mut out)?;
    Ok(out)
}
