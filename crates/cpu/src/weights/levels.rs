//! Block formats whose values are evenly spaced levels, re-expressed as interleaved integers: the layout of integer dot
//! products, and just as quick to decode to floats. Nothing is lost: `scale · (level − zero) − min` gives the bits of the
//! file's own formula.
//!
//! ```text
//! levels  [panel][group][quad][lane][4]   bytes: four consecutive k of one lane make a 32-bit word
//!         [panel][group][pair][lane][4]   nibbles: the low ones are quad 2·pair, the high ones the next
//! scales  [panel][group][lane]            f32, minima likewise
//! ```

use super::bad;
use super::levels_of::RowLevels;
use crate::memory::{Buffer, Output};
use crate::pool::Pool;
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::{DeviceError, WeightBytes};
use mynah_tensor::DType;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a format's levels are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LevelFormat {
    /// Elements that share a scale: 16 or 32.
    pub(crate) group: usize,
    /// Two levels to a byte.
    pub(crate) nibbles: bool,
    /// The level that means zero (less the minimum).
    pub(crate) zero: u8,
    /// Whether groups have a minimum.
    pub(crate) mins: bool,
}

impl LevelFormat {
    /// The layout of a type, `None` for those that keep their file's bytes.
    pub(crate) fn of(dtype: DType) -> Option<Self> {
        let plain = |group, nibbles, zero| Some(Self { group, nibbles, zero, mins: false });
        let affine = |nibbles| Some(Self { group: 32, nibbles, zero: 0, mins: true });
        match dtype {
            DType::Q8_0 => plain(32, false, 128),
            DType::Q4_0 => plain(32, true, 8),
            DType::Q5_0 => plain(32, false, 16),
            DType::Q6K => plain(16, false, 32),
            DType::Q4_1 | DType::Q4K => affine(true),
            DType::Q5_1 | DType::Q5K => affine(false),
            _ => None,
        }
    }

    /// Bytes of a group of one lane.
    fn bytes(self) -> usize {
        if self.nibbles { self.group / 2 } else { self.group }
    }
}

/// Interleaved levels of a weight.
#[derive(Debug)]
pub(crate) struct LevelPanels {
    pub(crate) dtype: DType,
    pub(crate) format: LevelFormat,
    levels: Buffer,
    scales: Buffer,
    mins: Option<Buffer>,
    /// Groups of a row.
    pub(crate) groups: usize,
    width: usize,
}

impl LevelPanels {
    /// Interleaves a weight `[n, k]` of one of the formats, in parallel.
    pub(super) fn prepare(
        weight: &WeightBytes<'_>,
        n: usize,
        k: usize,
        width: usize,
        pool: &Pool,
    ) -> Result<Self, DeviceError> {
        let dtype = weight.dtype;
        let format = LevelFormat::of(dtype).ok_or_else(|| bad(weight, format!("{dtype} has no levels")))?;
        let (groups, panels) = (k / format.group, n.div_ceil(width));
        let count = panels.checked_mul(groups).and_then(|c| c.checked_mul(width)).unwrap_or(usize::MAX);
        let bytes = count.saturating_mul(format.bytes());
        let mut levels = Buffer::zeroed(bytes, weight.name)?;
        let mut scales = Buffer::zeroed_f32(count, weight.name)?;
        let mut mins = format.mins.then(|| Buffer::zeroed_f32(count, weight.name)).transpose()?;
        // SAFETY: the buffers hold this many elements.
        let (level_out, scale_out, min_out) = unsafe {
            (
                Output::<u8>::new(levels.ptr_mut(), bytes),
                Output::<f32>::new(scales.ptr_mut().cast(), count),
                mins.as_mut().map(|mins| Output::<f32>::new(mins.ptr_mut().cast(), count)),
            )
        };
        let (row_bytes, failed) = (weight.bytes.len() / n.max(1), AtomicBool::new(false));
        let done = pool.run_chunks(panels, 1, &|range| {
            let mut row = RowLevels::default();
            for panel in range {
                let (first, per_panel) = (panel * groups * width, groups * width);
                // SAFETY: each panel is written by the one task that has it in its range.
                let (levels, scales, mut mins) = unsafe {
                    (
                        level_out.slice(first * format.bytes()..(first + per_panel) * format.bytes()),
                        scale_out.slice(first..first + per_panel),
                        min_out.as_ref().map(|mins| mins.slice(first..first + per_panel)),
                    )
                };
                for lane in 0..width.min(n - panel * width) {
                    let at = (panel * width + lane) * row_bytes;
                    if !row.read(dtype, &weight.bytes[at..at + row_bytes]) {
                        failed.store(true, Ordering::Relaxed);
                        return;
                    }
                    place(format, &row, lane, width, levels, scales, mins.as_deref_mut());
                }
            }
        });
        done.map_err(|panicked| bad(weight, panicked.to_string()))?;
        if failed.load(Ordering::Relaxed) {
            return Err(bad(weight, "its rows are no whole blocks"));
        }
        Ok(Self { dtype, format, levels, scales, mins, groups, width })
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.levels.bytes() + self.scales.bytes() + self.mins.as_ref().map_or(0, Buffer::bytes)
    }

    /// Levels of a panel from a group on.
    pub(crate) fn levels(&self, panel: usize, group: usize) -> &[u8] {
        let per_group = self.format.bytes() * self.width;
        let (from, to) = (panel * self.groups + group, (panel + 1) * self.groups);
        &self.levels.as_bytes()[from * per_group..to * per_group]
    }

    /// Scales of a panel from a group on.
    pub(crate) fn scales(&self, panel: usize, group: usize) -> &[f32] {
        let (from, to) = (panel * self.groups + group, (panel + 1) * self.groups);
        &self.scales.as_f32()[from * self.width..to * self.width]
    }

    /// Minima of a panel from a group on; empty for formats without.
    pub(crate) fn mins(&self, panel: usize, group: usize) -> &[f32] {
        let (from, to) = (panel * self.groups + group, (panel + 1) * self.groups);
        self.mins.as_ref().map_or(&[], |mins| &mins.as_f32()[from * self.width..to * self.width])
    }

    /// Decodes terms from `k0` on, as many as `out` has rows of lanes.
    pub(super) fn decode(&self, isa: Isa, panel: usize, k0: usize, out: &mut [f32]) {
        let group = k0 / self.format.group;
        let (levels, scales, mins) =
            (self.levels(panel, group), self.scales(panel, group), self.mins(panel, group));
        // SAFETY: the width is the instruction set's, which the device checked.
        unsafe { decode(isa, self.format, levels, scales, mins, out) };
    }
}

/// Writes one row's levels, scales and minima into its lane of a panel.
fn place(
    format: LevelFormat,
    row: &RowLevels,
    lane: usize,
    width: usize,
    levels: &mut [u8],
    scales: &mut [f32],
    mins: Option<&mut [f32]>,
) {
    scales.iter_mut().skip(lane).step_by(width).zip(&row.scales).for_each(|(out, &x)| *out = x);
    if let Some(mins) = mins {
        mins.iter_mut().skip(lane).step_by(width).zip(&row.mins).for_each(|(out, &x)| *out = x);
    }
    let words = levels.chunks_exact_mut(4).skip(lane).step_by(width);
    if format.nibbles {
        for (word, eight) in words.zip(row.levels.chunks_exact(8)) {
            for (i, byte) in word.iter_mut().enumerate() {
                *byte = eight[i] | eight[i + 4] << 4;
            }
        }
    } else {
        words.zip(row.levels.chunks_exact(4)).for_each(|(word, four)| word.copy_from_slice(four));
    }
}

dispatch! {
    /// Decodes groups to `[k][lane]` floats.
    fn decode(format: LevelFormat, levels: &[u8], scales: &[f32], mins: &[f32], out: &mut [f32]) = decode_body;
}

#[inline(always)]
unsafe fn decode_body<S: Simd>(
    s: S,
    format: LevelFormat,
    levels: &[u8],
    scales: &[f32],
    mins: &[f32],
    out: &mut [f32],
) {
    let width = 2 * S::LANES;
    let groups = out.len() / (format.group * width);
    assert!(levels.len() >= groups * format.bytes() * width && scales.len() >= groups * width);
    assert!(!format.mins || mins.len() >= groups * width);
    let zero = s.splat(f32::from(format.zero));
    let (mut p, mut out) = (levels.as_ptr(), out.as_mut_ptr());
    let mut group = 0;
    while group < groups {
        let mut quad = 0;
        while quad < format.group / 4 {
            let mut half = 0;
            while half < 2 {
                let lanes = half * S::LANES;
                // SAFETY: the extents were checked above.
                unsafe {
                    let scale = s.load(scales.as_ptr().add(group * width + lanes));
                    let min =
                        if format.mins { s.load(mins.as_ptr().add(group * width + lanes)) } else { s.zero() };
                    let (words, to) = (p.add(4 * lanes), out.add(lanes));
                    if format.nibbles {
                        four::<S, 0>(s, words, 15, [zero, scale, min], format.mins, to);
                        four::<S, 4>(s, words, 15, [zero, scale, min], format.mins, to.add(4 * width));
                    } else {
                        four::<S, 0>(s, words, 255, [zero, scale, min], format.mins, to);
                    }
                }
                half += 1;
            }
            let quads = if format.nibbles { 2 } else { 1 };
            // SAFETY: at most one past the extents checked above.
            unsafe {
                p = p.add(4 * width);
                out = out.add(quads * 4 * width);
            }
            quad += quads;
        }
        group += 1;
    }
}

/// Decodes four terms of a vector of lanes.
#[inline(always)]
unsafe fn four<S: Simd, const LOW: u32>(
    s: S,
    words: *const u8,
    mask: i32,
    [zero, scale, min]: [S::F; 3],
    mins: bool,
    out: *mut f32,
) {
    let width = 2 * S::LANES;
    // SAFETY: passed on to the caller. The shifts are those of the four bytes, plus four for high nibbles.
    unsafe {
        let (a, b, c, d) = if LOW == 0 {
            let (a, b) = (s.load_bits::<0>(words, mask), s.load_bits::<8>(words, mask));
            (a, b, s.load_bits::<16>(words, mask), s.load_bits::<24>(words, mask))
        } else {
            let (a, b) = (s.load_bits::<4>(words, mask), s.load_bits::<12>(words, mask));
            (a, b, s.load_bits::<20>(words, mask), s.load_bits::<28>(words, mask))
        };
        let (a, b) = (s.mul(s.sub(a, zero), scale), s.mul(s.sub(b, zero), scale));
        let (c, d) = (s.mul(s.sub(c, zero), scale), s.mul(s.sub(d, zero), scale));
        if mins {
            s.store(out, s.sub(a, min));
            s.store(out.add(width), s.sub(b, min));
            s.store(out.add(2 * width), s.sub(c, min));
            s.store(out.add(3 * width), s.sub(d, min));
        } else {
            s.store(out, a);
            s.store(out.add(width), b);
            s.store(out.add(2 * width), c);
            s.store(out.add(3 * width), d);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::SimdLevel;
    use crate::simd::tile::TileShape;
    use mynah_tensor::{HostTensor, Rng, Shape};

    #[test]
    fn decoded_levels_have_the_bits_of_the_file() {
        let pool = Pool::new(1);
        let (n, k) = (37, 512);
        let mut rng = Rng::new(3);
        let all = [
            DType::Q8_0,
            DType::Q4_0,
            DType::Q4_1,
            DType::Q5_0,
            DType::Q5_1,
            DType::Q4K,
            DType::Q5K,
            DType::Q6K,
        ];
        for dtype in all {
            // Random bytes: every level and every scale, half of them negative. Exponents are kept finite.
            let mut bytes = vec![0u8; n * dtype.row_bytes(k).unwrap()];
            bytes.iter_mut().for_each(|b| *b = rng.next_u64() as u8 & 0xbf);
            let tensor = HostTensor::new(dtype, Shape::from([n, k]), bytes).unwrap();
            let wanted = tensor.to_f32();
            for level in SimdLevel::available() {
                let width = TileShape::of(level.isa()).panel;
                let weight = WeightBytes { name: "w", dtype, shape: tensor.shape(), bytes: tensor.data() };
                let panels = LevelPanels::prepare(&weight, n, k, width, &pool).unwrap();
                let mut out = vec![f32::NAN; 256 * width];
                for (panel, k0) in [(0, 0), (n / width, 256)] {
                    panels.decode(level.isa(), panel, k0, &mut out);
                    for (i, &x) in out.iter().enumerate() {
                        let (row, term) = (panel * width + i % width, k0 + i / width);
                        if row < n {
                            let w = wanted[row * k + term];
                            assert!(
                                x.to_bits() == w.to_bits() || (x == w && x == 0.0),
                                "{dtype} {level}: {x} is not {w}"
                            );
                        }
                    }
                }
            }
        }
    }
}
