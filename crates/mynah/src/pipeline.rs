//! One recording on its way through: pieces of audio go to the model, what comes back is merged into a transcript.

use crate::error::Error;
use mynah_audio::{AudioStream, Piece, PieceConfig, PieceReader, SAMPLE_RATE, StreamStats};
use mynah_models::parakeet::{Decoded, Head, Parakeet};
use mynah_text::{
    PieceTranscript, SegmentRules, SpanRule, Timing, Transcript, TranscriptInfo, assemble, merge_pieces,
};

/// A recording being transcribed.
pub(crate) struct Recording {
    reader: PieceReader,
    head: Head,
    heard: Vec<PieceTranscript>,
    /// Samples read so far, and pieces that are out at the model.
    samples: u64,
    waiting: usize,
    ended: bool,
    total: Option<f64>,
}

impl Recording {
    pub(crate) fn new(audio: AudioStream, pieces: PieceConfig, head: Head) -> Self {
        let total = audio.duration_hint();
        let reader = PieceReader::new(audio, pieces);
        Self { reader, head, heard: Vec::new(), samples: 0, waiting: 0, ended: false, total }
    }

    /// The next piece, `None` when the recording has no more.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Piece>, Error> {
        let piece = self.reader.next_piece()?;
        match &piece {
            Some(p) => {
                self.samples = p.start_sample + p.samples.len() as u64;
                self.waiting += 1;
                self.ended = p.is_last;
            }
            None => self.ended = true,
        }
        Ok(piece)
    }

    /// Takes the tokens of a piece.
    pub(crate) fn take(&mut self, model: &Parakeet, piece: &Piece, tokens: &[Decoded]) -> Result<(), Error> {
        let timing = Timing {
            frame_seconds: model.config().frame_seconds(),
            offset_seconds: piece.start_seconds(),
            span: if self.head == Head::Ctc { SpanRule::CTC } else { SpanRule::Emitted },
        };
        let spoken = assemble(tokens, model.vocabulary(), timing)?;
        self.waiting -= 1;
        self.heard.push(PieceTranscript {
            spoken,
            heard_from: piece.start_seconds(),
            heard_to: piece.start_seconds() + piece.seconds(),
            keep_from: piece.keep_from,
            keep_to: piece.keep_to,
        });
        Ok(())
    }

    /// Whether every piece is in.
    pub(crate) fn is_complete(&self) -> bool {
        self.ended && self.waiting == 0
    }

    /// Seconds read so far, and in all where known.
    pub(crate) fn seconds(&self) -> (f64, Option<f64>) {
        (self.samples as f64 / f64::from(SAMPLE_RATE), self.total)
    }

    /// What decoding the audio met with so far.
    pub(crate) fn stats(&self) -> StreamStats {
        self.reader.stream().stats()
    }

    /// Merges the pieces.
    pub(crate) fn finish(self, model: &Parakeet) -> Transcript {
        let info = TranscriptInfo {
            duration: self.seconds().0,
            language: None,
            frame_seconds: model.config().frame_seconds(),
            model: model.config().name.clone(),
        };
        let rules = SegmentRules::for_vocabulary(model.vocabulary());
        Transcript::build(merge_pieces(self.heard), &rules, info)
    }
}
