//! Reads a stream and gives out pieces. Holds at most one piece, the search range after it, and one block of the stream.

use super::cut::best_place;
use super::{Cut, Limits, PieceConfig};
use crate::{AudioError, AudioStream, SAMPLE_RATE};

/// A clip of a longer recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Position of the first sample in the whole recording, at 16 kHz.
    pub start_sample: u64,
    /// Samples at 16 kHz, context included.
    pub samples: Vec<f32>,
    /// Start of the time this piece answers for, in seconds from the start of the recording.
    pub keep_from: f64,
    /// End of that time. The `keep_from` of the next piece is this very number; for the last piece it is the end of the
    /// recording.
    pub keep_to: f64,
    /// Whether the recording ends with this piece.
    pub is_last: bool,
    /// How the piece ends.
    pub cut: Cut,
}

impl Piece {
    /// Start of the samples in seconds from the start of the recording; add it to times within the piece.
    pub fn start_seconds(&self) -> f64 {
        self.start_sample as f64 / f64::from(SAMPLE_RATE)
    }

    /// Length of the samples in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(SAMPLE_RATE)
    }

    /// Whether something at `time` (seconds from the start of the recording) belongs to this piece. Of all pieces of a
    /// recording exactly one says yes; the last one also takes times past the end, as rounding to frames gives them.
    pub fn keeps(&self, time: f64) -> bool {
        (time >= self.keep_from || self.start_sample == 0) && (time < self.keep_to || self.is_last)
    }
}

/// Cuts an [`AudioStream`] into [`Piece`]s. A recording without samples gives one empty piece.
///
/// ```no_run
/// use mynah_audio::{AudioStream, PieceConfig, PieceReader};
///
/// let stream = AudioStream::open("talk.mp3")?;
/// for piece in PieceReader::new(stream, PieceConfig::default()) {
///     let piece = piece?;
///     println!("{:.2} s to {:.2} s", piece.keep_from, piece.keep_to);
/// }
/// # Ok::<(), mynah_audio::AudioError>(())
/// ```
#[derive(Debug)]
pub struct PieceReader<S = AudioStream> {
    stream: S,
    limits: Option<Limits>,
    /// Samples from `start` on.
    buffer: Vec<f32>,
    start: u64,
    /// Where the next piece's own time begins, in samples.
    keep_from: u64,
    stream_ended: bool,
    done: bool,
}

impl<S> PieceReader<S>
where
    S: Iterator<Item = Result<Vec<f32>, AudioError>>,
{
    /// Reads from an [`AudioStream`], or any other source of blocks of 16 kHz mono samples.
    pub fn new(stream: S, config: PieceConfig) -> Self {
        Self {
            stream,
            limits: config.limits(f64::from(SAMPLE_RATE)),
            buffer: Vec::new(),
            start: 0,
            keep_from: 0,
            stream_ended: false,
            done: false,
        }
    }

    /// The next piece, or `None` after the last.
    ///
    /// # Errors
    /// Those of the stream, which end the pieces.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, AudioError> {
        if self.done {
            return Ok(None);
        }
        let wanted = self.limits.map_or(usize::MAX, |l| l.max.saturating_add(l.search));
        if let Err(error) = self.fill(wanted) {
            self.done = true;
            return Err(error);
        }
        match self.limits {
            Some(limits) if self.buffer.len() > limits.max => Ok(Some(self.cut(limits))),
            _ => Ok(Some(self.last())),
        }
    }

    /// The stream, for its statistics.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Reads until there are more than `wanted` samples or no more come.
    fn fill(&mut self, wanted: usize) -> Result<(), AudioError> {
        while !self.stream_ended && self.buffer.len() <= wanted {
            match self.stream.next() {
                Some(block) => self.buffer.extend_from_slice(&block?),
                None => self.stream_ended = true,
            }
        }
        Ok(())
    }

    fn last(&mut self) -> Piece {
        self.done = true;
        let end = self.start + self.buffer.len() as u64;
        Piece {
            start_sample: self.start,
            samples: std::mem::take(&mut self.buffer),
            keep_from: seconds(self.keep_from),
            keep_to: seconds(end),
            is_last: true,
            cut: Cut::End,
        }
    }

    /// Cuts the buffer, which holds more than one piece can.
    fn cut(&mut self, limits: Limits) -> Piece {
        let Limits { max, search, overlap, margin } = limits;
        // What is left goes into two pieces: let them be of similar length.
        let target = if self.stream_ended { self.buffer.len() / 2 + search / 2 } else { max };
        // Without a pause the piece reaches `overlap` past the cut.
        let to = target.min(max - overlap);
        let place = best_place(&self.buffer[..max], to.saturating_sub(search), to);
        let (ends, next_start, cut) = match place.pause {
            Some((start, end)) => {
                (end.min(place.at + margin), start.max(place.at.saturating_sub(margin)), Cut::Pause)
            }
            None => (place.at + overlap, place.at.saturating_sub(overlap), Cut::Overlap),
        };
        let keep_to = self.start + place.at as u64;
        let piece = Piece {
            start_sample: self.start,
            samples: self.buffer[..ends.min(max)].to_vec(),
            keep_from: seconds(self.keep_from),
            keep_to: seconds(keep_to),
            is_last: false,
            cut,
        };
        self.buffer.drain(..next_start);
        self.start += next_start as u64;
        self.keep_from = keep_to;
        piece
    }
}

impl<S> Iterator for PieceReader<S>
where
    S: Iterator<Item = Result<Vec<f32>, AudioError>>,
{
    type Item = Result<Piece, AudioError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_piece().transpose()
    }
}

fn seconds(samples: u64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}
