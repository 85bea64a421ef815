//! The panels of the route `bf16-dot`: float weights rounded once to pairs of bfloat16, half the memory of floats.

use super::{bad, decode};
use crate::memory::{Buffer, Output};
use crate::pool::Pool;
use crate::simd::Bf16;
use mynah_device::{DeviceError, WeightBytes};
use std::sync::atomic::{AtomicBool, Ordering};

/// Brings a weight of `[n, k]` floats into `[panel][k / 2 rounded up][lane]` pairs, `width` lanes to a panel.
///
/// # Errors
/// [`DeviceError::OutOfMemory`], and [`DeviceError::Weight`] for rows that can't be read.
pub(super) fn pair_panels(
    weight: &WeightBytes<'_>,
    [n, k, width]: [usize; 3],
    bf16: Option<Bf16>,
    pool: &Pool,
) -> Result<Buffer, DeviceError> {
    let per_panel = k.div_ceil(2).checked_mul(width).filter(|&size| size > 0);
    let (Some(per_panel), Some(bf16)) = (per_panel, bf16) else { return Buffer::zeroed(0, weight.name) };
    let panels = n.div_ceil(width);
    let bytes = panels.checked_mul(per_panel).and_then(|count| count.checked_mul(4));
    let mut buffer = Buffer::zeroed(bytes.unwrap_or(usize::MAX), weight.name)?;
    // SAFETY: the buffer holds this many elements, of which any bits are a value.
    let out = unsafe { Output::<f32>::new(buffer.ptr_mut().cast(), panels * per_panel) };
    let row_bytes = weight.bytes.len() / n.max(1);
    let failed = AtomicBool::new(false);
    let done = pool.run_chunks(panels, 1, &|range| {
        let mut rows = vec![0.0; width * k];
        for panel in range {
            let count = width.min(n - panel * width);
            let first = panel * width * row_bytes;
            let bytes = &weight.bytes[first..first + count * row_bytes];
            if decode(weight, bytes, &mut rows[..count * k]).is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            // SAFETY: each panel is written by the one task that has it in its range.
            let out = unsafe { out.slice(panel * per_panel..(panel + 1) * per_panel) };
            bf16.pack_rows(rows[..count * k].chunks_exact(k), k, width, out);
        }
    });
    done.map_err(|panicked| bad(weight, panicked.to_string()))?;
    if failed.load(Ordering::Relaxed) {
        return Err(bad(weight, "a row can't be read"));
    }
    Ok(buffer)
}
