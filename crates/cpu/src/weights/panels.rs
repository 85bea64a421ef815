//! The `[N, K]` weights of matrix products, cut into panels of as many rows as a register tile is wide.
//!
//! Floats are interleaved (`[panel][k][lane]`), so that a tile reads them front to back. Sixteen-bit floats stay
//! sixteen bits wide, the common block formats become interleaved integers ([`LevelPanels`]) and the rest stays as it
//! is in the file; [`Panels::chunk`] decodes a stretch of [`K_BLOCK`] terms at a time into a buffer that stays in the
//! cache while many rows of `x` use it. Decoded values are those of the file, exactly; only a session that takes the
//! route `bf16-dot` has its floats rounded to pairs of bfloat16 instead ([`pair_panels`]).

use super::LevelFormat;
use super::bf16::pair_panels;
use super::levels::LevelPanels;
use super::{bad, checked_row_bytes, decode};
use crate::memory::{Buffer, Output};
use crate::pool::Pool;
use crate::simd::tile::{self, TileShape};
use crate::simd::{Bf16, Isa, Simd, dispatch};
use mynah_device::{DeviceError, WeightBytes};
use mynah_tensor::{DType, decode_row};
use std::sync::atomic::{AtomicBool, Ordering};

/// Terms summed in one go before they join the total: sums of sums keep rounding errors small, and the block is a
/// whole number of every format's blocks. All float products use the same blocks, so that they agree bit for bit.
pub(crate) const K_BLOCK: usize = 256;

/// A weight cut into panels.
#[derive(Debug)]
pub(crate) struct Panels {
    /// Rows of the weight: columns of the product.
    pub(crate) n: usize,
    /// Terms of each sum.
    pub(crate) k: usize,
    /// Rows of a panel.
    pub(crate) width: usize,
    data: Data,
}

#[derive(Debug)]
enum Data {
    /// `[panel][k][lane]` floats.
    F32(Buffer),
    /// `[panel][k][lane]` half-precision floats.
    F16(Buffer),
    /// `[panel][k][lane]` bfloat16.
    Bf16(Buffer),
    /// `[panel][k / 2 rounded up][lane]` pairs of bfloat16.
    Pairs(Buffer),
    /// Levels of a block format, interleaved.
    Levels(LevelPanels),
    /// Rows of blocks as in the file.
    Blocks { dtype: DType, rows: Buffer, row_bytes: usize },
}

impl Panels {
    /// Brings a weight into panels, in parallel; floats into pairs of bfloat16 when products are to use those.
    pub(crate) fn prepare(
        weight: &WeightBytes<'_>,
        isa: Isa,
        bf16: Option<Bf16>,
        pool: &Pool,
    ) -> Result<Self, DeviceError> {
        let row_bytes = checked_row_bytes(weight)?;
        let [n, k] = *weight.shape.dims() else {
            return Err(bad(weight, format!("the weight of a product is [N, K], not {}", weight.shape)));
        };
        let width = TileShape::of(isa).panel;
        let data = match weight.dtype {
            DType::F32 | DType::F16 | DType::BF16 if bf16.is_some() => {
                Data::Pairs(pair_panels(weight, [n, k, width], bf16, pool)?)
            }
            DType::F16 => Data::F16(interleave::<u16>(weight, n, k, width, pool, copy_row)?),
            DType::BF16 => Data::Bf16(interleave::<u16>(weight, n, k, width, pool, copy_row)?),
            dtype if LevelFormat::of(dtype).is_some() => {
                Data::Levels(LevelPanels::prepare(weight, n, k, width, pool)?)
            }
            dtype if dtype.is_quantized() => {
                let mut rows = Buffer::zeroed(weight.bytes.len(), weight.name)?;
                rows.as_bytes_mut()[..weight.bytes.len()].copy_from_slice(weight.bytes);
                Data::Blocks { dtype, rows, row_bytes }
            }
            dtype => {
                let read = |bytes: &[u8], out: &mut [f32]| decode_row(dtype, bytes, out).is_ok();
                Data::F32(interleave::<f32>(weight, n, k, width, pool, read)?)
            }
        };
        Ok(Self { n, k, width, data })
    }

    /// Number of panels.
    pub(crate) fn count(&self) -> usize {
        self.n.div_ceil(self.width)
    }

    /// The levels, for products of integers.
    pub(crate) fn levels(&self) -> Option<&LevelPanels> {
        match &self.data {
            Data::Levels(levels) => Some(levels),
            _ => None,
        }
    }

    /// How the weights are kept, for kernel names.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Levels(levels) => levels.dtype.name(),
            Data::F32(_) => "f32",
            Data::F16(_) => "f16",
            Data::Bf16(_) => "bf16",
            Data::Pairs(_) => "bf16-pairs",
            Data::Blocks { dtype, .. } => dtype.name(),
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        match &self.data {
            Data::Levels(levels) => levels.bytes(),
            Data::F32(b) | Data::F16(b) | Data::Bf16(b) | Data::Pairs(b) | Data::Blocks { rows: b, .. } => {
                b.bytes()
            }
        }
    }

    /// Floats of scratch that [`Panels::chunk`] needs.
    pub(crate) fn scratch(&self) -> usize {
        match &self.data {
            Data::F32(_) => 0,
            Data::F16(_) | Data::Bf16(_) | Data::Pairs(_) | Data::Levels(_) => K_BLOCK * self.width,
            Data::Blocks { .. } => K_BLOCK * self.width + K_BLOCK,
        }
    }

    /// Whether the weights are pairs of bfloat16.
    pub(crate) fn paired(&self) -> bool {
        matches!(self.data, Data::Pairs(_))
    }

    /// The pairs from term `k0` on, an even one, as `[pair][lane]`; the terms may end in half a pair.
    pub(crate) fn pairs(&self, panel: usize, k0: usize, terms: usize) -> &[f32] {
        let Data::Pairs(data) = &self.data else { return &[] };
        let first = (panel * self.k.div_ceil(2) + k0 / 2) * self.width;
        &data.as_f32()[first..first + terms.div_ceil(2) * self.width]
    }

    /// The bytes behind terms `k0 .. k0 + terms` of a panel, to be fetched early; none for panels and terms that
    /// don't exist and for weights that aren't stored as floats.
    pub(crate) fn stretch(&self, panel: usize, k0: usize, terms: usize) -> &[u8] {
        let (buffer, k, size) = match &self.data {
            Data::F32(buffer) => (buffer, self.k, 4),
            Data::F16(buffer) | Data::Bf16(buffer) => (buffer, self.k, 2),
            Data::Pairs(buffer) => (buffer, self.k.next_multiple_of(2), 2),
            Data::Levels(_) | Data::Blocks { .. } => return &[],
        };
        let (first, len) = ((panel * k + k0) * self.width * size, terms * self.width * size);
        buffer.as_bytes().get(first..first + len).unwrap_or(&[])
    }

    /// Terms `k0 .. k0 + terms` of a panel as `[terms][lane]` as they are stored, where that is in sixteen bits, and
    /// the name a tile has for the type.
    pub(crate) fn halves(&self, panel: usize, k0: usize, terms: usize) -> Option<(u8, &[u16])> {
        let (stored, data) = match &self.data {
            Data::F16(data) => (tile::F16, data),
            Data::Bf16(data) => (tile::BF16, data),
            _ => return None,
        };
        let (first, len) = ((panel * self.k + k0) * self.width, terms * self.width);
        Some((stored, bytemuck::cast_slice(&data.as_bytes()[2 * first..2 * (first + len)])))
    }

    /// Terms `k0 .. k0 + terms` of a panel as `[terms][lane]` floats, in place or in `scratch`. Lanes beyond the
    /// last row are zero.
    ///
    /// `k0` is a multiple of [`K_BLOCK`], `terms` at most that and within the row.
    pub(crate) fn chunk<'a>(
        &'a self,
        isa: Isa,
        panel: usize,
        k0: usize,
        terms: usize,
        scratch: &'a mut [f32],
    ) -> &'a [f32] {
        debug_assert!(k0 + terms <= self.k && panel < self.count());
        let (first, len) = ((panel * self.k + k0) * self.width, terms * self.width);
        match &self.data {
            Data::F32(data) => &data.as_f32()[first..first + len],
            Data::F16(_) | Data::Bf16(_) => {
                let (stored, halves) = self.halves(panel, k0, terms).unwrap_or((tile::F16, &[]));
                // SAFETY: the panel's width is the instruction set's, which the device checked.
                unsafe {
                    match stored {
                        tile::BF16 => widen_bf16(isa, halves, &mut scratch[..len]),
                        _ => widen_f16(isa, halves, &mut scratch[..len]),
                    }
                }
                &scratch[..len]
            }
            Data::Pairs(_) => {
                Bf16::unpack(self.pairs(panel, k0, terms), self.width, &mut scratch[..len]);
                &scratch[..len]
            }
            Data::Levels(levels) => {
                levels.decode(isa, panel, k0, &mut scratch[..len]);
                &scratch[..len]
            }
            Data::Blocks { dtype, rows, row_bytes } => {
                let (out, row) = scratch.split_at_mut(K_BLOCK * self.width);
                let before = k0 / dtype.block_len() * dtype.block_bytes();
                let bytes = terms / dtype.block_len() * dtype.block_bytes();
                for lane in 0..self.width {
                    let values = &mut row[..terms];
                    let n = panel * self.width + lane;
                    let stored = (n < self.n).then(|| &rows.as_bytes()[n * row_bytes + before..][..bytes]);
                    // Sizes were checked when the weight was prepared; a row that isn't there reads as zeros.
                    if stored.is_none_or(|bytes| decode_row(*dtype, bytes, values).is_err()) {
                        values.fill(0.0);
                    }
                    for (&value, out) in values.iter().zip(out.chunks_exact_mut(self.width)) {
                        out[lane] = value;
                    }
                }
                &out[..len]
            }
        }
    }
}

dispatch! {
    /// Half precision to floats, a whole number of panels' lanes.
    fn widen_f16(halves: &[u16], out: &mut [f32]) = widen_f16_body;
    /// Bfloat16 to floats, a whole number of panels' lanes.
    fn widen_bf16(halves: &[u16], out: &mut [f32]) = widen_bf16_body;
}

#[inline(always)]
unsafe fn widen_f16_body<S: Simd>(s: S, halves: &[u16], out: &mut [f32]) {
    let (n, halves, out) = (halves.len().min(out.len()), halves.as_ptr(), out.as_mut_ptr());
    let mut i = 0;
    while i + S::LANES <= n {
        // SAFETY: both slices hold n elements.
        unsafe { s.store(out.add(i), s.load_f16(halves.add(i))) };
        i += S::LANES;
    }
}

#[inline(always)]
unsafe fn widen_bf16_body<S: Simd>(s: S, halves: &[u16], out: &mut [f32]) {
    let (n, halves, out) = (halves.len().min(out.len()), halves.as_ptr(), out.as_mut_ptr());
    let mut i = 0;
    while i + S::LANES <= n {
        // SAFETY: both slices hold n elements.
        unsafe { s.store(out.add(i), s.load_bf16(halves.add(i))) };
        i += S::LANES;
    }
}

/// Copies a row of plain elements from the file's bytes, which need not be aligned.
fn copy_row(bytes: &[u8], out: &mut [u16]) -> bool {
    bytemuck::cast_slice_mut::<u16, u8>(out).copy_from_slice(bytes);
    true
}

/// Reads rows with `read` and interleaves them panel by panel.
fn interleave<T: bytemuck::Pod + Send>(
    weight: &WeightBytes<'_>,
    n: usize,
    k: usize,
    width: usize,
    pool: &Pool,
    read: impl Fn(&[u8], &mut [T]) -> bool + Sync,
) -> Result<Buffer, DeviceError> {
    let per_panel = k.checked_mul(width).filter(|&size| size > 0);
    let Some(per_panel) = per_panel else { return Buffer::zeroed(0, weight.name) };
    let panels = n.div_ceil(width);
    let bytes = panels.checked_mul(per_panel).and_then(|count| count.checked_mul(size_of::<T>()));
    let mut buffer = Buffer::zeroed(bytes.unwrap_or(usize::MAX), weight.name)?;
    // SAFETY: the buffer holds this many elements, of which any bits are a value.
    let out = unsafe { Output::<T>::new(buffer.ptr_mut().cast(), panels * per_panel) };
    let row_bytes = weight.bytes.len() / n.max(1);
    let failed = AtomicBool::new(false);
    let done = pool.run_chunks(panels, 1, &|range| {
        // Rows a power of two apart would fight for the same places of the first-level cache.
        let stride = k + 64 / size_of::<T>();
        let mut rows = vec![T::zeroed(); width * stride];
        for panel in range {
            let count = width.min(n - panel * width);
            for (lane, row) in rows.chunks_exact_mut(stride).enumerate().take(count) {
                let first = (panel * width + lane) * row_bytes;
                if !read(&weight.bytes[first..first + row_bytes], &mut row[..k]) {
                    failed.store(true, Ordering::Relaxed);
                }
            }
            // SAFETY: each panel is written by the one task that has it in its range.
            let out = unsafe { out.slice(panel * per_panel..(panel + 1) * per_panel) };
            for (term, out) in out.chunks_exact_mut(width).enumerate() {
                for (lane, out) in out[..count].iter_mut().enumerate() {
                    *out = rows[lane * stride + term];
                }
            }
        }
    });
    done.map_err(|panicked| bad(weight, panicked.to_string()))?;
    if failed.load(Ordering::Relaxed) {
        return Err(decode(weight, weight.bytes, &mut []).err().unwrap_or_else(|| bad(weight, "unreadable")));
    }
    Ok(buffer)
}
