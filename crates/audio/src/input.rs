//! Where bytes come from: a file, memory, or a pipe. [`Input`] hides which, lets the first bytes be looked at before a
//! reader is chosen, skips leading ID3v2 tags, and spools a pipe when the container must seek. What leaves here goes to
//! [`crate::wav`] or to the codecs in [`crate::decode`].

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;

use symphonia::core::io::MediaSource;
use tempfile::SpooledTempFile;

use crate::AudioError;

/// Largest MP4 or CAF input accepted from a pipe, in bytes (4 GiB). Such a container may need to seek, so a
/// pipe is copied first: to memory up to 32 MiB, beyond that to an unnamed temporary file.
pub const SPOOL_LIMIT: u64 = 4 << 30;

/// Spooled bytes kept in memory before a temporary file takes over.
const SPOOL_IN_MEMORY: usize = 32 << 20;

/// Bytes looked at to recognise the container. Covers a WAV header with long metadata chunks in front of `fmt `.
const HEAD_BYTES: usize = 64 << 10;

/// At most this many ID3v2 tags are skipped in a row; real files have one.
const MAX_TAGS: usize = 16;

/// Any reader that can be handed to another thread. `Sync` because codecs ask for it; it is only ever read through
/// `&mut`, so the mutex is never locked.
struct Pipe(std::sync::Mutex<Box<dyn Read + Send>>);

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.get_mut().map_err(|_| io::Error::other("the reader panicked"))?.read(buf)
    }
}

enum Kind {
    File(File),
    Bytes(Cursor<Cow<'static, [u8]>>),
    Spool(SpooledTempFile),
    Pipe { pipe: Pipe, ahead: Cursor<Vec<u8>> },
}

/// A source of bytes with a name for error messages.
pub(crate) struct Input {
    kind: Kind,
    /// Offset of the first byte after leading tags; position 0 for whoever reads.
    base: u64,
    /// Bytes from `base` to the end, if known.
    len: Option<u64>,
    /// What codecs are told instead of `len`, see [`Input::claim_length`].
    claimed: Option<u64>,
    /// Whether codecs are told that this cannot seek, see [`Input::hide_seek`].
    hidden: bool,
    /// What errors call this input.
    pub(crate) name: String,
    /// Lower-case file name extension, if any.
    pub(crate) extension: Option<String>,
}

impl Input {
    /// Opens a file. A path that is not a regular file (a FIFO, a terminal) is read as a pipe.
    pub(crate) fn from_path(path: &Path) -> Result<Self, AudioError> {
        let open_error = |source| AudioError::Open { path: path.to_path_buf(), source };
        let name = path.display().to_string();
        let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
        let file = File::open(path).map_err(open_error)?;
        let meta = file.metadata().map_err(open_error)?;
        if meta.is_dir() {
            return Err(open_error(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        if meta.is_file() {
            Ok(Self {
                kind: Kind::File(file),
                base: 0,
                len: Some(meta.len()),
                claimed: None,
                hidden: false,
                name,
                extension,
            })
        } else {
            Ok(Self { name, ..Self::from_reader(Box::new(file), extension.as_deref()) })
        }
    }

    /// Wraps bytes already in memory.
    pub(crate) fn from_bytes(bytes: Cow<'static, [u8]>) -> Self {
        let len = Some(bytes.len() as u64);
        Self {
            kind: Kind::Bytes(Cursor::new(bytes)),
            base: 0,
            len,
            claimed: None,
            hidden: false,
            name: "the given bytes".into(),
            extension: None,
        }
    }

    /// Wraps a reader that cannot seek. `hint` is a file name extension such as `mp3`.
    pub(crate) fn from_reader(reader: Box<dyn Read + Send>, hint: Option<&str>) -> Self {
        let pipe = Pipe(std::sync::Mutex::new(reader));
        Self {
            kind: Kind::Pipe { pipe, ahead: Cursor::new(Vec::new()) },
            base: 0,
            len: None,
            claimed: None,
            hidden: false,
            name: "standard input".into(),
            extension: hint.map(|h| h.trim_start_matches('.').to_ascii_lowercase()),
        }
    }

    /// Bytes from the current start to the end, if the input knows.
    pub(crate) fn byte_len(&self) -> Option<u64> {
        self.len
    }

    /// Lets codecs read this strictly forwards. A demuxer that can seek looks for the end of a file first, and then gives
    /// up on one that was cut short.
    pub(crate) fn hide_seek(&mut self) {
        self.hidden = true;
    }

    /// Tells codecs that there are `len` bytes, if that is more than there are: what a file that was cut short says of
    /// itself. Reading beyond the true end gives nothing, as at any end.
    pub(crate) fn claim_length(&mut self, len: u64) {
        self.claimed = self.len.filter(|&true_len| true_len < len).map(|_| len);
    }

    /// An I/O failure of this input as an error that names it.
    pub(crate) fn read_error(&self, source: io::Error) -> AudioError {
        AudioError::Read { name: self.name.clone(), source }
    }

    /// The first bytes (fewer than 64 KiB only if the input is shorter), without consuming them.
    pub(crate) fn head(&mut self) -> Result<Vec<u8>, AudioError> {
        let head = self.take_head().map_err(|e| self.read_error(e))?;
        Ok(head)
    }

    fn take_head(&mut self) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        self.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        if let Kind::Pipe { ahead, .. } = &mut self.kind {
            let mut rest = Vec::new();
            ahead.read_to_end(&mut rest)?;
            let unread = [head.as_slice(), rest.as_slice()].concat();
            *ahead = Cursor::new(unread);
        } else {
            self.seek(SeekFrom::Start(0))?;
        }
        Ok(head)
    }

    /// Moves the start past leading ID3v2 tags, whose size (cover pictures) can exceed what a format probe scans.
    pub(crate) fn skip_tags(&mut self) -> Result<(), AudioError> {
        for _ in 0..MAX_TAGS {
            let head = self.head()?;
            let Some(size) = id3v2_size(&head) else { return Ok(()) };
            self.skip(size).map_err(|e| self.read_error(e))?;
        }
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        if matches!(self.kind, Kind::Pipe { .. }) {
            io::copy(&mut self.by_ref().take(bytes), &mut io::sink())?;
        } else {
            let bytes = bytes.min(self.len.unwrap_or(bytes));
            self.base += bytes;
            self.len = self.len.map(|len| len - bytes);
            self.seek(SeekFrom::Start(0))?;
        }
        Ok(())
    }

    /// Makes the input seekable: a pipe is copied whole, up to [`SPOOL_LIMIT`].
    pub(crate) fn spool(self, container: &'static str) -> Result<Self, AudioError> {
        self.spool_up_to(container, SPOOL_LIMIT)
    }

    fn spool_up_to(mut self, container: &'static str, limit: u64) -> Result<Self, AudioError> {
        if !matches!(self.kind, Kind::Pipe { .. }) {
            return Ok(self);
        }
        let mut spool = SpooledTempFile::new(SPOOL_IN_MEMORY);
        let copied =
            copy_all(&mut self.by_ref().take(limit + 1), &mut spool).map_err(|e| self.read_error(e))?;
        if copied > limit {
            return Err(AudioError::SpoolLimit { name: self.name, container, limit });
        }
        spool.seek(SeekFrom::Start(0)).map_err(|e| self.read_error(e))?;
        Ok(Self { kind: Kind::Spool(spool), base: 0, len: Some(copied), ..self })
    }
}

fn copy_all(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<u64> {
    io::copy(from, to)
}

/// Size of the ID3v2 tag at the start of `head`, header and footer included.
fn id3v2_size(head: &[u8]) -> Option<u64> {
    let header = head.get(..10)?;
    let well_formed = header.starts_with(b"ID3") && header[3] < 0xff && header[4] < 0xff;
    if !well_formed || header[6..10].iter().any(|b| b & 0x80 != 0) {
        return None;
    }
    let body = header[6..10].iter().fold(0u64, |size, &b| (size << 7) | u64::from(b));
    let footer = if header[5] & 0x10 != 0 { 10 } else { 0 };
    Some(10 + body + footer)
}

impl Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::File(file) => file.read(buf),
            Kind::Bytes(bytes) => bytes.read(buf),
            Kind::Spool(spool) => spool.read(buf),
            Kind::Pipe { pipe, ahead } => match ahead.read(buf)? {
                0 => pipe.read(buf),
                n => Ok(n),
            },
        }
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(offset) => {
                let offset = self.base.checked_add(offset).ok_or(io::ErrorKind::InvalidInput)?;
                SeekFrom::Start(offset)
            }
            SeekFrom::End(offset) if self.claimed.is_some() => {
                let end =
                    self.base.checked_add(self.claimed.unwrap_or(0)).ok_or(io::ErrorKind::InvalidInput)?;
                SeekFrom::Start(end.checked_add_signed(offset).ok_or(io::ErrorKind::InvalidInput)?)
            }
            relative => relative,
        };
        let absolute = match &mut self.kind {
            Kind::File(file) => file.seek(to),
            Kind::Bytes(bytes) => bytes.seek(to),
            Kind::Spool(spool) => spool.seek(to),
            Kind::Pipe { .. } => Err(io::ErrorKind::NotSeekable.into()),
        }?;
        absolute.checked_sub(self.base).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

impl MediaSource for Input {
    fn is_seekable(&self) -> bool {
        !self.hidden && !matches!(self.kind, Kind::Pipe { .. })
    }

    fn byte_len(&self) -> Option<u64> {
        if self.hidden { None } else { self.claimed.or(self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe(bytes: Vec<u8>) -> Input {
        Input::from_reader(Box::new(Cursor::new(bytes)), None)
    }

    fn rest(mut input: Input) -> Vec<u8> {
        let mut all = Vec::new();
        input.read_to_end(&mut all).unwrap();
        all
    }

    fn tagged(body: usize) -> Vec<u8> {
        let size = [
            (body >> 21) as u8 & 0x7f,
            (body >> 14) as u8 & 0x7f,
            (body >> 7) as u8 & 0x7f,
            body as u8 & 0x7f,
        ];
        [b"ID3\x04\x00\x00".as_slice(), &size, &vec![7; body], b"after the tag"].concat()
    }

    #[test]
    fn head_does_not_consume() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
        for mut input in [pipe(bytes.clone()), Input::from_bytes(bytes.clone().into())] {
            assert_eq!(input.head().unwrap(), bytes[..HEAD_BYTES]);
            assert_eq!(input.head().unwrap(), bytes[..HEAD_BYTES]);
            assert_eq!(rest(input), bytes);
        }
    }

    #[test]
    fn tags_of_any_size_are_skipped() {
        for body in [0, 5, 200, HEAD_BYTES + 3, 2_000_000] {
            let bytes = tagged(body);
            for mut input in [pipe(bytes.clone()), Input::from_bytes(bytes.into())] {
                input.skip_tags().unwrap();
                assert_eq!(rest(input), b"after the tag", "tag of {body} bytes");
            }
        }
    }

    #[test]
    fn a_tag_longer_than_the_input_leaves_nothing() {
        let bytes = tagged(1000)[..500].to_vec();
        for mut input in [pipe(bytes.clone()), Input::from_bytes(bytes.into())] {
            input.skip_tags().unwrap();
            assert!(rest(input).is_empty());
        }
    }

    #[test]
    fn a_spooled_pipe_seeks_and_keeps_its_bytes() {
        let mut input = pipe(tagged(10));
        input.skip_tags().unwrap();
        let mut spooled = input.spool("mp4").unwrap();
        assert!(spooled.is_seekable());
        assert_eq!(spooled.seek(SeekFrom::End(-3)).unwrap(), 10);
        spooled.seek(SeekFrom::Start(0)).unwrap();
        assert_eq!(rest(spooled), b"after the tag");
    }

    #[test]
    fn a_claimed_length_is_only_claimed() {
        let mut input = Input::from_bytes(vec![1; 10].into());
        input.claim_length(4);
        assert_eq!(MediaSource::byte_len(&input), Some(10), "less than there is");
        input.claim_length(1000);
        assert_eq!(MediaSource::byte_len(&input), Some(1000));
        assert_eq!(input.seek(SeekFrom::End(-3)).unwrap(), 997);
        assert_eq!(input.read(&mut [0; 5]).unwrap(), 0);
        input.seek(SeekFrom::Start(0)).unwrap();
        input.hide_seek();
        assert!(!input.is_seekable() && MediaSource::byte_len(&input).is_none());
        assert_eq!(rest(input), [1; 10]);
    }

    #[test]
    fn the_spool_limit_is_an_error_not_a_full_disk() {
        let endless = Input::from_reader(Box::new(io::repeat(1)), None);
        let error = endless.spool_up_to("mp4", 1000).err().unwrap();
        assert!(matches!(error, AudioError::SpoolLimit { limit: 1000, .. }), "{error}");
        assert!(pipe(vec![0; 1000]).spool_up_to("mp4", 1000).is_ok());
    }
}
