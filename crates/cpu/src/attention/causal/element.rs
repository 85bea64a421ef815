//! Elements of a cache: floats, or halves that become floats as they are read.

use crate::simd::Simd;
use half::f16;
use mynah_graph::round_to_halves;

/// An element as the cache stores it.
pub(super) trait Element: Copy + Send + Sync + 'static {
    /// Reads [`Simd::LANES`] elements.
    ///
    /// # Safety
    /// They must be there.
    unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::F;

    /// Reads the first `n < LANES` elements, the other lanes are zero.
    ///
    /// # Safety
    /// They must be there.
    unsafe fn load_some<S: Simd>(s: S, p: *const Self, n: usize) -> S::F;

    /// Writes floats, rounded.
    fn store(from: &[f32], to: &mut [Self]);
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::F {
        // SAFETY: passed on to the caller.
        unsafe { s.load(p) }
    }

    #[inline(always)]
    unsafe fn load_some<S: Simd>(s: S, p: *const Self, n: usize) -> S::F {
        // SAFETY: passed on to the caller.
        unsafe { s.load_some(p, n) }
    }

    fn store(from: &[f32], to: &mut [Self]) {
        to.copy_from_slice(from);
    }
}

impl Element for f16 {
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::F {
        // SAFETY: passed on to the caller.
        unsafe { s.load_f16(p.cast()) }
    }

    #[inline(always)]
    unsafe fn load_some<S: Simd>(s: S, p: *const Self, n: usize) -> S::F {
        let mut some = [0u16; 16];
        let mut i = 0;
        // SAFETY: passed on to the caller; no set has more than sixteen lanes.
        unsafe {
            while i < n {
                some[i] = *p.add(i).cast();
                i += 1;
            }
            s.load_f16(some.as_ptr())
        }
    }

    fn store(from: &[f32], to: &mut [Self]) {
        round_to_halves(from, to);
    }
}

/// Asks for the cache lines of `count` elements from `start` on, which are about to be read.
#[inline(always)]
pub(super) fn prefetch<E: Element>(start: *const E, count: usize) {
    const LINE: usize = 64;
    let mut at = 0;
    while at < count * size_of::<E>() {
        let line = start.cast::<u8>().wrapping_add(at);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: prefetching is part of the baseline and reads nothing the program can see.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.cast());
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        unsafe {
            std::arch::asm!("prfm pldl1keep, [{}]", in(reg) line, options(nostack, preserves_flags, readonly));
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let _ = line;
        at += LINE;
    }
}
