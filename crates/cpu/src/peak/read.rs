//! How fast all threads together read memory.

use super::best_rate;
use crate::host::available_memory;
use crate::memory::Buffer;
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Read at least; more where the last cache is large.
const LEAST: usize = 256 << 20;
/// Times the last cache: what is left of it from the pass before is then a small part.
const CACHES: usize = 4;
/// Read between two looks at the clock.
const STRETCH: usize = 8 << 20;

/// Bytes a second that `threads` threads read from memory with loads of an instruction set that the machine has.
///
/// # Errors
/// [`DeviceError::OutOfMemory`].
pub(super) fn bandwidth(threads: usize, isa: Isa) -> Result<f64, DeviceError> {
    let most = available_memory().map_or(LEAST, |left| usize::try_from(left / 2).unwrap_or(LEAST));
    let wanted = last_cache().unwrap_or(0).saturating_mul(CACHES).max(LEAST).min(most);
    // Whole stretches, and one for each thread at least.
    let stretches = (wanted / STRETCH).max(threads);
    let mut buffer = Buffer::zeroed(stretches * STRETCH, "measuring how fast memory is read")?;
    // Untouched zeroes would all be one page.
    let fill = |part: &mut [u8]| part.fill(0x5a);
    let share = stretches.div_ceil(threads) * STRETCH;
    std::thread::scope(|scope| {
        buffer.as_bytes_mut().chunks_mut(share).for_each(|part| drop(scope.spawn(move || fill(part))));
    });
    // Threads take the stretches in turn, so that each is read again only after all others were.
    let (floats, next) = (buffer.as_f32(), AtomicUsize::new(0));
    Ok(best_rate(threads, &|| {
        let (begin, mut read) = (Instant::now(), 0);
        loop {
            let first = next.fetch_add(1, Ordering::Relaxed) % stretches * STRETCH;
            // SAFETY: the device checked the instruction set.
            std::hint::black_box(unsafe { sum(isa, &floats[first / 4..(first + STRETCH) / 4]) });
            read += STRETCH;
            let elapsed = begin.elapsed();
            if elapsed >= super::SLICE {
                return read as f64 / elapsed.as_secs_f64();
            }
        }
    }))
}

dispatch! {
    /// The sum of all elements but a remainder: a reason to read them that costs no more than reading.
    fn sum(floats: &[f32]) -> f32 = sum_body;
}

/// In two streams of the widest loads: a processor fetches ahead in each, and narrow loads alone can't keep up with it.
#[inline(always)]
unsafe fn sum_body<S: Simd>(s: S, floats: &[f32]) -> f32 {
    /// Vectors of a stream between two tests for its end.
    const STEP: usize = 4;
    let half = floats.len() / 2;
    let (first, second) = (floats.as_ptr(), floats[half..].as_ptr());
    let mut sums = [s.zero(); 2 * STEP];
    let mut at = 0;
    while at + STEP * S::LANES <= half {
        let mut vector = 0;
        while vector < STEP {
            let from = at + vector * S::LANES;
            // SAFETY: both halves hold the elements up to `at + STEP * LANES`.
            unsafe {
                sums[vector] = s.add(sums[vector], s.load(first.add(from)));
                sums[STEP + vector] = s.add(sums[STEP + vector], s.load(second.add(from)));
            }
            vector += 1;
        }
        at += STEP * S::LANES;
    }
    let mut all = sums[0];
    let mut vector = 1;
    while vector < sums.len() {
        all = s.add(all, sums[vector]);
        vector += 1;
    }
    s.sum(all)
}

/// Bytes of the largest cache, where the kernel's tables say.
fn last_cache() -> Option<usize> {
    let sizes = (0..8).filter_map(|index| {
        let text =
            fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size")).ok()?;
        parse_size(text.trim())
    });
    sizes.max()
}

/// `32768K`, `96M` or plain bytes.
fn parse_size(text: &str) -> Option<usize> {
    let (digits, unit) = match text.strip_suffix('K') {
        Some(digits) => (digits, 1 << 10),
        None => text.strip_suffix('M').map_or((text, 1), |digits| (digits, 1 << 20)),
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_caches_are_read() {
        assert_eq!(parse_size("32768K"), Some(32 << 20));
        assert_eq!(parse_size("96M"), Some(96 << 20));
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("much"), None);
    }

    #[test]
    fn every_element_is_read() {
        let mut floats = vec![0.0f32; 1024];
        for simd in crate::SimdLevel::available() {
            for i in 0..floats.len() {
                floats[i] = 1.0 + i as f32;
                // SAFETY: the machine has the level.
                assert_eq!(unsafe { sum(simd.isa(), &floats) }, 1.0 + i as f32, "{simd}");
                floats[i] = 0.0;
            }
        }
    }
}
