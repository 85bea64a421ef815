//! Where a buffer's bytes come from: the allocator, or for large ones on Linux a mapping of huge pages.
//!
//! A weight matrix touches thousands of ordinary pages, each with its own entry in the processor's small table of
//! translations. Huge pages must be asked for before the first touch, and a fresh mapping is zero without being
//! touched, which no allocator promises together.

use std::alloc::Layout;
use std::ptr::NonNull;

/// The size of a huge page; layouts aligned to it come from here.
pub(super) const HUGE: usize = 2 << 20;

/// Zeroed memory, `None` when there isn't any. The layout's size is above zero.
pub(super) fn zeroed(layout: Layout) -> Option<NonNull<u8>> {
    #[cfg(target_os = "linux")]
    if layout.align() == HUGE {
        return map(layout);
    }
    // SAFETY: the layout has a size above zero.
    NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) })
}

/// Gives memory back.
///
/// # Safety
/// `start` must come from [`zeroed`] with the same layout, and nobody may use it any more.
pub(super) unsafe fn free(start: NonNull<u8>, layout: Layout) {
    #[cfg(target_os = "linux")]
    if layout.align() == HUGE {
        // SAFETY: `map` left exactly this range mapped. A refusal would only keep the memory.
        unsafe { libc::munmap(start.as_ptr().cast(), layout.size()) };
        return;
    }
    // SAFETY: passed on to the caller.
    unsafe { std::alloc::dealloc(start.as_ptr(), layout) };
}

/// Maps a range aligned to huge pages and asks for them.
#[cfg(target_os = "linux")]
fn map(layout: Layout) -> Option<NonNull<u8>> {
    let size = layout.size();
    let whole = size.checked_add(HUGE)?;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new anonymous mapping touches nobody's memory.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), whole, access, kind, -1, 0) };
    if base == libc::MAP_FAILED {
        return None;
    }
    let before = (base as usize).next_multiple_of(HUGE) - base as usize;
    // Mappings are cut at ordinary pages; what the size leaves of its last one stays mapped with it.
    let end = (before + size).next_multiple_of(page_size());
    // SAFETY: all ranges lie within the new mapping. Refusals cost memory or speed, not correctness.
    unsafe {
        let start = base.cast::<u8>().add(before);
        if before > 0 {
            libc::munmap(base, before);
        }
        if end < whole {
            libc::munmap(base.cast::<u8>().add(end).cast(), whole - end);
        }
        libc::madvise(start.cast(), size, libc::MADV_HUGEPAGE);
        NonNull::new(start)
    }
}

#[cfg(target_os = "linux")]
fn page_size() -> usize {
    // SAFETY: reads a constant of the system.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
