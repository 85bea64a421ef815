//! Reads the integer levels, scales and minima out of the blocks of a row.

use bytemuck::{Pod, try_cast_slice};
use half::f16;
use mynah_tensor::DType;
use mynah_tensor::formats::{q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0};

/// One row: `x = scale · (level − zero) − min` with a scale and a minimum for each group.
#[derive(Debug, Default)]
pub(super) struct RowLevels {
    /// Unsigned levels.
    pub(super) levels: Vec<u8>,
    /// A scale for each group.
    pub(super) scales: Vec<f32>,
    /// A minimum for each group; zeros for formats without.
    pub(super) mins: Vec<f32>,
}

impl RowLevels {
    fn clear(&mut self) {
        self.levels.clear();
        self.scales.clear();
        self.mins.clear();
    }

    fn group(&mut self, scale: f32, min: f32, levels: impl Iterator<Item = u8>) {
        self.levels.extend(levels);
        self.scales.push(scale);
        self.mins.push(min);
    }

    /// Replaces the contents by those of a row; false when the bytes are no whole blocks or the format isn't one of
    /// groups with levels.
    pub(super) fn read(&mut self, dtype: DType, row: &[u8]) -> bool {
        self.clear();
        match dtype {
            DType::Q8_0 => self.blocks(row, |out, b: &q8_0::Block| {
                out.group(half(b.d), 0.0, b.qs.iter().map(|&q| (q as u8) ^ 0x80));
            }),
            DType::Q4_0 => self.blocks(row, |out, b: &q4_0::Block| {
                out.group(half(b.d), 0.0, nibbles(&b.qs));
            }),
            // x = d · q + m: the minimum is −m.
            DType::Q4_1 => self.blocks(row, |out, b: &q4_1::Block| {
                out.group(half(b.d), -half(b.m), nibbles(&b.qs));
            }),
            DType::Q5_0 => self.blocks(row, |out, b: &q5_0::Block| {
                out.group(half(b.d), 0.0, fives(&b.qs, b.qh));
            }),
            DType::Q5_1 => self.blocks(row, |out, b: &q5_1::Block| {
                out.group(half(b.d), -half(b.m), fives(&b.qs, b.qh));
            }),
            DType::Q4K => self.blocks(row, |out, b: &q4_k::Block| {
                let (d, dmin, (scales, mins)) = (half(b.d), half(b.dmin), b.scales_and_mins());
                for g in 0..8 {
                    let (bytes, shift) = (&b.qs[g / 2 * 32..][..32], g % 2 * 4);
                    let (scale, min) = (d * f32::from(scales[g]), dmin * f32::from(mins[g]));
                    out.group(scale, min, bytes.iter().map(|&q| (q >> shift) & 15));
                }
            }),
            DType::Q5K => self.blocks(row, |out, b: &q5_k::Block| {
                let (d, dmin, (scales, mins)) = (half(b.d), half(b.dmin), b.scales_and_mins());
                for g in 0..8 {
                    let (bytes, shift) = (b.qs[g / 2 * 32..][..32].iter().zip(&b.qh), g % 2 * 4);
                    let (scale, min) = (d * f32::from(scales[g]), dmin * f32::from(mins[g]));
                    out.group(
                        scale,
                        min,
                        bytes.map(|(&q, &high)| ((q >> shift) & 15) | ((high >> g) & 1) << 4),
                    );
                }
            }),
            DType::Q6K => self.blocks(row, |out, b: &q6_k::Block| {
                let d = half(b.d);
                for g in 0..16 {
                    // Where the format puts group g: half h, quarter j of it, first or last sixteen.
                    let (h, j, l) = (g / 8, g % 8 / 2, g % 2 * 16);
                    let low = b.ql[64 * h + 32 * (j % 2) + l..][..16].iter();
                    let high = &b.qh[32 * h + l..][..16];
                    let levels = low
                        .zip(high)
                        .map(|(&low, &high)| ((low >> (j / 2 * 4)) & 15) | ((high >> (2 * j)) & 3) << 4);
                    out.group(d * f32::from(b.scales[g]), 0.0, levels);
                }
            }),
            _ => false,
        }
    }

    fn blocks<B: Pod>(&mut self, row: &[u8], each: impl Fn(&mut Self, &B)) -> bool {
        // Blocks are byte structs, so only a partial one can make the cast fail.
        let Ok(blocks) = try_cast_slice::<u8, B>(row) else { return false };
        blocks.iter().for_each(|block| each(self, block));
        true
    }
}

fn half(bytes: [u8; 2]) -> f32 {
    f16::from_le_bytes(bytes).to_f32()
}

fn nibbles(qs: &[u8; 16]) -> impl Iterator<Item = u8> {
    qs.iter().map(|q| q & 15).chain(qs.iter().map(|q| q >> 4))
}

fn fives(qs: &[u8; 16], high: [u8; 4]) -> impl Iterator<Item = u8> {
    let high = u32::from_le_bytes(high);
    nibbles(qs).enumerate().map(move |(i, q)| q | ((high >> i) as u8 & 1) << 4)
}
