//! A range of a mapped file that can be cloned and cut: archives inside archives stay on disk until a tensor is read.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

/// Read-only bytes of a file or a buffer. Clones and slices share the backing.
#[derive(Clone)]
pub(crate) struct Bytes {
    backing: Arc<Backing>,
    range: Range<usize>,
}

enum Backing {
    Map(Mmap),
    Memory(Vec<u8>),
}

impl Bytes {
    /// Maps a file.
    ///
    /// # Errors
    /// Those of opening and mapping.
    pub(crate) fn open(path: &Path) -> io::Result<Bytes> {
        Bytes::map(&File::open(path)?)
    }

    /// Maps an open file, which may be unlinked already.
    ///
    /// # Errors
    /// Those of mapping.
    pub(crate) fn map(file: &File) -> io::Result<Bytes> {
        // SAFETY: the map is read-only. Should another process truncate the file meanwhile, access faults: every
        // mapped reader has that limit, and reading 2 GB into memory instead is what mapping is here to avoid.
        let map = unsafe { Mmap::map(file)? };
        let range = 0..map.len();
        Ok(Bytes { backing: Arc::new(Backing::Map(map)), range })
    }

    /// A part of these bytes, `None` when it reaches beyond them.
    pub(crate) fn slice(&self, range: Range<usize>) -> Option<Bytes> {
        if range.start > range.end || range.end > self.range.len() {
            return None;
        }
        let range = self.range.start + range.start..self.range.start + range.end;
        Some(Bytes { backing: Arc::clone(&self.backing), range })
    }

    /// Tells the system that these pages will not be read again soon, so that converting a big checkpoint does not
    /// count it whole as resident memory. Reading them again works and comes from the file.
    pub(crate) fn release(&self) {
        #[cfg(unix)]
        if let Backing::Map(map) = &*self.backing {
            // SAFETY: the map is read-only and file-backed, so dropped pages are read again from the file unchanged.
            let _ = unsafe {
                map.unchecked_advise_range(
                    memmap2::UncheckedAdvice::DontNeed,
                    self.range.start,
                    self.range.len(),
                )
            };
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &*self.backing {
            Backing::Map(map) => map,
            Backing::Memory(bytes) => bytes,
        };
        all.get(self.range.clone()).unwrap_or_default()
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        let range = 0..bytes.len();
        Bytes { backing: Arc::new(Backing::Memory(bytes)), range }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {}", self.range.len(), self.range.start)
    }
}
