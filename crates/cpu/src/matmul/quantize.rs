//! Quantises rows of `x` to bytes, one scale to a group of consecutive elements, in the order in which a tile of integer
//! dot products reads them.

use crate::simd::{Isa, Simd, dispatch};

/// Where a tile's rows go.
pub(super) struct Packed<'a> {
    /// `[group][quad][height]` words of four bytes.
    pub(super) words: &'a mut [i32],
    /// `[group][height]`: `x = scale · byte`.
    pub(super) scales: &'a mut [f32],
    /// `[group][height]`: sums of the bytes.
    pub(super) sums: &'a mut [i32],
}

/// Quantises `rows` into a tile of `height` rows; rows that are missing become zeros.
pub(super) fn quantize_rows<'a>(
    isa: Isa,
    rows: impl Iterator<Item = &'a [f32]>,
    group: usize,
    height: usize,
    packed: &mut Packed<'_>,
) {
    let mut found = 0;
    for (r, row) in rows.enumerate() {
        // SAFETY: the isa was checked by the device.
        unsafe { quantize_row(isa, row, group, height, r, packed) };
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
    fn quantize_row(row: &[f32], group: usize, height: usize, r: usize, packed: &mut Packed<'_>) = quantize_body;
}

#[inline(always)]
unsafe fn quantize_body<S: Simd>(
    s: S,
    row: &[f32],
    group: usize,
    height: usize,
    r: usize,
    packed: &mut Packed<'_>,
) {
    let (groups, quads) = (row.len() / group, group / 4);
    assert!(r < height && quads <= 8 && packed.words.len() >= groups * quads * height);
    assert!(packed.scales.len() >= groups * height && packed.sums.len() >= groups * height);
    let mut g = 0;
    while g < groups {
        let mut words = [0i32; 8];
        let bytes = words.as_mut_ptr().cast::<i8>();
        // SAFETY: a group is 16 or 32 elements, a whole number of vectors of every set; the words hold 32 bytes; the
        // places written are within the extents checked above.
        unsafe {
            let x = row.as_ptr().add(g * group);
            let (mut top, mut sum) = (s.zero(), s.zero());
            let mut i = 0;
            while i < group {
                let v = s.load(x.add(i));
                top = s.max(s.abs(v), top);
                sum = s.add(sum, v);
                i += S::LANES;
            }
            let largest = s.largest(top);
            let inverse = s.splat(if largest == 0.0 { 0.0 } else { 127.0 / largest });
            let mut i = 0;
            while i < group {
                s.store_bytes(bytes.add(i), s.mul(s.load(x.add(i)), inverse));
                i += S::LANES;
            }
            let mut total = 0;
            let mut i = 0;
            while i < group {
                total += i32::from(*bytes.add(i));
                i += 1;
            }
            let to = packed.words.as_mut_ptr().add(g * quads * height + r);
            let mut q = 0;
            while q < quads {
                *to.add(q * height) = words[q];
                q += 1;
            }
            *packed.sums.as_mut_ptr().add(g * height + r) = total;
            // What is no number has no size: it reaches the result through the scale.
            *packed.scales.as_mut_ptr().add(g * height + r) = largest / 127.0 + 0.0 * s.sum(sum);
        }
        g += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::SimdLevel;
    use mynah_tensor::Rng;

    #[test]
    fn every_level_rounds_alike() {
        let (k, group, height) = (96, 32, 4);
        let mut x = vec![0.0; 3 * k];
        Rng::new(1).fill_normal(&mut x, 2.0);
        x[k..k + 32].fill(0.0);
        x[2 * k + 40] = f32::NAN;
        for level in SimdLevel::available() {
            let (mut words, mut scales) = (vec![7; k], vec![7.0; 3 * height]);
            let mut sums = vec![7; 3 * height];
            let mut packed = Packed { words: &mut words, scales: &mut scales, sums: &mut sums };
            quantize_rows(level.isa(), x.chunks(k), group, height, &mut packed);
            for (r, row) in x.chunks(k).enumerate() {
                for (g, values) in row.chunks(group).enumerate() {
                    let scale = scales[g * height + r];
                    let largest = values.iter().fold(0.0f32, |m, x| m.max(x.abs()));
                    if values.iter().any(|x| x.is_nan()) {
                        assert!(scale.is_nan(), "{level}");
                        continue;
                    }
                    assert_eq!(scale, largest / 127.0, "{level}");
                    let inverse = if largest == 0.0 { 0.0 } else { 127.0 / largest };
                    let wanted: Vec<i8> =
                        values.iter().map(|x| (x * inverse).round_ties_even() as i8).collect();
                    let at = |i: usize| words[(g * group + i) / 4 * height + r].to_le_bytes()[i % 4] as i8;
                    assert_eq!((0..group).map(at).collect::<Vec<_>>(), wanted, "{level}");
                    assert_eq!(sums[g * height + r], wanted.iter().map(|&b| i32::from(b)).sum::<i32>());
                }
            }
            assert!(scales.chunks(height).all(|s| s[3] == 0.0) && words.chunks(height).all(|w| w[3] == 0));
        }
    }
}
