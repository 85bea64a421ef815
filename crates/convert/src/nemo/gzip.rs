//! Old `.nemo` archives are gzip-compressed tars. They are unpacked once into an anonymous temporary file, so that the
//! tensors inside can be mapped like those of a plain archive.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};

use flate2::read::MultiGzDecoder;

/// Weights hardly compress. Beyond this ratio, and past a megabyte or so of slack for small files, an archive is a
/// bomb meant to fill the disk.
const MAX_RATIO: u64 = 24;
const SLACK: u64 = 16 << 20;

/// What can go wrong while unpacking.
#[derive(Debug, thiserror::Error)]
pub enum GzipError {
    /// The file, the temporary file, or the compressed stream.
    #[error("unpacking the gzip archive: {0}")]
    Io(#[from] io::Error),
    /// More data than weights could be.
    #[error("gzip archive of {packed} bytes unpacks to more than {limit}; refused as a decompression bomb")]
    Bomb {
        /// Bytes of the archive.
        packed: u64,
        /// Where unpacking stopped.
        limit: u64,
    },
}

/// Whether these bytes begin like a gzip stream.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Unpacks a stream of `packed` bytes into a temporary file that vanishes when it is closed.
pub(super) fn unpack(packed: u64, stream: impl Read) -> Result<File, GzipError> {
    let limit = packed.saturating_mul(MAX_RATIO).saturating_add(SLACK);
    let mut file = tempfile::tempfile()?;
    let mut decoder = MultiGzDecoder::new(BufReader::with_capacity(1 << 18, stream)).take(limit + 1);
    let unpacked = io::copy(&mut decoder, &mut file)?;
    if unpacked > limit {
        return Err(GzipError::Bomb { packed, limit });
    }
    file.flush()?;
    file.rewind()?;
    Ok(file)
}
