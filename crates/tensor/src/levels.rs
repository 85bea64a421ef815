//! Block formats whose values are evenly spaced levels, taken apart into integers, scales and minima.
//!
//! Devices lay these out again as suits their instructions. Nothing is lost: `scale · (level − zero) − min` gives the bits of
//! the file's own formula.

use crate::DType;
use crate::formats::{q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0};
use bytemuck::{Pod, try_cast_slice};

/// What the levels of a format are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelFormat {
    /// Elements that share a scale: 16 or 32.
    pub group: usize,
    /// Bits of a level: 4, 5, 6 or 8.
    pub bits: usize,
    /// The level that means zero (less the minimum).
    pub zero: u8,
    /// Whether groups have a minimum.
    pub mins: bool,
    /// Groups of a record: one, or those of a K-quant's block.
    pub groups: usize,
}

impl LevelFormat {
    /// The format of a type, `None` for those that have no evenly spaced levels.
    pub const fn of(dtype: DType) -> Option<Self> {
        let (group, bits, zero, mins, groups) = match dtype {
            DType::Q8_0 => (32, 8, 128, false, 1),
            DType::Q4_0 => (32, 4, 8, false, 1),
            DType::Q5_0 => (32, 5, 16, false, 1),
            DType::Q4_1 => (32, 4, 0, true, 1),
            DType::Q5_1 => (32, 5, 0, true, 1),
            DType::Q4K => (32, 4, 0, true, 8),
            DType::Q5K => (32, 5, 0, true, 8),
            DType::Q6K => (16, 6, 32, false, 16),
            _ => return None,
        };
        Some(Self { group, bits, zero, mins, groups })
    }

    /// Elements of a record's rows.
    pub fn block(self) -> usize {
        self.group * self.groups
    }

    /// The same with a byte for each level.
    pub const fn unpacked(self) -> Self {
        Self { bits: 8, ..self }
    }

    /// Whether scales are products of a block's and a group's.
    pub fn has_subscales(self) -> bool {
        self.groups > 1
    }
}

/// One row: `x = scale · (level − zero) − min`, with scales and minima as [`LevelFormat`] describes them.
#[derive(Debug, Default)]
pub struct RowLevels {
    /// Unsigned levels.
    pub levels: Vec<u8>,
    /// Half-precision scale of each block.
    pub d: Vec<[u8; 2]>,
    /// Half-precision minimum of each block; zeros for formats without.
    pub dmin: Vec<[u8; 2]>,
    /// Scale of each group of a K-quant.
    pub sub: Vec<i8>,
    /// Minimum of each group of a K-quant with minima.
    pub submin: Vec<i8>,
}

impl RowLevels {
    fn clear(&mut self) {
        self.levels.clear();
        self.d.clear();
        self.dmin.clear();
        self.sub.clear();
        self.submin.clear();
    }

    fn block(&mut self, d: [u8; 2], dmin: [u8; 2], levels: impl Iterator<Item = u8>) {
        self.levels.extend(levels);
        self.d.push(d);
        self.dmin.push(dmin);
    }

    /// Six-bit scales and minima fit signed bytes.
    fn subs(&mut self, (scales, mins): ([u8; 8], [u8; 8])) {
        self.sub.extend(scales.map(|s| s as i8));
        self.submin.extend(mins.map(|m| m as i8));
    }

    /// Replaces the contents by those of a row; false when the bytes are no whole blocks or the format isn't one of
    /// groups with levels.
    pub fn read(&mut self, dtype: DType, row: &[u8]) -> bool {
        const NONE: [u8; 2] = [0; 2];
        self.clear();
        match dtype {
            DType::Q8_0 => self.blocks(row, |out, b: &q8_0::Block| {
                out.block(b.d, NONE, b.qs.iter().map(|&q| (q as u8) ^ 0x80));
            }),
            DType::Q4_0 => self.blocks(row, |out, b: &q4_0::Block| {
                out.block(b.d, NONE, nibbles(&b.qs));
            }),
            DType::Q4_1 => self.blocks(row, |out, b: &q4_1::Block| {
                out.block(b.d, negated(b.m), nibbles(&b.qs));
            }),
            DType::Q5_0 => self.blocks(row, |out, b: &q5_0::Block| {
                out.block(b.d, NONE, fives(&b.qs, b.qh));
            }),
            DType::Q5_1 => self.blocks(row, |out, b: &q5_1::Block| {
                out.block(b.d, negated(b.m), fives(&b.qs, b.qh));
            }),
            DType::Q4K => self.blocks(row, |out, b: &q4_k::Block| {
                out.subs(b.scales_and_mins());
                out.block(
                    b.d,
                    b.dmin,
                    (0..8).flat_map(|g| {
                        let (bytes, shift) = (&b.qs[g / 2 * 32..][..32], g % 2 * 4);
                        bytes.iter().map(move |&q| (q >> shift) & 15)
                    }),
                );
            }),
            DType::Q5K => self.blocks(row, |out, b: &q5_k::Block| {
                out.subs(b.scales_and_mins());
                out.block(
                    b.d,
                    b.dmin,
                    (0..8).flat_map(|g| {
                        let (bytes, shift) = (b.qs[g / 2 * 32..][..32].iter().zip(&b.qh), g % 2 * 4);
                        bytes.map(move |(&q, &high)| ((q >> shift) & 15) | ((high >> g) & 1) << 4)
                    }),
                );
            }),
            DType::Q6K => self.blocks(row, |out, b: &q6_k::Block| {
                out.sub.extend(b.scales);
                out.block(
                    b.d,
                    NONE,
                    (0..16).flat_map(|g| {
                        // Where the format puts group g: half h, quarter j of it, first or last sixteen.
                        let (h, j, l) = (g / 8, g % 8 / 2, g % 2 * 16);
                        let low = b.ql[64 * h + 32 * (j % 2) + l..][..16].iter();
                        let high = &b.qh[32 * h + l..][..16];
                        low.zip(high).map(move |(&low, &high)| {
                            ((low >> (j / 2 * 4)) & 15) | ((high >> (2 * j)) & 3) << 4
                        })
                    }),
                );
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

/// `−m` of a half-precision `m`: the formats with `x = d · q + m` have the minimum −m.
fn negated([low, high]: [u8; 2]) -> [u8; 2] {
    [low, high ^ 0x80]
}

fn nibbles(qs: &[u8; 16]) -> impl Iterator<Item = u8> {
    qs.iter().map(|q| q & 15).chain(qs.iter().map(|q| q >> 4))
}

fn fives(qs: &[u8; 16], high: [u8; 4]) -> impl Iterator<Item = u8> {
    let high = u32::from_le_bytes(high);
    nibbles(qs).enumerate().map(move |(i, q)| q | ((high >> i) as u8 & 1) << 4)
}
