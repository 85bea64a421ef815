//! Frames of a FLAC stream, and the head of the file they follow.

use super::bits::{Bits, crc8, crc16};
use super::md5::Md5;
use super::predict::{Subframe, WIDTH};
use crate::AudioError;
use crate::write::pcm_i16;

/// Samples of a block, what the reference encoder takes.
const BLOCK: usize = 4096;
/// Bytes of "fLaC" and the one block of metadata, STREAMINFO.
const HEAD: usize = 42;
/// The highest rate that the head can tell, in Hz.
const MOST_RATE: u32 = (1 << 20) - 1;

/// Encodes mono samples as 16-bit FLAC as they come. At most 4095 samples wait for their block to be full.
///
/// ```
/// use mynah_audio::FlacEncoder;
///
/// let mut encoder = FlacEncoder::new(24_000)?;
/// let mut bytes = encoder.head().to_vec();
/// encoder.push(&[0.25; 10_000], &mut bytes);
/// encoder.finish(&mut bytes);
/// // Where the beginning can be written again it now tells the length and the digest.
/// bytes[..42].copy_from_slice(&encoder.head());
/// assert_eq!(&bytes[..4], b"fLaC");
/// # Ok::<(), mynah_audio::AudioError>(())
/// ```
#[derive(Debug)]
pub struct FlacEncoder {
    rate: u32,
    /// Samples that fill no block yet.
    waiting: Vec<i32>,
    /// Blocks written.
    frames: u32,
    samples: u64,
    /// Bytes of the smallest and the largest frame.
    sizes: Option<(usize, usize)>,
    digest: Md5,
    ended: bool,
}

impl FlacEncoder {
    /// An encoder of samples at `rate` Hz.
    ///
    /// # Errors
    /// [`AudioError::Config`] for a rate of 0 or beyond what FLAC can tell.
    pub fn new(rate: u32) -> Result<Self, AudioError> {
        if rate == 0 || rate > MOST_RATE {
            let reason = format!("{rate} Hz is outside 1..={MOST_RATE} Hz");
            return Err(AudioError::Config { what: "FLAC encoder", reason });
        }
        let (waiting, digest) = (Vec::with_capacity(BLOCK), Md5::default());
        Ok(Self { rate, waiting, frames: 0, samples: 0, sizes: None, digest, ended: false })
    }

    /// What a file begins with. It tells the number of samples and their digest after [`FlacEncoder::finish`], and "unknown" before,
    /// as a stream must.
    pub fn head(&self) -> [u8; HEAD] {
        let (least, most) = self.sizes.filter(|_| self.ended).unwrap_or((0, 0));
        let (samples, digest) = if self.ended { (self.samples, self.digest.digest()) } else { (0, [0; 16]) };
        // 36 bits hold it; more is told as unknown.
        let samples = if samples < 1 << 36 { samples } else { 0 };
        let mut bits = Bits::default();
        b"fLaC".iter().for_each(|&byte| bits.put(u64::from(byte), 8));
        // The last block of metadata, of kind STREAMINFO, with its length.
        bits.put(0x80, 8);
        bits.put(34, 24);
        bits.put(BLOCK as u64, 16);
        bits.put(BLOCK as u64, 16);
        bits.put(least as u64, 24);
        bits.put(most as u64, 24);
        bits.put(u64::from(self.rate), 20);
        // One channel less one, and 16 bits less one.
        bits.put(0, 3);
        bits.put(u64::from(WIDTH - 1), 5);
        bits.put(samples, 36);
        digest.iter().for_each(|&byte| bits.put(u64::from(byte), 8));
        let mut head = [0; HEAD];
        for (to, from) in head.iter_mut().zip(bits.bytes()) {
            *to = *from;
        }
        head
    }

    /// Takes samples, rounded and clipped as [`pcm_i16`] does, and appends the frames that became full.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<u8>) {
        let bytes = pcm_i16(samples);
        self.digest.update(&bytes);
        for &pair in bytes.as_chunks::<2>().0 {
            self.waiting.push(i32::from(i16::from_le_bytes(pair)));
            if self.waiting.len() == BLOCK {
                self.frame(out);
            }
        }
    }

    /// Ends the stream with what is left, in a shorter frame.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.waiting.is_empty() {
            self.frame(out);
        }
        self.ended = true;
    }

    fn frame(&mut self, out: &mut Vec<u8>) {
        let block = std::mem::take(&mut self.waiting);
        let mut bits = Bits::default();
        // Blocks of one size, which the last may fall short of.
        bits.put(0xfff8, 16);
        let (size, size_bits) = if block.len() == BLOCK { (0b1100, 0) } else { (0b0111, 16) };
        bits.put(size, 4);
        bits.put(rate_code(self.rate), 4);
        // One channel of 16 bits.
        bits.put(0b0000_1000, 8);
        number(&mut bits, self.frames);
        bits.put(block.len() as u64 - 1, size_bits);
        let sum = crc8(bits.bytes());
        bits.put(u64::from(sum), 8);
        Subframe::best(&block).write(&block, &mut bits);
        bits.align();
        let sum = crc16(bits.bytes());
        bits.put(u64::from(sum), 16);
        let bytes = bits.into_bytes();
        let (least, most) = self.sizes.unwrap_or((usize::MAX, 0));
        self.sizes = Some((least.min(bytes.len()), most.max(bytes.len())));
        self.samples += block.len() as u64;
        // The number has 31 bits: eleven years of blocks at 24 kHz.
        self.frames = (self.frames + 1) & 0x7fff_ffff;
        out.extend_from_slice(&bytes);
        self.waiting = block;
        self.waiting.clear();
    }
}

/// How a frame names a rate; 0 leaves it to the head.
fn rate_code(rate: u32) -> u64 {
    match rate {
        8_000 => 4,
        16_000 => 5,
        22_050 => 6,
        24_000 => 7,
        32_000 => 8,
        44_100 => 9,
        48_000 => 10,
        96_000 => 11,
        _ => 0,
    }
}

/// A number as UTF-8 would write a character, longer ones included.
fn number(bits: &mut Bits, n: u32) {
    let width = 32 - n.leading_zeros();
    if width <= 7 {
        return bits.put(u64::from(n), 8);
    }
    // k bytes that follow hold 6k bits, and the first 6 − k more.
    let more = (1..=5).find(|k| width <= 6 * k + 6 - k).unwrap_or(5);
    let ones = (0xff00_u32 >> (more + 1)) & 0xff;
    bits.put(u64::from(ones | (n >> (6 * more))), 8);
    for k in (0..more).rev() {
        bits.put(u64::from(0x80 | ((n >> (6 * k)) & 0x3f)), 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_utf8_writes_characters() {
        for n in [0, 1, 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x1_0000, 0x10_ffff] {
            let mut bits = Bits::default();
            number(&mut bits, n);
            let Some(character) = char::from_u32(n) else { continue };
            assert_eq!(bits.bytes(), character.to_string().as_bytes(), "{n:x}");
        }
        let mut bits = Bits::default();
        number(&mut bits, 0x7fff_ffff);
        assert_eq!(bits.bytes(), [0xfd, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf]);
    }

    #[test]
    fn parts_make_the_same_bytes_and_impossible_rates_are_refused() {
        let samples: Vec<f32> = (0..9000).map(|i| (i as f32 * 0.02).sin() * 0.7).collect();
        let encode = |size: usize| {
            let (mut encoder, mut bytes) = (FlacEncoder::new(24_000).unwrap(), Vec::new());
            samples.chunks(size).for_each(|part| encoder.push(part, &mut bytes));
            encoder.finish(&mut bytes);
            (encoder.head(), bytes)
        };
        assert_eq!(encode(9000), encode(7));
        assert!(FlacEncoder::new(0).is_err() && FlacEncoder::new(1 << 20).is_err());
    }
}
