//! A saved sequence as a file.
//!
//! ```text
//! "MYNAHSEQ"  version u32  words u32 = 9
//! identity  prompt  max_tokens  past  tokens  ends  elements of row, pages and hidden states     u64 each
//! tokens u32 …  ends u32 …  row f32 …  pages f32 …  hidden f32 …
//! checksum u64 of all before
//! ```
//!
//! All little-endian. `max_tokens` is 2⁶⁴ − 1 for none. Nothing is believed that the length of the file doesn't bear out, so a hostile
//! file costs no more memory than twice its size.

use super::{SavedSequence, States};
use crate::error::EngineError;
use mynah_text::output::{OutputError, write_atomic_with};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

const MAGIC: &[u8; 8] = b"MYNAHSEQ";
const VERSION: u32 = 2;
const WORDS: usize = 9;
const HEADER: usize = MAGIC.len() + 8 + 8 * WORDS;
/// `max_tokens` of a sequence without a bound.
const UNBOUNDED: u64 = u64::MAX;

impl SavedSequence {
    /// Writes it to a file, which others see whole or not at all, and may read as any other.
    ///
    /// # Errors
    /// [`EngineError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), EngineError> {
        let written = write_atomic_with(path, |out| match self.write_to(out) {
            Err(EngineError::Io(error)) => Err(error),
            other => other.map_err(io::Error::other),
        });
        written.map_err(|error| match error {
            OutputError::Write { source, .. } => EngineError::Io(source),
            other => EngineError::Io(io::Error::other(other)),
        })
    }

    /// Reads a file that [`SavedSequence::write`] made.
    ///
    /// # Errors
    /// [`EngineError::Io`], or [`EngineError::Saved`] for a file that is something else, cut off or damaged.
    pub fn read(path: &Path) -> Result<Self, EngineError> {
        let mut bytes = Vec::new();
        let mut file = File::open(path)?;
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        bytes.try_reserve_exact(length).map_err(|_| wrong(format!("its {length} bytes don't fit memory")))?;
        file.read_to_end(&mut bytes)?;
        Self::from_bytes(&bytes)
    }

    /// The file's bytes, to `out`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to(&self, out: &mut dyn Write) -> Result<(), EngineError> {
        let mut out = Summed { out, sum: Checksum::default() };
        out.put(MAGIC)?;
        out.put(&VERSION.to_le_bytes())?;
        out.put(&(WORDS as u32).to_le_bytes())?;
        let states = &self.states;
        let words = [
            self.identity,
            self.prompt as u64,
            self.max_tokens.map_or(UNBOUNDED, |n| n as u64),
            states.past as u64,
            self.tokens.len() as u64,
            self.ends.len() as u64,
            states.row.len() as u64,
            states.pages.len() as u64,
            states.hidden.len() as u64,
        ];
        for word in words {
            out.put(&word.to_le_bytes())?;
        }
        for list in [&self.tokens, &self.ends] {
            list.iter().try_for_each(|token| out.put(&token.to_le_bytes()))?;
        }
        for floats in [&states.row, &states.pages, &states.hidden] {
            floats.iter().try_for_each(|x| out.put(&x.to_le_bytes()))?;
        }
        let sum = out.sum.finish();
        Ok(out.out.write_all(&sum.to_le_bytes())?)
    }

    /// Reads what [`SavedSequence::write_to`] wrote.
    ///
    /// # Errors
    /// [`EngineError::Saved`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EngineError> {
        let (header, _) = bytes.split_at_checked(HEADER).ok_or_else(|| wrong("it is cut off"))?;
        let (magic, rest) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(wrong("it is no saved sequence"));
        }
        let (kind, words) = rest.split_at(8);
        let mut kind = kind.chunks_exact(4).map(u32_of);
        let (version, count) = (kind.next().unwrap_or(0), kind.next().unwrap_or(0));
        if version != VERSION || count as usize != WORDS {
            return Err(wrong(format!("it is of version {version}, this program knows {VERSION}")));
        }
        let (summed, sum) = bytes
            .split_last_chunk::<8>()
            .filter(|(summed, _)| summed.len() >= HEADER)
            .ok_or_else(|| wrong("it is cut off"))?;
        let mut checksum = Checksum::default();
        checksum.add(summed);
        if checksum.finish() != u64::from_le_bytes(*sum) {
            return Err(wrong("it is damaged: its checksum is another"));
        }
        let mut words = words.chunks_exact(8).map(u64_of);
        let mut word = || words.next().unwrap_or(0);
        let (identity, prompt, max_tokens) = (word(), word(), word());
        let size = |n: u64| usize::try_from(n).map_err(|_| wrong(format!("a size of {n}")));
        let past = size(word())?;
        let mut body = Body { rest: &summed[HEADER..] };
        let (tokens, ends) = (size(word())?, size(word())?);
        let (row, pages, hidden) = (size(word())?, size(word())?, size(word())?);
        let tokens = body.take(tokens)?.chunks_exact(4).map(u32_of).collect();
        let ends = body.take(ends)?.chunks_exact(4).map(u32_of).collect();
        let row = body.take(row)?.chunks_exact(4).map(f32_of).collect();
        let pages = body.take(pages)?.chunks_exact(4).map(f32_of).collect();
        let hidden = body.take(hidden)?.chunks_exact(4).map(f32_of).collect();
        if !body.rest.is_empty() {
            return Err(wrong("it is longer than it says"));
        }
        let max_tokens = if max_tokens == UNBOUNDED { None } else { Some(size(max_tokens)?) };
        let states = States { past, row, pages, hidden };
        Ok(Self { identity, tokens, prompt: size(prompt)?, max_tokens, ends, states })
    }
}

fn wrong(reason: impl Into<String>) -> EngineError {
    EngineError::Saved { reason: reason.into() }
}

/// What is left to read.
struct Body<'a> {
    rest: &'a [u8],
}

impl<'a> Body<'a> {
    /// The bytes of `count` elements of four.
    fn take(&mut self, count: usize) -> Result<&'a [u8], EngineError> {
        let bytes = count.checked_mul(4).and_then(|n| self.rest.split_at_checked(n));
        let (own, rest) = bytes.ok_or_else(|| wrong("it is shorter than it says"))?;
        self.rest = rest;
        Ok(own)
    }
}

fn u32_of(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |n, &b| n << 8 | u32::from(b))
}

fn u64_of(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))
}

fn f32_of(bytes: &[u8]) -> f32 {
    f32::from_bits(u32_of(bytes))
}

/// Bytes on their way to `out`, summed.
struct Summed<'a> {
    out: &'a mut dyn Write,
    sum: Checksum,
}

impl Summed<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        self.sum.add(bytes);
        Ok(self.out.write_all(bytes)?)
    }
}

/// FNV-1a over words of eight bytes instead of bytes, eight times as fast: it is there for damage, not for enemies.
struct Checksum {
    hash: u64,
    word: [u8; 8],
    filled: usize,
}

impl Default for Checksum {
    fn default() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, word: [0; 8], filled: 0 }
    }
}

impl Checksum {
    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let n = bytes.len().min(8 - self.filled);
            self.word[self.filled..self.filled + n].copy_from_slice(&bytes[..n]);
            self.filled += n;
            bytes = &bytes[n..];
            if self.filled == 8 {
                self.mix(u64::from_le_bytes(self.word));
                self.filled = 0;
            }
        }
    }

    fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x100_0000_01b3);
        // A product carries upwards only.
        self.hash ^= self.hash >> 32;
    }

    fn finish(mut self) -> u64 {
        self.word[self.filled..].fill(0);
        self.mix(u64::from_le_bytes(self.word));
        self.mix(self.filled as u64);
        self.hash
    }
}
