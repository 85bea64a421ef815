//! The table of a zip archive as `torch.save` writes it: names and byte ranges of stored members.
//!
//! Torch never compresses, because tensors are read in place; a compressed member is refused rather than inflated.
//! Checksums are not compared: `torch.serialization.set_crc32_options(False)` leaves wrong ones on purpose.

use std::collections::HashMap;
use std::ops::Range;

const END: u32 = 0x0605_4b50;
const END_BYTES: usize = 22;
const LOCATOR64: u32 = 0x0706_4b50;
const LOCATOR64_BYTES: usize = 20;
const END64: u32 = 0x0606_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const CENTRAL_BYTES: usize = 46;
const LOCAL: u32 = 0x0403_4b50;
const LOCAL_BYTES: usize = 30;
/// The longest comment an archive can end with.
const MAX_COMMENT: usize = 65_535;

/// What is wrong with a zip archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZipError {
    /// No end record in the last 64 KiB.
    #[error("no zip directory found: the checkpoint is cut short or no torch zip file")]
    NoDirectory,
    /// A record that is cut short, misplaced or contradicts itself.
    #[error("zip {record} at byte {offset} is broken")]
    Record {
        /// Which kind of record.
        record: &'static str,
        /// Where.
        offset: usize,
    },
    /// A member that needs inflating.
    #[error("zip member {name:?} is compressed (method {method}); torch stores members as they are")]
    Compressed {
        /// The member.
        name: String,
        /// The compression method's number.
        method: u16,
    },
    /// An encrypted member.
    #[error("zip member {name:?} is encrypted")]
    Encrypted {
        /// The member.
        name: String,
    },
    /// A member outside the file.
    #[error("zip member {name:?} lies outside the file")]
    OutOfRange {
        /// The member.
        name: String,
    },
    /// Two members of one name.
    #[error("zip has two members called {name:?}")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Members that claim more bytes than the file has, which stored members cannot unless they overlap.
    #[error("zip members overlap: they claim {claimed} bytes of a file of {found}")]
    Overlap {
        /// Sum of the members' sizes.
        claimed: usize,
        /// Size of the file.
        found: usize,
    },
    /// A name that is not UTF-8.
    #[error("zip directory entry at byte {offset} has a name that is not UTF-8")]
    NameEncoding {
        /// Where.
        offset: usize,
    },
}

/// Whether these bytes begin like a zip archive.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    u32_at(bytes, 0) == Some(LOCAL)
}

/// Lists the members of an archive.
///
/// # Errors
/// [`ZipError`] for anything but a well-formed archive of stored members.
pub(super) fn entries(archive: &[u8]) -> Result<HashMap<String, Range<usize>>, ZipError> {
    let directory = find_directory(archive)?;
    let mut members = HashMap::new();
    let mut claimed = 0usize;
    let mut offset = directory.start;
    for _ in 0..directory.count {
        let member = Member::read(archive, &mut offset)?;
        let range = member.locate(archive)?;
        claimed = claimed.saturating_add(range.len());
        if claimed > archive.len() {
            return Err(ZipError::Overlap { claimed, found: archive.len() });
        }
        if members.insert(member.name.clone(), range).is_some() {
            return Err(ZipError::Duplicate { name: member.name });
        }
    }
    Ok(members)
}

struct Directory {
    start: usize,
    count: usize,
}

fn find_directory(archive: &[u8]) -> Result<Directory, ZipError> {
    let last = archive.len().checked_sub(END_BYTES).ok_or(ZipError::NoDirectory)?;
    let first = last.saturating_sub(MAX_COMMENT);
    let end = (first..=last)
        .rev()
        .find(|&at| {
            u32_at(archive, at) == Some(END)
                && u16_at(archive, at + 20).map(usize::from) == Some(archive.len() - at - END_BYTES)
        })
        .ok_or(ZipError::NoDirectory)?;
    let broken = ZipError::Record { record: "end record", offset: end };
    let count = u16_at(archive, end + 10).ok_or_else(|| broken.clone())?;
    let start = u32_at(archive, end + 16).ok_or(broken)?;
    if count != u16::MAX && start != u32::MAX {
        return Directory { start: start as usize, count: count.into() }.check(archive, end);
    }
    let locator = end.checked_sub(LOCATOR64_BYTES).ok_or(ZipError::NoDirectory)?;
    let broken = |offset| ZipError::Record { record: "64-bit end record", offset };
    if u32_at(archive, locator) != Some(LOCATOR64) {
        // Exactly 65535 members without 64-bit records is legal, if odd.
        return Directory { start: start as usize, count: count.into() }.check(archive, end);
    }
    let end64 = usize_at(archive, locator + 8).ok_or_else(|| broken(locator))?;
    if u32_at(archive, end64) != Some(END64) {
        return Err(broken(end64));
    }
    let count = end64.checked_add(32).and_then(|at| usize_at(archive, at)).ok_or_else(|| broken(end64))?;
    let start = end64.checked_add(48).and_then(|at| usize_at(archive, at)).ok_or_else(|| broken(end64))?;
    Directory { start, count }.check(archive, end)
}

impl Directory {
    /// A count of members that could not fit would otherwise only fail after reading that many.
    fn check(self, archive: &[u8], end: usize) -> Result<Directory, ZipError> {
        let fits = self.count.checked_mul(CENTRAL_BYTES).and_then(|n| n.checked_add(self.start));
        if fits.is_none_or(|n| n > archive.len()) {
            return Err(ZipError::Record { record: "end record", offset: end });
        }
        Ok(self)
    }
}

struct Member {
    name: String,
    size: usize,
    header: usize,
}

impl Member {
    /// Reads the directory entry at `offset` and moves on to the next.
    fn read(archive: &[u8], offset: &mut usize) -> Result<Member, ZipError> {
        let at = *offset;
        let broken = || ZipError::Record { record: "directory entry", offset: at };
        if u32_at(archive, at) != Some(CENTRAL) {
            return Err(broken());
        }
        let fixed = archive.get(at..at + CENTRAL_BYTES).ok_or_else(broken)?;
        let field16 = |i| u16_at(fixed, i).map(usize::from).ok_or_else(broken);
        let (name_len, extra_len, comment_len) = (field16(28)?, field16(30)?, field16(32)?);
        let name_at = at + CENTRAL_BYTES;
        let extra_at = name_at + name_len;
        let name = archive.get(name_at..extra_at).ok_or_else(broken)?;
        let name = std::str::from_utf8(name).map_err(|_| ZipError::NameEncoding { offset: at })?.to_owned();
        let extra = archive.get(extra_at..extra_at + extra_len).ok_or_else(broken)?;
        let [packed, size, header] =
            wide_fields(fixed, extra).ok_or(ZipError::Record { record: "64-bit sizes", offset: at })?;
        if field16(8)? & 1 != 0 {
            return Err(ZipError::Encrypted { name });
        }
        let method = field16(10)? as u16;
        if method != 0 {
            return Err(ZipError::Compressed { name, method });
        }
        if packed != size {
            return Err(broken());
        }
        *offset = extra_at + extra_len + comment_len;
        Ok(Member { name, size, header })
    }

    /// The bytes of the member, behind its local header.
    fn locate(&self, archive: &[u8]) -> Result<Range<usize>, ZipError> {
        let outside = || ZipError::OutOfRange { name: self.name.clone() };
        if u32_at(archive, self.header) != Some(LOCAL) {
            return Err(ZipError::Record { record: "member header", offset: self.header });
        }
        let name_len = u16_at(archive, self.header + 26).ok_or_else(outside)?;
        let extra_len = u16_at(archive, self.header + 28).ok_or_else(outside)?;
        let start = self.header + LOCAL_BYTES + usize::from(name_len) + usize::from(extra_len);
        let end = start.checked_add(self.size).filter(|&end| end <= archive.len()).ok_or_else(outside)?;
        Ok(start..end)
    }
}

/// Packed size, size and header offset: 32-bit fields, or where one is all ones the next 64-bit field of the extra
/// record 1.
fn wide_fields(fixed: &[u8], extra: &[u8]) -> Option<[usize; 3]> {
    let size = u32_at(fixed, 24)?;
    let packed = u32_at(fixed, 20)?;
    let header = u32_at(fixed, 42)?;
    let mut wide = zip64_extra(extra);
    let mut widen = |narrow: u32| -> Option<usize> {
        if narrow != u32::MAX {
            return Some(narrow as usize);
        }
        let (value, rest) = wide.split_at_checked(8)?;
        wide = rest;
        usize_at(value, 0)
    };
    // The record lists them in this order, not in that of the fixed part.
    let size = widen(size)?;
    let packed = widen(packed)?;
    let header = widen(header)?;
    Some([packed, size, header])
}

fn zip64_extra(mut extra: &[u8]) -> &[u8] {
    while let (Some(id), Some(len)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some(body) = extra.get(4..4 + usize::from(len)) else { return &[] };
        if id == 1 {
            return body;
        }
        extra = &extra[4 + usize::from(len)..];
    }
    &[]
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    bytes_at(bytes, at).map(u64::from_le_bytes).and_then(|n| usize::try_from(n).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of one member whose sizes, offsets and counts all need their 64-bit records, as beyond 4 GB.
    fn wide(header: u64) -> Vec<u8> {
        let mut out = LOCAL.to_le_bytes().to_vec();
        out.extend([0; 22]);
        out.extend([1, 0, 0, 0, b'x']);
        out.extend(b"data");
        let start = out.len() as u64;
        out.extend(CENTRAL.to_le_bytes());
        out.extend([0; 16]);
        out.extend([0xff; 8]);
        out.extend([1, 0, 32, 0]);
        out.extend([0; 10]);
        out.extend([0xff; 4]);
        out.push(b'x');
        // A record of another kind first, then sizes and offset.
        out.extend([0x55, 0x54, 0, 0]);
        out.extend([1, 0, 24, 0]);
        out.extend([4u64, 4, header].map(u64::to_le_bytes).concat());
        let end64 = out.len() as u64;
        let bytes = end64 - start;
        out.extend(END64.to_le_bytes());
        out.extend(44u64.to_le_bytes());
        out.extend([0; 12]);
        out.extend([1, 1, bytes, start].map(u64::to_le_bytes).concat());
        out.extend(LOCATOR64.to_le_bytes());
        out.extend([0; 4]);
        out.extend(end64.to_le_bytes());
        out.extend([1, 0, 0, 0]);
        out.extend(END.to_le_bytes());
        out.extend([0; 4]);
        out.extend([0xff; 12]);
        out.extend([0; 2]);
        out
    }

    #[test]
    fn archives_beyond_four_gigabytes() {
        let archive = wide(0);
        let members = entries(&archive).unwrap();
        assert_eq!(archive[members["x"].clone()], *b"data");
        for header in [1, archive.len() as u64, u64::MAX, u64::MAX - 30] {
            let error = entries(&wide(header)).unwrap_err();
            assert!(matches!(error, ZipError::Record { .. }), "{header}: {error}");
        }
        // The locator points nowhere.
        let mut broken = archive.clone();
        let at = broken.len() - END_BYTES - LOCATOR64_BYTES + 8;
        broken[at..at + 8].fill(0xff);
        assert!(matches!(entries(&broken), Err(ZipError::Record { record: "64-bit end record", .. })));
    }
}
