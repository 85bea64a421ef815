//! Zeroed memory aligned for vectors and, where it is large, for huge pages.

use super::pages::{self, HUGE};
use crate::host::available_memory;
use mynah_device::DeviceError;
use std::alloc::Layout;
use std::ptr::NonNull;

/// A cache line, and the widest vector.
const LINE: usize = 64;

/// Owned bytes.
#[derive(Debug)]
pub(crate) struct Buffer {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a buffer owns its bytes; shared access is governed by the borrow of the accessors.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `bytes` zeroes for `what`.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`] when the allocator refuses, or when the system says it hasn't that much: an
    /// overcommitting kernel would kill the process later instead.
    pub(crate) fn zeroed(bytes: usize, what: &str) -> Result<Self, DeviceError> {
        let refused =
            || DeviceError::OutOfMemory { device: "cpu".to_owned(), what: what.to_owned(), wanted: bytes };
        let align = if bytes >= HUGE { HUGE } else { LINE };
        let layout = Layout::from_size_align(bytes.max(1), align).map_err(|_| refused())?;
        // Asking costs a system call's time, so only for sizes that could matter.
        if bytes >= 64 << 20 && available_memory().is_some_and(|left| bytes as u64 > left) {
            return Err(refused());
        }
        let start = pages::zeroed(layout).ok_or_else(refused)?;
        Ok(Self { start, layout })
    }

    /// Zeroes for `count` elements of four bytes.
    ///
    /// # Errors
    /// As [`Buffer::zeroed`].
    pub(crate) fn zeroed_f32(count: usize, what: &str) -> Result<Self, DeviceError> {
        Self::zeroed(count.saturating_mul(4), what)
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.layout.size()
    }

    /// The first byte, to read.
    pub(crate) fn ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// The first byte, to write.
    pub(crate) fn ptr_mut(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        // SAFETY: the buffer owns this many initialised bytes.
        unsafe { std::slice::from_raw_parts(self.ptr(), self.bytes()) }
    }

    /// The bytes, to write.
    pub(crate) fn as_bytes_mut(&mut self) -> &mut [u8] {
        let bytes = self.bytes();
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.ptr_mut(), bytes) }
    }

    /// The bytes as floats; a remainder of less than four bytes is left out.
    pub(crate) fn as_f32(&self) -> &[f32] {
        // SAFETY: the buffer is aligned to a cache line and any bits are a float.
        unsafe { std::slice::from_raw_parts(self.ptr().cast(), self.bytes() / 4) }
    }

    /// The floats, to write.
    pub(crate) fn as_f32_mut(&mut self) -> &mut [f32] {
        let count = self.bytes() / 4;
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.ptr_mut().cast(), count) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: made by `pages::zeroed` with this layout and not freed before.
        unsafe { pages::free(self.start, self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_zeroed_and_aligned() {
        for bytes in [0, 4, 100, 3 << 20] {
            let mut buffer = Buffer::zeroed(bytes, "test").unwrap();
            assert!(buffer.as_bytes().iter().all(|&b| b == 0));
            assert_eq!(buffer.ptr() as usize % LINE, 0);
            buffer.as_bytes_mut().fill(1);
            assert_eq!(buffer.as_f32().len(), bytes.max(1) / 4);
        }
    }

    #[test]
    fn absurd_sizes_are_errors_with_numbers() {
        for bytes in [usize::MAX, isize::MAX as usize - 4096, 1 << 50] {
            let error = Buffer::zeroed(bytes, "a test").unwrap_err();
            assert!(matches!(error, DeviceError::OutOfMemory { wanted, .. } if wanted == bytes), "{error}");
        }
        assert!(Buffer::zeroed_f32(usize::MAX / 2, "a test").is_err());
    }
}
