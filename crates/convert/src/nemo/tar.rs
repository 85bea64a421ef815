//! The table of a tar archive: names and byte ranges. Nothing is unpacked, so a name can never become a path on this
//! machine; hostile names are refused all the same, because an archive that has them is no checkpoint.
//!
//! Reads ustar with GNU long names, GNU base-256 sizes and pax `path` and `size` records: what Python's `tarfile`
//! writes in any of its formats.

use std::ops::Range;

const BLOCK: usize = 512;
/// A `.nemo` has under ten members; thousands mean something else.
const MAX_ENTRIES: usize = 4096;
/// Longest long-name or pax record that is read.
const MAX_RECORD: usize = 64 * 1024;

/// What is wrong with a tar archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TarError {
    /// No header where one should be.
    #[error("no tar header at byte {offset}")]
    NoHeader {
        /// Where.
        offset: usize,
    },
    /// A header whose checksum is wrong.
    #[error("tar header at byte {offset} has a wrong checksum")]
    Checksum {
        /// Where.
        offset: usize,
    },
    /// A size field that is no number.
    #[error("tar header at byte {offset} has an unreadable size")]
    Size {
        /// Where.
        offset: usize,
    },
    /// A member that reaches beyond the end of the file.
    #[error("archive is cut short: {name:?} should have {expected} bytes, {found} are left")]
    Truncated {
        /// The member.
        name: String,
        /// Bytes it should have.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// A name that is absolute or climbs out of the archive.
    #[error("archive member {name:?} has an unsafe name")]
    UnsafeName {
        /// The name as stored.
        name: String,
    },
    /// A name that is not UTF-8.
    #[error("archive member at byte {offset} has a name that is not UTF-8")]
    NameEncoding {
        /// Where.
        offset: usize,
    },
    /// A sparse member, whose bytes are not stored as they are.
    #[error("archive member {name:?} is sparse, which is not read here")]
    Sparse {
        /// The member.
        name: String,
    },
    /// Two members of one name.
    #[error("archive has two members called {name:?}")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// An extension record longer than any honest one.
    #[error("tar extension record at byte {offset} has {bytes} bytes; at most {MAX_RECORD} are read")]
    LongRecord {
        /// Where.
        offset: usize,
        /// Its size.
        bytes: usize,
    },
    /// More members than a checkpoint has.
    #[error("archive has more than {MAX_ENTRIES} members")]
    TooMany,
}

/// A regular file in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its path with `./` removed.
    pub(super) name: String,
    /// Its bytes.
    pub(super) range: Range<usize>,
}

/// Whether these bytes begin like a tar archive with a valid first header.
pub(crate) fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(..BLOCK).is_some_and(|header| checksum_fits(header) && header.get(257..262) == Some(b"ustar"))
}

/// Lists the regular files of an archive.
///
/// # Errors
/// [`TarError`] for anything that is not a well-formed archive of safely named files.
pub(super) fn entries(archive: &[u8]) -> Result<Vec<Entry>, TarError> {
    let mut found: Vec<Entry> = Vec::new();
    let mut long = Overrides::default();
    let mut offset = 0;
    let mut headers = 0;
    while offset < archive.len() {
        let header = archive.get(offset..offset + BLOCK).ok_or(TarError::NoHeader { offset })?;
        if header.iter().all(|&b| b == 0) {
            break;
        }
        headers += 1;
        if headers > MAX_ENTRIES {
            return Err(TarError::TooMany);
        }
        if !checksum_fits(header) {
            return Err(TarError::Checksum { offset });
        }
        let kind = header[156];
        let stored = number(&header[124..136]).ok_or(TarError::Size { offset })?;
        let is_file = matches!(kind, b'0' | 0 | b'7');
        let size = if is_file { long.size.unwrap_or(stored) } else { stored };
        let name = match long.path.clone() {
            Some(path) if !matches!(kind, b'x' | b'g' | b'L' | b'K') => path,
            _ => header_name(header).ok_or(TarError::NameEncoding { offset })?,
        };
        let start = offset + BLOCK;
        let left = archive.len() - start.min(archive.len());
        if size > left {
            return Err(TarError::Truncated { name, expected: size, found: left });
        }
        let body = &archive[start..start + size];
        match kind {
            b'L' | b'x' if size > MAX_RECORD => return Err(TarError::LongRecord { offset, bytes: size }),
            b'L' => {
                long.path = Some(text(until_zero(body)).ok_or(TarError::NameEncoding { offset })?);
            }
            b'x' => long.read_pax(body).ok_or(TarError::NameEncoding { offset })?,
            b'g' | b'K' => {}
            b'S' => return Err(TarError::Sparse { name }),
            _ => {
                long = Overrides::default();
                let name = safe_name(&name)?;
                if is_file && !name.is_empty() {
                    if found.iter().any(|entry| entry.name == name) {
                        return Err(TarError::Duplicate { name });
                    }
                    found.push(Entry { name, range: start..start + size });
                }
            }
        }
        // The last member's padding may be missing from a truncated copy; its bytes are all there.
        offset = start.saturating_add(size.next_multiple_of(BLOCK));
    }
    Ok(found)
}

/// What extension headers say about the member that follows.
#[derive(Default)]
struct Overrides {
    path: Option<String>,
    size: Option<usize>,
}

impl Overrides {
    /// Records are `LENGTH KEY=VALUE\n`, the length counting itself.
    fn read_pax(&mut self, mut body: &[u8]) -> Option<()> {
        while !body.is_empty() && body[0] != 0 {
            let space = body.iter().position(|&b| b == b' ')?;
            let length: usize = std::str::from_utf8(&body[..space]).ok()?.parse().ok()?;
            let record = body.get(space + 1..length.checked_sub(1)?)?;
            let equals = record.iter().position(|&b| b == b'=')?;
            let value = &record[equals + 1..];
            match &record[..equals] {
                b"path" => self.path = Some(text(value)?),
                b"size" => self.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                _ => {}
            }
            body = body.get(length..)?;
        }
        Some(())
    }
}

fn checksum_fits(header: &[u8]) -> bool {
    let Some(stored) = header.get(148..156).and_then(number) else { return false };
    let sum: usize = header
        .iter()
        .enumerate()
        .map(|(i, &b)| if (148..156).contains(&i) { 32 } else { usize::from(b) })
        .sum();
    stored == sum
}

/// A numeric field: octal digits, or big-endian binary when the top bit is set.
fn number(field: &[u8]) -> Option<usize> {
    if field.first()? & 0x80 != 0 {
        let first = usize::from(field[0] & 0x7f);
        return field[1..].iter().try_fold(first, |n, &b| n.checked_mul(256)?.checked_add(usize::from(b)));
    }
    let digits = std::str::from_utf8(until_zero(field)).ok()?.trim_matches(' ');
    if digits.is_empty() {
        return Some(0);
    }
    usize::from_str_radix(digits, 8).ok()
}

fn header_name(header: &[u8]) -> Option<String> {
    let name = text(until_zero(&header[..100]))?;
    let prefix = until_zero(&header[345..500]);
    // GNU archives use this field for other things; only ustar proper has the zero after the magic.
    if prefix.is_empty() || header[262] != 0 {
        return Some(name);
    }
    Some(format!("{}/{name}", text(prefix)?))
}

fn safe_name(name: &str) -> Result<String, TarError> {
    let unsafe_name = || TarError::UnsafeName { name: name.to_owned() };
    if name.starts_with('/') || name.contains(['\\', '\0']) || name.split('/').any(|part| part == "..") {
        return Err(unsafe_name());
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    Ok(parts.join("/"))
}

fn until_zero(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    &field[..end]
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}
