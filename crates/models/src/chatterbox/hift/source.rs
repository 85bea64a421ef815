//! The harmonic source (Wang et al. 2019, "Neural source-filter waveform models"): sines at multiples of the fundamental
//! frequency and noise, mixed by a linear layer.
//!
//! It stays on the host in f64: the phase is a sum over all samples so far, which f32 loses after seconds. Harmonics are powers of
//! one rotation, so that a sample costs one sine and one cosine. Results depend neither on the number of threads nor on how the
//! frames are cut into runs.

use crate::chatterbox::noise::{Noise, NoiseEnds, NoiseStream};
use std::f64::consts::{PI, TAU};

/// Amplitude of a harmonic.
const SINE: f64 = 0.1;
/// Standard deviation of the noise where there is a voice; elsewhere it is a third of [`SINE`].
const VOICED_NOISE: f64 = 0.003;
/// Hertz above which there is a voice.
const VOICED: f64 = 10.0;

/// The source of one model.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// What each harmonic counts.
    pub(crate) mix: Vec<f64>,
    pub(crate) bias: f64,
    pub(crate) sample_rate: f64,
    /// Samples of a frame.
    pub(crate) frame: usize,
}

/// Where a source stands between two runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SourceState {
    /// Turns of the fundamental after the last sample, whole ones left out.
    turns: f64,
    /// Samples made.
    samples: u64,
}

impl Source {
    /// The samples of further frames of fundamental frequencies in hertz.
    pub(crate) fn run(
        &self,
        f0: &[f32],
        state: &mut SourceState,
        noise: &dyn Noise,
        threads: usize,
    ) -> Result<Vec<f32>, NoiseEnds> {
        let starts = self.starts(noise)?;
        // Turns before each frame, one after the other; all else is independent of the frames before.
        let mut turns = Vec::with_capacity(f0.len());
        for &hertz in f0 {
            turns.push(state.turns);
            state.turns = self.after(state.turns, self.frame, hertz);
        }
        let mut out = vec![0.0; f0.len() * self.frame];
        let share = f0.len().div_ceil(threads.max(1)).max(1);
        let first = state.samples;
        state.samples += out.len() as u64;
        let parts = out.chunks_mut(share * self.frame).zip(f0.chunks(share)).zip(turns.chunks(share));
        let mut jobs = parts.enumerate().map(|(i, ((out, f0), turns))| {
            let first = first + (i * share * self.frame) as u64;
            let starts = &starts;
            move || self.frames(out, f0, turns, starts, noise, first)
        });
        if threads <= 1 {
            return jobs.try_for_each(|mut job| job()).map(|()| out);
        }
        let done = std::thread::scope(|scope| {
            let running: Vec<_> = jobs.map(|job| scope.spawn(job)).collect();
            let join = |r: std::thread::ScopedJoinHandle<'_, Result<(), NoiseEnds>>| {
                r.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            running.into_iter().try_for_each(join)
        });
        done.map(|()| out)
    }

    /// Turns of the fundamental some samples later, whole ones left out.
    fn after(&self, turns: f64, samples: usize, hertz: f32) -> f64 {
        fraction(turns + samples as f64 * (f64::from(hertz) / self.sample_rate))
    }

    /// Where each harmonic starts, as sine and cosine: the fundamental at zero, the others anywhere.
    fn starts(&self, noise: &dyn Noise) -> Result<Vec<(f64, f64)>, NoiseEnds> {
        let mut uniform = vec![0.0; self.mix.len()];
        noise.uniforms(NoiseStream::SourcePhase, 0, &mut uniform)?;
        let start = |(h, &u): (usize, &f32)| if h == 0 { 0.0 } else { TAU * f64::from(u) - PI };
        Ok(uniform.iter().enumerate().map(start).map(libm::sincos).collect())
    }

    /// The samples of some frames, each with the turns before it.
    fn frames(
        &self,
        out: &mut [f32],
        f0: &[f32],
        turns: &[f64],
        starts: &[(f64, f64)],
        noise: &dyn Noise,
        first: u64,
    ) -> Result<(), NoiseEnds> {
        let harmonics = self.mix.len();
        let mut drawn = vec![0.0_f32; self.frame * harmonics];
        for (i, frame) in out.chunks_exact_mut(self.frame).enumerate() {
            let at = (first + (i * self.frame) as u64).wrapping_mul(harmonics as u64);
            noise.normals(NoiseStream::SourceNoise, at, &mut drawn)?;
            let voiced = f64::from(f0[i]) > VOICED;
            let (sine, spread) = if voiced { (SINE, VOICED_NOISE) } else { (0.0, SINE / 3.0) };
            for (n, (sample, drawn)) in frame.iter_mut().zip(drawn.chunks_exact(harmonics)).enumerate() {
                let turns = self.after(turns[i], n + 1, f0[i]);
                let (sin, cos) = libm::sincos(TAU * turns);
                let (mut s, mut c) = (sin, cos);
                let mut sum = self.bias;
                for ((&mix, &drawn), &(start_sin, start_cos)) in self.mix.iter().zip(drawn).zip(starts) {
                    let wave = s * start_cos + c * start_sin;
                    sum += mix * (sine * wave + spread * f64::from(drawn));
                    (s, c) = (s * cos + c * sin, c * cos - s * sin);
                }
                *sample = libm::tanh(sum) as f32;
            }
        }
        Ok(())
    }
}

/// The part behind the point.
fn fraction(x: f64) -> f64 {
    x - libm::floor(x)
}

#[cfg(test)]
mod tests {
    use super::{Source, SourceState};
    use crate::chatterbox::noise::Philox;

    fn source() -> Source {
        Source { mix: vec![0.5, -0.25, 0.125], bias: 0.01, sample_rate: 24_000.0, frame: 480 }
    }

    fn run(pieces: &[&[f32]], threads: usize) -> Vec<f32> {
        let mut state = SourceState::default();
        let noise = Philox::new(3);
        pieces.iter().flat_map(|f0| source().run(f0, &mut state, &noise, threads).unwrap()).collect()
    }

    #[test]
    fn neither_threads_nor_cuts_change_a_byte() {
        let f0: Vec<f32> = (0..23).map(|i| if i % 5 == 0 { 0.0 } else { 90.0 + 7.3 * i as f32 }).collect();
        let whole = run(&[&f0], 1);
        for threads in [2, 3, 30] {
            assert_eq!(run(&[&f0], threads), whole);
        }
        assert_eq!(run(&[&f0[..1], &f0[1..9], &f0[9..]], 2), whole);
    }

    #[test]
    fn phases_last_for_an_hour() {
        // 100 Hz for an hour ends where it began.
        let source = source();
        let turns = (0..180_000).fold(0.0, |turns, _| source.after(turns, 480, 100.0));
        let off = turns.min(1.0 - turns);
        assert!(off < 1e-9, "{off:e} turns off");
    }
}
