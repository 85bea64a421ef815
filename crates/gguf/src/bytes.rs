//! Where the bytes of a file live.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

/// The bytes of a whole file: mapped, shared, or compiled into the program. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Bytes(Source);

#[derive(Debug, Clone)]
enum Source {
    Mapped(Arc<Mmap>),
    Shared(Arc<[u8]>),
    Static(&'static [u8]),
}

impl Bytes {
    /// Maps a file. An empty file gives empty bytes, because there is nothing to map.
    pub(crate) fn map(path: &Path) -> std::io::Result<Bytes> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        // SAFETY: the mapping is read-only and this program never writes to a model file in place (its own writer
        // renames a finished file over the old one, which leaves existing mappings alone). If another program
        // truncates or rewrites the file while it is mapped, the kernel ends the process or the bytes change; every
        // engine that maps weights accepts that, and copying gigabytes to rule it out is what mapping is there to avoid.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Bytes(Source::Mapped(Arc::new(map))))
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Source::Mapped(map) => map,
            Source::Shared(bytes) => bytes,
            Source::Static(bytes) => bytes,
        }
    }

    /// Tells the system that the pages of a range are not needed for now; see [`crate::GgufFile::release_pages`].
    #[cfg(unix)]
    pub(crate) fn release(&self, start: usize, len: usize) {
        use memmap2::UncheckedAdvice::DontNeed;
        let Source::Mapped(map) = &self.0 else { return };
        if len == 0 || start.checked_add(len).is_none_or(|end| end > map.len()) {
            return;
        }
        // SAFETY: "don't need" may lose writes to private anonymous pages; these are clean, read-only, file-backed
        // pages, which come back from the file with the same content on the next access, so no reference is
        // invalidated. The range was checked to lie inside the mapping.
        let advised = unsafe { map.unchecked_advise_range(DontNeed, start, len) };
        // A refusal leaves the pages where they are, which is only less thrifty.
        drop(advised);
    }

    /// Other systems reclaim clean pages on their own.
    #[cfg(not(unix))]
    pub(crate) fn release(&self, _start: usize, _len: usize) {}
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Bytes {
        Bytes(Source::Static(bytes))
    }
}

impl<const N: usize> From<&'static [u8; N]> for Bytes {
    fn from(bytes: &'static [u8; N]) -> Bytes {
        Bytes(Source::Static(bytes))
    }
}

impl From<Arc<[u8]>> for Bytes {
    fn from(bytes: Arc<[u8]>) -> Bytes {
        Bytes(Source::Shared(bytes))
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes(Source::Shared(bytes.into()))
    }
}
