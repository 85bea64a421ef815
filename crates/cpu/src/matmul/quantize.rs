//! Quantises rows of `x` to bytes, one scale to a block of consecutive elements, in the order in which a tile of integer
//! dot products reads them.

use crate::simd::dot::{X_BLOCK, offset};
use crate::simd::{Isa, Simd, dispatch};
use crate::weights::LevelFormat;

/// Where a tile's rows go.
pub(super) struct Packed<'a> {
    /// `[quad][height]` words of four bytes.
    pub(super) words: &'a mut [i32],
    /// `[block][height]`: `x = scale · byte`, a block being [`X_BLOCK`] elements or what is left of the row.
    pub(super) scales: &'a mut [f32],
    /// `[group][height]`: the [`offset`] of each group of the weight's format.
    pub(super) sums: &'a mut [i32],
}

/// Quantises `rows` into a tile of `height` rows; rows that are missing become zeros.
pub(super) fn quantize_rows<'a>(
    isa: Isa,
    rows: impl Iterator<Item = &'a [f32]>,
    format: LevelFormat,
    height: usize,
    packed: &mut Packed<'_>,
) {
    let mut found = 0;
    for (r, row) in rows.enumerate() {
        // SAFETY: the isa was checked by the device.
        unsafe { quantize_row(isa, row, format, height, r, packed) };
        found = r + 1;
    }
    for r in found..height {
        packed.scales[r..].iter_mut().step_by(height).for_each(|x| *x = 0.0);
        packed.sums[r..].iter_mut().step_by(height).for_each(|x| *x = 0);
        packed.words[r..].iter_mut().step_by(height).for_each(|x| *x = 0);
    }
}

dispatch! {
    /// Quantises one row as row `r` of a tile.
    fn quantize_row(row: &[f32], format: LevelFormat, height: usize, r: usize, packed: &mut Packed<'_>) = quantize_body;
}

#[inline(always)]
unsafe fn quantize_body<S: Simd>(
    s: S,
    row: &[f32],
    format: LevelFormat,
    height: usize,
    r: usize,
    packed: &mut Packed<'_>,
) {
    let group = format.group;
    let (k, blocks) = (row.len(), row.len().div_ceil(X_BLOCK));
    assert!(
        r < height && k.is_multiple_of(group) && X_BLOCK.is_multiple_of(group) && group.is_multiple_of(16)
    );
    assert!(packed.words.len() >= k / 4 * height && packed.scales.len() >= blocks * height);
    assert!(packed.sums.len() >= k / group * height);
    // SAFETY: the places written are within the extents checked above.
    unsafe {
        let (words, scales) = (packed.words.as_mut_ptr().add(r), packed.scales.as_mut_ptr().add(r));
        let sums = packed.sums.as_mut_ptr().add(r);
        let mut sum = s.zero();
        let mut first = 0;
        while first < k {
            let len = if k - first < X_BLOCK { k - first } else { X_BLOCK };
            let to = (
                words.add(first / 4 * height),
                scales.add(first / X_BLOCK * height),
                sums.add(first / group * height),
            );
            let x = row.as_ptr().add(first);
            // Sizes the compiler knows make loops without branches.
            sum = match (len, group) {
                (X_BLOCK, 32) => quantize_block(s, x, X_BLOCK, 32, format, height, to, sum),
                (X_BLOCK, 16) => quantize_block(s, x, X_BLOCK, 16, format, height, to, sum),
                _ => quantize_block(s, x, len, group, format, height, to, sum),
            };
            first += len;
        }
        // What is no number has no size: it reaches the row's results through its first scale.
        *scales += 0.0 * s.sum(sum);
    }
}

/// Quantises `len` elements; returns `sum` plus theirs.
#[inline(always)]
unsafe fn quantize_block<S: Simd>(
    s: S,
    x: *const f32,
    len: usize,
    group: usize,
    format: LevelFormat,
    height: usize,
    (words_out, scale, sums): (*mut i32, *mut f32, *mut i32),
    sum: S::F,
) -> S::F {
    let mut words = [0i32; X_BLOCK / 4];
    let bytes = words.as_mut_ptr().cast::<u8>();
    // SAFETY: a block is a whole number of vectors of every set; the words hold as many bytes; the rest is the caller's.
    unsafe {
        let (mut top, mut sum) = (s.zero(), sum);
        let mut i = 0;
        while i < len {
            let v = s.load(x.add(i));
            top = s.max(s.abs(v), top);
            sum = s.add(sum, v);
            i += S::LANES;
        }
        let largest = s.largest(top);
        let inverse = s.splat(if largest == 0.0 { 0.0 } else { 127.0 / largest });
        let mut i = 0;
        while i < len {
            s.store_bytes(bytes.add(i).cast(), s.mul(s.load(x.add(i)), inverse));
            i += S::LANES;
        }
        let mut g = 0;
        while g < len / group {
            // Sums of unsigned bytes have an instruction of their own.
            let (mut total, mut i) = (0, 0);
            while i < group {
                total += u32::from(*bytes.add(g * group + i) ^ 128);
                i += 1;
            }
            *sums.add(g * height) = offset(format, total as i32 - 128 * group as i32);
            g += 1;
        }
        let mut q = 0;
        while q < len / 4 {
            *words_out.add(q * height) = words[q];
            q += 1;
        }
        *scale = largest / 127.0;
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::SimdLevel;
    use mynah_tensor::{DType, Rng};

    #[test]
    fn every_level_rounds_alike() {
        // A block and a shorter one.
        let (k, height) = (X_BLOCK + 96, 4);
        let format = LevelFormat::of(DType::Q8_0).unwrap();
        let group = format.group;
        let blocks = 2;
        let mut x = vec![0.0; 3 * k];
        Rng::new(1).fill_normal(&mut x, 2.0);
        x[k..k + X_BLOCK].fill(0.0);
        x[2 * k + X_BLOCK + 8] = f32::NAN;
        for level in SimdLevel::available() {
            let (mut words, mut scales) = (vec![7; k / 4 * height], vec![7.0; blocks * height]);
            let mut sums = vec![7; k / group * height];
            let mut packed = Packed { words: &mut words, scales: &mut scales, sums: &mut sums };
            quantize_rows(level.isa(), x.chunks(k), format, height, &mut packed);
            for (r, row) in x.chunks(k).enumerate() {
                for (b, values) in row.chunks(X_BLOCK).enumerate() {
                    let scale = scales[b * height + r];
                    let largest = values.iter().fold(0.0f32, |m, x| m.max(x.abs()));
                    if row.iter().any(|x| x.is_nan()) {
                        assert!(scale.is_nan() == (b == 0), "{level}");
                        continue;
                    }
                    assert_eq!(scale, largest / 127.0, "{level}");
                    let inverse = if largest == 0.0 { 0.0 } else { 127.0 / largest };
                    let wanted: Vec<i8> =
                        values.iter().map(|x| (x * inverse).round_ties_even() as i8).collect();
                    let first = b * X_BLOCK;
                    let at = |i: usize| words[(first + i) / 4 * height + r].to_le_bytes()[i % 4] as i8;
                    assert_eq!((0..values.len()).map(at).collect::<Vec<_>>(), wanted, "{level}");
                    for (g, bytes) in wanted.chunks(group).enumerate() {
                        let sum = bytes.iter().map(|&b| i32::from(b)).sum::<i32>();
                        assert_eq!(sums[(first / group + g) * height + r], -128 * sum, "{level}");
                    }
                }
            }
            assert!(scales.chunks(height).all(|s| s[3] == 0.0) && words.chunks(height).all(|w| w[3] == 0));
        }
    }
}
