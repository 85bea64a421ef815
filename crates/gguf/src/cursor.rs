//! Reading little-endian fields off a byte slice without ever leaving it.

use crate::GgufError;

/// A position in the bytes of a file.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

/// Why a field cannot be read; [`Fault::of`] adds what the field was.
pub(crate) enum Fault {
    Short { offset: u64, needed: u64, available: u64 },
    LongString { offset: u64, length: u64, available: u64 },
    NotUtf8 { offset: u64 },
}

impl Fault {
    /// The error for this fault in the field called `what`.
    pub(crate) fn of(self, what: impl Into<String>) -> GgufError {
        let what = what.into();
        match self {
            Fault::Short { offset, needed, available } => {
                GgufError::Truncated { what, offset, needed, available }
            }
            Fault::LongString { offset, length, available } => {
                GgufError::StringTooLong { what, length, offset, available }
            }
            Fault::NotUtf8 { offset } => GgufError::NotUtf8 { what, offset },
        }
    }
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, position: 0 }
    }

    /// Offset from the start of the file.
    pub(crate) fn offset(&self) -> u64 {
        self.position as u64
    }

    /// Bytes from here to the end of the file.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// The next `n` bytes.
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        match self.bytes[self.position..].get(..n) {
            Some(taken) => {
                self.position += n;
                Ok(taken)
            }
            None => Err(self.short(n)),
        }
    }

    fn short(&self, needed: usize) -> Fault {
        Fault::Short { offset: self.offset(), needed: needed as u64, available: self.remaining() as u64 }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        match self.bytes[self.position..].first_chunk::<N>() {
            Some(&taken) => {
                self.position += N;
                Ok(taken)
            }
            None => Err(self.short(N)),
        }
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    /// A string: its length in 64 bits, then its bytes.
    pub(crate) fn string(&mut self) -> Result<&'a str, Fault> {
        let length = self.u64()?;
        let (offset, available) = (self.offset(), self.remaining() as u64);
        if length > available {
            return Err(Fault::LongString { offset, length, available });
        }
        let bytes = self.take(length as usize)?;
        std::str::from_utf8(bytes).map_err(|_| Fault::NotUtf8 { offset })
    }
}
