//! Lays a matrix `[N, K]` out in planes of 32-bit words.
//!
//! Rows follow each other in every plane, and each is padded to whole 16 bytes with zeros.
//!
//! ```text
//! F32         one plane: f32
//! F16, BF16   one plane: two halves to a word, the first in the low bits
//! blocks      low     8 bits: four signed levels to a word
//!                     4, 5, 6 bits: eight nibbles to a word; byte b holds elements b (low nibble) and 4 + b
//!             high    5 bits: a word for 32 elements; bit c of byte b belongs to element 4c + b
//!                     6 bits: a word for 16 elements; bits 2c, 2c + 1 of byte b belong to element 4c + b
//!             scale   Q8_0, Q4_0, Q5_0: two blocks to a word, f16
//!                     Q4_1, Q5_1: a word for a block, f16 scale and f16 minimum
//!                     K-quants: records of a block: a word with both (minimum zero where there is none), then a byte for
//!                     each group's scale and, with minima, for each group's minimum
//! ```
//!
//! An element is `scale · (level − zero) − min`; signed levels have the zero taken off already.
//!
//! Types that reach beyond f16 have one more plane: a power of two for each row, whose products with the row's elements are
//! below 2 (below 64 for blocks, whose largest is only estimated), for kernels that compute in f16.

use super::layout::MatrixType;
use half::f16;
use mynah_device::{DeviceError, WeightBytes};
use mynah_tensor::{DType, LevelFormat, RowLevels, decode_row};

/// Words to which rows are padded.
const WORDS: usize = 4;

/// Words of a row in each plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Strides {
    /// The elements, or the levels (their low bits).
    pub(crate) low: usize,
    /// Upper bits of levels; 0 where there are none.
    pub(crate) high: usize,
    /// Scales and minima; 0 for plain types.
    pub(crate) scale: usize,
}

impl Strides {
    /// The strides of rows of `k` elements.
    pub(crate) fn of(stored: MatrixType, k: usize) -> Self {
        let padded = |words: usize| words.next_multiple_of(WORDS);
        let plain = |low: usize| Self { low: padded(low), high: 0, scale: 0 };
        match stored {
            MatrixType::F32 => plain(k),
            MatrixType::F16 | MatrixType::Bf16 => plain(k.div_ceil(2)),
            MatrixType::Blocks(dtype) => {
                let Some(format) = LevelFormat::of(dtype) else { return plain(k) };
                let blocks = k / format.block();
                let scale = match (format.groups, format.mins) {
                    (1, false) => blocks.div_ceil(2),
                    _ => blocks * record_words(format),
                };
                let high = match format.bits {
                    5 => k.div_ceil(32),
                    6 => k.div_ceil(16),
                    _ => 0,
                };
                let low = if format.bits == 8 { k.div_ceil(4) } else { k.div_ceil(8) };
                Self { low: padded(low), high: padded(high), scale: padded(scale) }
            }
        }
    }
}

/// Words of a block's record of scales, for formats with minima or sub-scales.
pub(crate) fn record_words(format: LevelFormat) -> usize {
    let kinds = if format.mins { 2 } else { 1 };
    let subs = if format.groups > 1 { format.groups * kinds / 4 } else { 0 };
    1 + subs
}

/// Planes of a weight that are read element by element; the plane of row factors, where there is one, follows them.
pub(crate) fn element_planes(strides: Strides) -> usize {
    1 + usize::from(strides.high > 0) + usize::from(strides.scale > 0)
}

/// Whether rows have factors.
pub(crate) fn has_factors(stored: MatrixType) -> bool {
    stored != MatrixType::F16
}

/// The power of two that brings a number to 1 or above, below 2; 1 for zero and for what is not finite.
fn factor(largest: f32) -> f32 {
    if largest == 0.0 || !largest.is_finite() {
        return 1.0;
    }
    // Beyond that the factor or its inverse would not be a normal number.
    let exponent = ((largest.to_bits() >> 23) as i32 - 127).clamp(-126, 126);
    f32::from_bits(((127 - exponent) as u32) << 23)
}

/// The planes of a weight, in the order low, high, scale, factors, those that the type has.
///
/// # Errors
/// [`DeviceError::Weight`] when the bytes are no whole rows.
pub(super) fn planes(weight: &WeightBytes<'_>, stored: MatrixType) -> Result<Vec<Vec<u8>>, DeviceError> {
    let wrong = |reason: String| DeviceError::Weight { name: weight.name.to_owned(), reason };
    let k = weight.shape.last();
    let n = weight.shape.numel().checked_div(k).unwrap_or(0);
    let row_bytes = weight.dtype.row_bytes(k).unwrap_or(0);
    if weight.bytes.len() != row_bytes * n || (row_bytes == 0 && n * k > 0) {
        return Err(wrong(format!("{} bytes are no {n} rows of {k} elements", weight.bytes.len())));
    }
    let strides = Strides::of(stored, k);
    let plane = |words: usize| vec![0u32; words * n];
    let (mut low, mut high, mut scale) = (plane(strides.low), plane(strides.high), plane(strides.scale));
    let mut factors = plane(usize::from(has_factors(stored)));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = n.div_ceil(threads).max(64);
    let mut lows = low.chunks_mut((share * strides.low).max(1));
    let mut highs = high.chunks_mut((share * strides.high).max(1));
    let mut scales = scale.chunks_mut((share * strides.scale).max(1));
    let mut all_factors = factors.chunks_mut(share);
    let sound = std::thread::scope(|scope| {
        let tasks: Vec<_> = weight
            .bytes
            .chunks((share * row_bytes).max(1))
            .map(|rows| {
                let mut target = Target {
                    low: lows.next().unwrap_or_default(),
                    high: highs.next().unwrap_or_default(),
                    scale: scales.next().unwrap_or_default(),
                    factors: all_factors.next().unwrap_or_default(),
                };
                scope.spawn(move || pack(weight.dtype, stored, strides, rows, row_bytes, k, &mut target))
            })
            .collect();
        tasks.into_iter().all(|task| task.join().unwrap_or(false))
    });
    if !sound {
        return Err(wrong(format!("{} rows can't be read", weight.dtype)));
    }
    let bytes = |plane: Vec<u32>| bytemuck::cast_slice(&plane).to_vec();
    Ok([low, high, scale, factors].into_iter().filter(|plane| !plane.is_empty()).map(bytes).collect())
}

/// Where some rows' words go.
struct Target<'a> {
    low: &'a mut [u32],
    high: &'a mut [u32],
    scale: &'a mut [u32],
    factors: &'a mut [u32],
}

fn pack(
    dtype: DType,
    stored: MatrixType,
    strides: Strides,
    rows: &[u8],
    row_bytes: usize,
    k: usize,
    target: &mut Target<'_>,
) -> bool {
    let rows = rows.chunks_exact(row_bytes);
    let format = match stored {
        MatrixType::Blocks(dtype) => LevelFormat::of(dtype),
        _ => None,
    };
    let Some(format) = format else {
        for (i, (row, out)) in rows.zip(target.low.chunks_exact_mut(strides.low)).enumerate() {
            let out: &mut [u8] = bytemuck::cast_slice_mut(out);
            if matches!(stored, MatrixType::F16 | MatrixType::Bf16) || dtype == DType::F32 {
                out[..row.len()].copy_from_slice(row);
            } else {
                let mut floats = vec![0f32; k];
                if decode_row(dtype, row, &mut floats).is_err() {
                    return false;
                }
                out[..4 * k].copy_from_slice(bytemuck::cast_slice(&floats));
            }
            if let Some(factor_) = target.factors.get_mut(i) {
                *factor_ = factor(largest(stored, out)).to_bits();
            }
        }
        return true;
    };
    let mut levels = RowLevels::default();
    for (i, row) in rows.enumerate() {
        if !levels.read(dtype, row) {
            return false;
        }
        let high = target.high.get_mut(i * strides.high..(i + 1) * strides.high).unwrap_or_default();
        let low = &mut target.low[i * strides.low..(i + 1) * strides.low];
        pack_levels(format, &levels.levels, low, high);
        if let Some(factor_) = target.factors.get_mut(i) {
            *factor_ = factor(largest_of_levels(format, &levels)).to_bits();
        }
        pack_scales(format, &levels, &mut target.scale[i * strides.scale..(i + 1) * strides.scale]);
    }
    true
}

/// The largest magnitude in a packed row of floats.
fn largest(stored: MatrixType, row: &[u8]) -> f32 {
    // Without the sign the bits of floats are in the order of their magnitudes, NaN last.
    let bits = match stored {
        MatrixType::F32 => row.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b) & 0x7fff_ffff).max(),
        _ => row.as_chunks::<2>().0.iter().map(|b| u32::from(u16::from_le_bytes(*b) & 0x7fff) << 16).max(),
    };
    f32::from_bits(bits.unwrap_or(0))
}

/// A number that no element of a row of levels exceeds in magnitude.
fn largest_of_levels(format: LevelFormat, row: &RowLevels) -> f32 {
    let half = |h: &[u8; 2]| f16::from_le_bytes(*h).to_f32().abs();
    let most = |halves: &[[u8; 2]]| halves.iter().map(half).fold(0.0, f32::max);
    let sub = |subs: &[i8]| subs.iter().map(|s| s.unsigned_abs()).max().map_or(1.0, f32::from);
    let level = ((1 << format.bits) - 1 - i32::from(format.zero)).max(i32::from(format.zero));
    most(&row.d) * sub(&row.sub) * level as f32 + most(&row.dmin) * sub(&row.submin)
}

fn pack_levels(format: LevelFormat, levels: &[u8], low: &mut [u32], high: &mut [u32]) {
    let word = |bytes: [u8; 4]| u32::from_le_bytes(bytes);
    if format.bits == 8 {
        for (levels, word_) in levels.as_chunks::<4>().0.iter().zip(low) {
            *word_ = word(levels.map(|l| l.wrapping_sub(format.zero)));
        }
        return;
    }
    for (levels, word_) in levels.as_chunks::<8>().0.iter().zip(low) {
        *word_ = word(std::array::from_fn(|b| levels[b] & 15 | (levels[4 + b] & 15) << 4));
    }
    let wide = format.bits - 4;
    if wide == 0 {
        return;
    }
    for (levels, word_) in levels.chunks(32 / wide).zip(high) {
        *word_ = levels.chunks(4).enumerate().fold(0, |all, (c, four)| {
            let bits = |b: usize| four.get(b).map_or(0, |l| (l >> 4) << (c * wide));
            all | word(std::array::from_fn(bits))
        });
    }
}

fn pack_scales(format: LevelFormat, row: &RowLevels, out: &mut [u32]) {
    let half = |h: [u8; 2]| u32::from(u16::from_le_bytes(h));
    if format.groups == 1 && !format.mins {
        for (pair, word) in row.d.chunks(2).zip(out) {
            *word = half(pair[0]) | pair.get(1).map_or(0, |&d| half(d)) << 16;
        }
        return;
    }
    let mut subs = row.sub.chunks_exact(format.groups);
    let mut submins = row.submin.chunks_exact(format.groups);
    let blocks = row.d.iter().zip(&row.dmin).zip(out.chunks_exact_mut(record_words(format)));
    for ((&d, &dmin), record) in blocks {
        record[0] = half(d) | half(dmin) << 16;
        let bytes = subs.next().into_iter().chain(submins.next()).flatten();
        let bytes: &mut [u8] = &mut bytes.map(|&b| b as u8).collect::<Vec<_>>();
        for (four, word) in bytes.as_chunks::<4>().0.iter().zip(&mut record[1..]) {
            *word = u32::from_le_bytes(*four);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_tensor::Shape;

    #[test]
    fn factors_bring_rows_into_range() {
        assert_eq!([1.0, 1.9, 2.0, 0.3, 1e30, 0.0].map(|v| (factor(v) * v) as i32), [1, 1, 1, 1, 1, 0]);
        assert_eq!([f32::NAN, f32::INFINITY, 0.0].map(factor), [1.0; 3]);
        for extreme in [1e-45, f32::MIN_POSITIVE, f32::MAX] {
            assert!(factor(extreme).is_normal() && factor(extreme).recip().is_normal());
            assert!(factor(extreme) * extreme < 4.0);
        }
    }

    #[test]
    fn a_row_of_bf16_beyond_f16_gets_a_factor() {
        let values = [1e9f32, -3e9, 0.5, 0.0, 1.0, 1.0, 0.25, -0.5];
        let bytes: Vec<u8> = values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect();
        let weight =
            WeightBytes { name: "w", dtype: DType::BF16, shape: Shape::new(&[2, 4]).unwrap(), bytes: &bytes };
        let planes = planes(&weight, MatrixType::Bf16).unwrap();
        assert_eq!(planes.len(), element_planes(Strides::of(MatrixType::Bf16, 4)) + 1);
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&planes[1]), [0.5f32.powi(31), 1.0]);
    }
}
