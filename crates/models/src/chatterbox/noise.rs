//! Random numbers that are a function of their place: a seed, a stream and an index give the same number on every machine,
//! in any order and from any thread.
//!
//! The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"); normals are Box and
//! Muller's, through `libm`, whose results don't depend on the platform. Noise of a mel frame or a sample depends on its
//! position alone, so speech made in chunks hears the same noise as speech made whole. Stages never draw: they are given a
//! [`Noise`].

use std::f64::consts::TAU;

/// What a number is drawn for; each has a sequence of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum NoiseStream {
    /// Where the flow starts: normal, `frame · bins + bin`, prompt frames included.
    Mel = 0,
    /// What mean flow puts in its place after the prompt: normal, `(frame − prompt frames) · bins + bin`.
    MelTarget = 1,
    /// Where the harmonics start: uniform, by harmonic.
    SourcePhase = 2,
    /// The noise of the source: normal, `sample · harmonics + harmonic`.
    SourceNoise = 3,
    /// Which token follows: uniform, by step.
    Sampling = 4,
}

/// A recording that is too short for what is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the noise recorded for {stream:?} ends after {len} numbers, number {index} is asked for")]
pub struct NoiseEnds {
    /// What it was recorded for.
    pub stream: NoiseStream,
    /// Numbers there are.
    pub len: usize,
    /// The number that is not there.
    pub index: u64,
}

/// A source of random numbers by place.
pub trait Noise: Send + Sync {
    /// Standard normal numbers `first ..` of a stream.
    ///
    /// # Errors
    /// [`NoiseEnds`], if it is a recording.
    fn normals(&self, stream: NoiseStream, first: u64, out: &mut [f32]) -> Result<(), NoiseEnds>;

    /// Numbers `first ..` of a stream, uniform between 0 and 1, neither of them reached.
    ///
    /// # Errors
    /// [`NoiseEnds`], if it is a recording.
    fn uniforms(&self, stream: NoiseStream, first: u64, out: &mut [f32]) -> Result<(), NoiseEnds>;
}

/// Philox4x32-10 under a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Philox {
    key: [u32; 2],
}

impl Philox {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32] }
    }

    /// Four random words of block `index` of a stream.
    pub fn block(&self, stream: u32, index: u64) -> [u32; 4] {
        philox([index as u32, (index >> 32) as u32, stream, 0], self.key)
    }

    /// Number `index` of a stream, uniform between 0 and 1, neither of them reached, in steps of 2⁻³².
    pub fn uniform(&self, stream: NoiseStream, index: u64) -> f64 {
        let words = self.block(stream as u32, index / 4);
        unit(words[(index % 4) as usize])
    }
}

impl Noise for Philox {
    fn normals(&self, stream: NoiseStream, first: u64, out: &mut [f32]) -> Result<(), NoiseEnds> {
        fill(first, out, |index| {
            let [a, b, c, d] = self.block(stream as u32, index).map(unit);
            let ([a, b], [c, d]) = (box_muller(a, b), box_muller(c, d));
            [a, b, c, d].map(|x| x as f32)
        });
        Ok(())
    }

    fn uniforms(&self, stream: NoiseStream, first: u64, out: &mut [f32]) -> Result<(), NoiseEnds> {
        fill(first, out, |index| self.block(stream as u32, index).map(unit_f32));
        Ok(())
    }
}

/// Fills `out` with the numbers from `first` on, of which each block has four.
fn fill(first: u64, out: &mut [f32], block: impl Fn(u64) -> [f32; 4]) {
    let (mut index, mut rest) = (first, out);
    while !rest.is_empty() {
        let lane = (index % 4) as usize;
        let (part, later) = rest.split_at_mut(rest.len().min(4 - lane));
        part.copy_from_slice(&block(index / 4)[lane..lane + part.len()]);
        index = index.wrapping_add(part.len() as u64);
        rest = later;
    }
}

/// The middle of one of 2³² equal parts of the unit interval.
fn unit(word: u32) -> f64 {
    (f64::from(word) + 0.5) / 4_294_967_296.0
}

/// The middle of one of 2²³ equal parts, which are as many as an f32 holds the middles of: with more, the last would round to one.
fn unit_f32(word: u32) -> f32 {
    ((word >> 9) as f32 + 0.5) / (1 << 23) as f32
}

/// Two independent normals of two uniforms.
fn box_muller(a: f64, b: f64) -> [f64; 2] {
    let radius = libm::sqrt(-2.0 * libm::log(a));
    let (sin, cos) = libm::sincos(TAU * b);
    [radius * cos, radius * sin]
}

/// Ten rounds over a counter.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let [a, b, c, d] = counter;
        let (p, q) = (u64::from(a) * 0xD251_1F53, u64::from(c) * 0xCD9E_8D57);
        counter = [(q >> 32) as u32 ^ b ^ key[0], q as u32, (p >> 32) as u32 ^ d ^ key[1], p as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

/// Numbers that were drawn elsewhere, in the order of [`NoiseStream`].
#[derive(Clone, Debug, Default)]
pub struct RecordedNoise {
    streams: [Vec<f32>; 5],
}

impl RecordedNoise {
    /// Sets the numbers of a stream.
    #[must_use]
    pub fn with(mut self, stream: NoiseStream, numbers: Vec<f32>) -> Self {
        self.streams[stream as usize] = numbers;
        self
    }

    fn copy(&self, stream: NoiseStream, first: u64, out: &mut [f32]) -> Result<(), NoiseEnds> {
        let numbers = &self.streams[stream as usize];
        let start = usize::try_from(first).unwrap_or(usize::MAX);
        let found = numbers.get(start..start.saturating_add(out.len()));
        let index = first.saturating_add((out.len() as u64).saturating_sub(1));
        out.copy_from_slice(found.ok_or(NoiseEnds { stream, len: numbers.len(), index })?);
        Ok(())
    }
}

impl Noise for RecordedNoise {
    fn normals(&self, stream: NoiseStream, first: u64, out: &mut [f32]) -> Result<(), NoiseEnds> {
        self.copy(stream, first, out)
    }

    fn uniforms(&self, stream: NoiseStream, first: u64, out: &mut [f32]) -> Result<(), NoiseEnds> {
        self.copy(stream, first, out)
    }
}

#[cfg(test)]
mod tests {
    use super::{Noise, NoiseStream, Philox, RecordedNoise, philox};

    #[test]
    fn philox_gives_the_words_of_random123() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([!0; 4], [!0; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let counter = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        let wanted = [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1];
        assert_eq!(philox(counter, [0xa409_3822, 0x299f_31d0]), wanted);
    }

    #[test]
    fn a_number_depends_on_its_place_alone() {
        let noise = Philox::new(42);
        let mut whole = vec![0.0; 103];
        noise.normals(NoiseStream::Mel, 0, &mut whole).unwrap();
        for first in 0..20 {
            for len in 0..20 {
                let mut part = vec![0.0; len];
                noise.normals(NoiseStream::Mel, first as u64, &mut part).unwrap();
                assert_eq!(part, whole[first..first + len], "{len} from {first}");
            }
        }
        let mut other = vec![0.0; 103];
        noise.normals(NoiseStream::MelTarget, 0, &mut other).unwrap();
        assert!(whole.iter().zip(&other).all(|(a, b)| a != b));
    }

    #[test]
    fn bits_are_pinned() {
        let (mut normals, mut uniforms) = ([0.0; 4], [0.0; 4]);
        Philox::new(0).normals(NoiseStream::Mel, 0, &mut normals).unwrap();
        Philox::new(0).uniforms(NoiseStream::Mel, 0, &mut uniforms).unwrap();
        assert_eq!(normals.map(f32::to_bits), PINNED);
        assert_eq!(uniforms.map(f32::to_bits), [1053577170, 1063348677, 1060919213, 1058734299]);
    }

    const PINNED: [u32; 4] = [1065204531, 3211572912, 3206421407, 3203846578];

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut x = vec![0.0; 200_000];
        Philox::new(7).normals(NoiseStream::SourceNoise, 1, &mut x).unwrap();
        let moment =
            |x: &[f32], k: i32| x.iter().map(|&x| f64::from(x).powi(k)).sum::<f64>() / x.len() as f64;
        assert!(moment(&x, 1).abs() < 0.01 && (moment(&x, 2) - 1.0).abs() < 0.02);
        assert!((moment(&x, 4) - 3.0).abs() < 0.1);
        Philox::new(7).uniforms(NoiseStream::SourcePhase, 1, &mut x).unwrap();
        assert!((moment(&x, 1) - 0.5).abs() < 0.005 && (moment(&x, 2) - 1.0 / 3.0).abs() < 0.005);
        assert!(x.iter().all(|&x| x > 0.0 && x < 1.0));
    }

    #[test]
    fn uniforms_reach_neither_end() {
        assert!(super::unit_f32(0) > 0.0 && super::unit_f32(u32::MAX) < 1.0);
        assert!(super::unit(0) > 0.0 && super::unit(u32::MAX) < 1.0);
    }

    #[test]
    fn a_recording_ends_with_an_error() {
        let noise = RecordedNoise::default().with(NoiseStream::Mel, vec![1.0, 2.0]);
        let mut out = [0.0; 2];
        assert!(noise.normals(NoiseStream::Mel, 0, &mut out).is_ok() && out == [1.0, 2.0]);
        assert!(noise.normals(NoiseStream::Mel, 1, &mut out).is_err());
        assert!(noise.uniforms(NoiseStream::SourcePhase, u64::MAX, &mut out).is_err());
    }
}
