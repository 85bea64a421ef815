//! How fast all threads together read memory.

use super::best_rate;
use crate::host::available_memory;
use crate::memory::Buffer;
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

/// Bytes a second that `threads` threads read from memory.
///
/// # Errors
/// [`DeviceError::OutOfMemory`].
pub(super) fn bandwidth(threads: usize) -> Result<f64, DeviceError> {
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
    let (bytes, next) = (buffer.as_bytes(), AtomicUsize::new(0));
    Ok(best_rate(threads, &|| {
        let (begin, mut read) = (Instant::now(), 0);
        loop {
            let first = next.fetch_add(1, Ordering::Relaxed) % stretches * STRETCH;
            std::hint::black_box(sum(&bytes[first..first + STRETCH]));
            read += STRETCH;
            let elapsed = begin.elapsed();
            if elapsed >= super::SLICE {
                return read as f64 / elapsed.as_secs_f64();
            }
        }
    }))
}

/// Touches every word, in four streams: a processor fetches ahead in each of them.
fn sum(bytes: &[u8]) -> u64 {
    let words: &[u64] = bytemuck::cast_slice(bytes);
    let quarter = words.len() / 4;
    let (a, rest) = words.split_at(quarter);
    let (b, rest) = rest.split_at(quarter);
    let (c, d) = rest.split_at(quarter);
    let mut sums = [0u64; 8];
    for (((a, b), c), d) in
        a.chunks_exact(8).zip(b.chunks_exact(8)).zip(c.chunks_exact(8)).zip(d.chunks_exact(8))
    {
        for i in 0..8 {
            sums[i] ^= a[i] ^ b[i] ^ c[i] ^ d[i];
        }
    }
    sums.iter().fold(0, |all, sum| all ^ sum)
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
    fn every_word_is_read() {
        let mut bytes = vec![0u64; 1024];
        for i in 0..bytes.len() {
            bytes[i] = 1 << (i % 64);
            assert_eq!(sum(bytemuck::cast_slice(&bytes)), 1 << (i % 64));
            bytes[i] = 0;
        }
    }
}
