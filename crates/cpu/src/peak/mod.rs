//! What this machine can do at most: the ceilings that measured speeds are set against.
//!
//! Arithmetic is timed in loops that do nothing but multiply and add in registers (`arith`), reading in passes over far
//! more memory than any cache holds (`read`). All threads work at once, each slice begins together, and the best slice
//! counts: a ceiling is what the machine can do, not what it did while something else ran. The figures go to `mynah
//! bench`, which prints speeds as parts of them.

mod arith;
mod read;

use crate::device::CpuDevice;
use arith::Loop;
use mynah_device::DeviceError;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Slices timed for each ceiling, and how long one takes at least. Shorter than what a scheduler gives a thread at
/// once, so that some slices are undisturbed on a machine that isn't idle.
const SLICES: usize = 40;
const SLICE: Duration = Duration::from_millis(3);

/// Ceilings of the machine for the instruction set of a device, all its threads together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peaks {
    /// Threads that were measured together.
    pub threads: usize,
    /// Integer operations a second of dot products of bytes, a multiplication and an addition being two; `None` where
    /// the instruction set has no such product.
    pub int8: Option<f64>,
    /// Operations a second of dot products of bfloat16 pairs; `None` where the instruction set has none.
    pub bf16: Option<f64>,
    /// Operations a second of fused multiply-adds of 32-bit floats.
    pub f32: f64,
    /// Bytes a second read from memory.
    pub read: f64,
}

impl CpuDevice {
    /// Measures the ceilings with this device's instruction set and number of threads; takes about half a second.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`] when there is no room for what is read.
    pub fn peaks(&self) -> Result<Peaks, DeviceError> {
        let (threads, level) = (self.threads(), self.simd());
        let rate = |arith: Loop| best_rate(threads, &|| timed(|| arith.run()));
        Ok(Peaks {
            threads,
            int8: Loop::int8(level).map(rate),
            bf16: Loop::bf16(level).map(rate),
            f32: rate(Loop::f32(level)),
            read: read::bandwidth(threads, level.isa())?,
        })
    }
}

/// Runs `work`, which says how much it did, until the slice is over; how much it did in a second.
fn timed(mut work: impl FnMut() -> f64) -> f64 {
    let (begin, mut done) = (Instant::now(), 0.0);
    loop {
        done += work();
        let elapsed = begin.elapsed();
        if elapsed >= SLICE {
            return done / elapsed.as_secs_f64();
        }
    }
}

/// The largest sum over all threads that a slice came to, after one that isn't counted.
fn best_rate(threads: usize, slice: &(dyn Fn() -> f64 + Sync)) -> f64 {
    let sums = Mutex::new([0.0; SLICES + 1]);
    let together = Barrier::new(threads);
    let each = || {
        for index in 0..=SLICES {
            together.wait();
            let rate = slice();
            // Additions can't leave a sum half made.
            sums.lock().unwrap_or_else(PoisonError::into_inner)[index] += rate;
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(each)));
        each();
    });
    let sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    sums[1..].iter().copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CpuOptions, SimdLevel};

    #[test]
    fn every_level_has_ceilings_in_a_sane_order() {
        for simd in SimdLevel::available() {
            let device = CpuDevice::new(CpuOptions { threads: Some(1), simd: Some(simd) }).unwrap();
            let peaks = device.peaks().unwrap();
            assert_eq!(peaks.threads, 1);
            // No machine that runs this does less than these, none does more than a thousand times it.
            assert!((2e8..2e13).contains(&peaks.f32), "{simd}: {peaks:?}");
            assert!((2e8..2e12).contains(&peaks.read), "{simd}: {peaks:?}");
            // Narrower numbers are never slower; a tenth is what measuring on a busy machine may cost.
            let bf16 = peaks.bf16.unwrap_or(peaks.f32);
            assert!(bf16 >= 0.9 * peaks.f32, "{simd}: {peaks:?}");
            assert!(peaks.int8.unwrap_or(bf16) >= 0.9 * bf16, "{simd}: {peaks:?}");
            let has_dot = !matches!(simd, SimdLevel::Portable | SimdLevel::Neon { dotprod: false, .. });
            assert_eq!(peaks.int8.is_some(), has_dot, "{simd}");
            assert_eq!(peaks.bf16.is_some(), matches!(simd, SimdLevel::Avx512 { bf16: true, .. }), "{simd}");
        }
    }

    #[test]
    fn rates_of_threads_add_up() {
        let rate = best_rate(3, &|| 2.0);
        assert_eq!(rate, 6.0);
    }
}
