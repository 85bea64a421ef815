//! MP4 edit lists: which part of an audio track is meant to be heard. AAC encoders put about 1000 to 2000 samples of
//! priming in front (20 to 50 ms) and say so only there; the codec library ignores it, and every time stamp would be
//! late. [`super::trim`] drops what lies outside the edit.

use std::io::{Read, Seek, SeekFrom};

/// The part of a track that is to be heard, in seconds of the track's own time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edit {
    /// Where it starts.
    pub(super) start: f64,
    /// Its length; `None` if open or unknown.
    pub(super) length: Option<f64>,
}

/// Boxes visited at most.
const MAX_BOXES: usize = 100_000;

/// What the boxes of an MP4 file say.
pub(super) struct Movie {
    /// Edits of the audio tracks in file order; `None` for a track without edit list, or with one that does more than
    /// trim.
    pub(super) edits: Vec<Option<Edit>>,
    /// Where the last top-level box ends, by its own account.
    pub(super) end: u64,
}

/// Walks the boxes. Damaged files give fewer entries, never an error: without edits the audio still plays.
pub(super) fn movie<R: Read + Seek>(file: &mut R) -> Movie {
    let mut walk = Walk { file, visited: 0, movie_scale: 0, tracks: Vec::new(), end: 0 };
    // An unreadable box ends the walk with what was found so far.
    let _ = walk.children(0, u64::MAX, Level::File);
    let movie_scale = f64::from(walk.movie_scale);
    let audio = walk.tracks.into_iter().filter(|t| t.is_audio);
    Movie { edits: audio.map(|track| track.edit(movie_scale)).collect(), end: walk.end }
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    File,
    Movie,
    Track,
    Media,
    Edits,
}

#[derive(Default)]
struct Track {
    is_audio: bool,
    scale: u32,
    /// Duration in the movie's time scale and start in the track's, -1 for an empty edit.
    edits: Vec<(u64, i64)>,
}

impl Track {
    fn edit(&self, movie_scale: f64) -> Option<Edit> {
        let [(duration, start)] = self.edits[..] else { return None };
        if start < 0 || self.scale == 0 {
            return None;
        }
        let length = (duration > 0 && movie_scale > 0.0).then(|| duration as f64 / movie_scale);
        Some(Edit { start: start as f64 / f64::from(self.scale), length })
    }
}

struct Walk<'a, R> {
    file: &'a mut R,
    visited: usize,
    movie_scale: u32,
    tracks: Vec<Track>,
    end: u64,
}

impl<R: Read + Seek> Walk<'_, R> {
    /// Visits the boxes between two offsets. `None` when the file cannot be read on.
    fn children(&mut self, mut at: u64, end: u64, level: Level) -> Option<()> {
        while at.checked_add(8)? <= end {
            self.visited += 1;
            if self.visited > MAX_BOXES {
                return None;
            }
            self.file.seek(SeekFrom::Start(at)).ok()?;
            let header: [u8; 8] = self.read()?;
            let kind = [header[4], header[5], header[6], header[7]];
            let (size, body) = match u32::from_be_bytes([header[0], header[1], header[2], header[3]]) {
                0 => (end - at, at + 8),
                1 => (u64::from_be_bytes(self.read()?), at + 16),
                size => (u64::from(size), at + 8),
            };
            let next = at.checked_add(size)?.min(end);
            if level == Level::File && next < u64::MAX {
                self.end = next;
            }
            if next < body {
                return None;
            }
            self.visit(&kind, body, next, level)?;
            at = next;
        }
        Some(())
    }

    fn visit(&mut self, kind: &[u8; 4], body: u64, end: u64, level: Level) -> Option<()> {
        match (level, kind) {
            (Level::File, b"moov") => self.children(body, end, Level::Movie),
            (Level::Movie, b"mvhd") => {
                self.movie_scale = self.time_scale()?;
                Some(())
            }
            (Level::Movie, b"trak") => {
                self.tracks.push(Track::default());
                self.children(body, end, Level::Track)
            }
            (Level::Track, b"mdia") => self.children(body, end, Level::Media),
            (Level::Track, b"edts") => self.children(body, end, Level::Edits),
            (Level::Media, b"mdhd") => {
                self.tracks.last_mut()?.scale = self.time_scale()?;
                Some(())
            }
            (Level::Media, b"hdlr") => {
                let fields: [u8; 12] = self.read()?;
                self.tracks.last_mut()?.is_audio = &fields[8..] == b"soun";
                Some(())
            }
            (Level::Edits, b"elst") => self.edit_list(),
            _ => Some(()),
        }
    }

    /// The time scale of `mvhd` and `mdhd`, which start alike.
    fn time_scale(&mut self) -> Option<u32> {
        let [version, ..]: [u8; 4] = self.read()?;
        let dates = if version == 1 { 16 } else { 8 };
        self.file.seek(SeekFrom::Current(dates)).ok()?;
        Some(u32::from_be_bytes(self.read()?))
    }

    fn edit_list(&mut self) -> Option<()> {
        let [version, ..]: [u8; 4] = self.read()?;
        let count = u32::from_be_bytes(self.read()?);
        // More than one edit is not a trim; two are enough to know.
        for _ in 0..count.min(2) {
            let entry = if version == 1 {
                let (duration, start) = (u64::from_be_bytes(self.read()?), i64::from_be_bytes(self.read()?));
                (duration, start)
            } else {
                let (duration, start) = (u32::from_be_bytes(self.read()?), i32::from_be_bytes(self.read()?));
                (u64::from(duration), i64::from(start))
            };
            let _rate: [u8; 4] = self.read()?;
            self.tracks.last_mut()?.edits.push(entry);
        }
        Some(())
    }

    fn read<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn bx(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes(), kind.as_slice(), body].concat()
    }

    fn file(edits: &[(u32, i32)], handler: &[u8; 4]) -> Vec<u8> {
        let scale = |scale: u32| [&[0u8; 12], scale.to_be_bytes().as_slice(), &[0; 20]].concat();
        let entries: Vec<u8> = edits
            .iter()
            .flat_map(|(d, s)| [d.to_be_bytes(), s.to_be_bytes(), [0, 1, 0, 0]].concat())
            .collect();
        let elst = bx(b"elst", &[&[0; 4], (edits.len() as u32).to_be_bytes().as_slice(), &entries].concat());
        let hdlr = bx(b"hdlr", &[&[0; 8], handler.as_slice(), &[0; 12]].concat());
        let mdia = bx(b"mdia", &[bx(b"mdhd", &scale(48_000)), hdlr].concat());
        let trak = bx(b"trak", &[bx(b"edts", &elst), mdia].concat());
        [bx(b"ftyp", b"M4A "), bx(b"moov", &[bx(b"mvhd", &scale(1000)), trak].concat())].concat()
    }

    fn edits(bytes: Vec<u8>) -> Vec<Option<Edit>> {
        movie(&mut Cursor::new(bytes)).edits
    }

    #[test]
    fn one_edit_trims() {
        let expected = Edit { start: 1024.0 / 48_000.0, length: Some(1.25) };
        assert_eq!(edits(file(&[(1250, 1024)], b"soun")), [Some(expected)]);
        assert_eq!(edits(file(&[(0, 1024)], b"soun"))[0].unwrap().length, None);
    }

    #[test]
    fn other_lists_are_left_alone() {
        assert_eq!(edits(file(&[(100, -1), (1250, 1024)], b"soun")), [None]);
        assert_eq!(edits(file(&[(100, -1)], b"soun")), [None]);
        assert_eq!(edits(file(&[], b"soun")), [None]);
        assert_eq!(edits(file(&[(1250, 1024)], b"vide")), []);
    }

    #[test]
    fn the_end_is_where_the_boxes_end() {
        let whole = [file(&[], b"soun"), bx(b"mdat", &[0; 100])].concat();
        assert_eq!(movie(&mut Cursor::new(&whole)).end, whole.len() as u64);
        assert_eq!(movie(&mut Cursor::new(&whole[..whole.len() - 60])).end, whole.len() as u64);
    }

    #[test]
    fn damage_is_not_an_error() {
        let whole = file(&[(1250, 1024)], b"soun");
        for length in 0..whole.len() {
            edits(whole[..length].to_vec());
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            edits(bytes);
        }
    }
}
