//! Block formats whose values are evenly spaced levels, re-expressed as interleaved integers: the layout of integer dot
//! products, and just as quick to decode to floats. Nothing is lost: `scale · (level − zero) − min` gives the bits of the
//! file's own formula. The layout is described in `format`.

mod decode;
mod format;

pub(crate) use format::Record;

use super::bad;
use crate::memory::{Buffer, Output};
use crate::pool::Pool;
use crate::simd::Isa;
use mynah_device::{DeviceError, WeightBytes};
use mynah_tensor::{DType, LevelFormat, RowLevels};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Interleaved levels of a weight.
#[derive(Debug)]
pub(crate) struct LevelPanels {
    pub(crate) dtype: DType,
    pub(crate) format: LevelFormat,
    record: Record,
    data: Buffer,
    /// Records of a panel.
    records: usize,
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
        let (record, records, panels) = (Record::of(format, width), k / format.block(), n.div_ceil(width));
        let bytes = panels.checked_mul(records).and_then(|count| count.checked_mul(record.bytes));
        let mut data = Buffer::zeroed(bytes.unwrap_or(usize::MAX), weight.name)?;
        let per_panel = records * record.bytes;
        // SAFETY: the buffer holds this many bytes.
        let out = unsafe { Output::<u8>::new(data.ptr_mut(), panels * per_panel) };
        let (row_bytes, failed) = (weight.bytes.len() / n.max(1), AtomicBool::new(false));
        let done = pool.run_chunks(panels, 1, &|range| {
            let mut row = RowLevels::default();
            for panel in range {
                // SAFETY: each panel is written by the one task that has it in its range.
                let out = unsafe { out.slice(panel * per_panel..(panel + 1) * per_panel) };
                for lane in 0..width.min(n - panel * width) {
                    let at = (panel * width + lane) * row_bytes;
                    if !row.read(dtype, &weight.bytes[at..at + row_bytes]) {
                        failed.store(true, Ordering::Relaxed);
                        return;
                    }
                    for (index, out) in out.chunks_exact_mut(record.bytes).enumerate() {
                        place(format, record, &row, index, lane, width, out);
                    }
                }
            }
        });
        done.map_err(|panicked| bad(weight, panicked.to_string()))?;
        if failed.load(Ordering::Relaxed) {
            return Err(bad(weight, "its rows are no whole blocks"));
        }
        Ok(Self { dtype, format, record, data, records, width })
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.data.bytes()
    }

    /// The records of a panel that hold these terms; both ends are multiples of the block.
    pub(crate) fn records(&self, panel: usize, terms: Range<usize>) -> &[u8] {
        let block = self.format.block();
        debug_assert!(terms.start.is_multiple_of(block) && terms.end.is_multiple_of(block));
        let at = |term: usize| (panel * self.records + term / block) * self.record.bytes;
        &self.data.as_bytes()[at(terms.start)..at(terms.end)]
    }

    /// Bytes of records that hold this many terms, a byte for each level.
    pub(crate) fn unpacked_bytes(&self, terms: usize) -> usize {
        terms / self.format.block() * Record::of(self.format.unpacked(), self.width).bytes
    }

    /// The records of a panel that hold these terms, a byte for each level, unpacked into `out` where they have fewer.
    pub(crate) fn unpacked<'a>(
        &'a self,
        isa: Isa,
        panel: usize,
        terms: Range<usize>,
        out: &'a mut [u8],
    ) -> &'a [u8] {
        let records = self.records(panel, terms.clone());
        if self.format.bits == 8 {
            return records;
        }
        let out = &mut out[..self.unpacked_bytes(terms.len())];
        // SAFETY: the width is the instruction set's, which the device checked.
        unsafe { decode::unpack_records(isa, self.format, records, out) };
        out
    }

    /// Decodes terms from `k0` on, as many as `out` has rows of lanes.
    pub(super) fn decode(&self, isa: Isa, panel: usize, k0: usize, out: &mut [f32]) {
        let records = self.records(panel, k0..k0 + out.len() / self.width);
        // SAFETY: the width is the instruction set's, which the device checked.
        unsafe { decode::decode(isa, self.format, records, out) };
    }
}

/// Writes one block of a row into its lane of a record.
fn place(
    format: LevelFormat,
    record: Record,
    row: &RowLevels,
    index: usize,
    lane: usize,
    width: usize,
    out: &mut [u8],
) {
    out[2 * lane..][..2].copy_from_slice(&row.d[index]);
    if format.mins {
        out[record.dmin + 2 * lane..][..2].copy_from_slice(&row.dmin[index]);
    }
    let groups = index * format.groups..(index + 1) * format.groups;
    if format.has_subscales() {
        let lanes = out[record.sub..].iter_mut().skip(lane).step_by(width);
        lanes.zip(&row.sub[groups.clone()]).for_each(|(out, &sub)| *out = sub as u8);
        if format.mins {
            let lanes = out[record.submin..].iter_mut().skip(lane).step_by(width);
            lanes.zip(&row.submin[groups]).for_each(|(out, &sub)| *out = sub as u8);
        }
    }
    let levels = row.levels[index * format.block()..][..format.block()].chunks_exact(format.group);
    for (out, levels) in out[record.levels..].chunks_exact_mut(record.group).zip(levels) {
        let (low, high) = out.split_at_mut(record.low);
        let words = low.chunks_exact_mut(4).skip(lane).step_by(width);
        if format.bits == 8 {
            words.zip(levels.chunks_exact(4)).for_each(|(word, four)| word.copy_from_slice(four));
            continue;
        }
        for (word, eight) in words.zip(levels.chunks_exact(8)) {
            for (i, byte) in word.iter_mut().enumerate() {
                *byte = eight[i] & 15 | eight[i + 4] << 4;
            }
        }
        if let Some(word) = high.chunks_exact_mut(4).nth(lane) {
            for (quad, four) in levels.chunks_exact(4).enumerate() {
                let shift = (4 + quad * (format.bits - 4)) % 8;
                word.iter_mut().zip(four).for_each(|(byte, &level)| *byte |= (level >> 4) << shift);
            }
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
