//! Many recordings through one model: pieces of one or several recordings are encoded and decoded together.
//!
//! A piece's tokens don't depend on its neighbours in the batch, so the batch size changes speed and memory, never the
//! transcript.

use crate::error::Error;
use crate::pipeline::Recording;
use crate::share;
use crate::{Progress, TranscribeOptions, Transcriber};
use mynah_audio::{AudioError, AudioStream, Piece, StreamStats};
use mynah_text::Transcript;
use std::collections::VecDeque;

/// The result of one recording.
pub struct Finished<K> {
    /// What the caller calls it.
    pub key: K,
    /// Its transcript, or what went wrong with it alone.
    pub result: Result<Transcript, Error>,
    /// What decoding it met with; `None` if it could not be opened.
    pub audio: Option<StreamStats>,
}

/// A run over many recordings.
pub struct Batch<'a> {
    /// The recogniser.
    pub transcriber: &'a mut Transcriber,
    /// How to transcribe.
    pub options: &'a TranscribeOptions,
}

/// A recording in work.
struct Slot<K> {
    key: K,
    recording: Recording,
    /// A piece that was read but has to wait for the next round.
    held: Option<Piece>,
    failed: Option<Error>,
}

impl Batch<'_> {
    /// Transcribes every input in order; `finished` gets each result as it is ready. Input that can't be decoded fails
    /// alone; an error returned here is one of the model, which ends the run.
    ///
    /// # Errors
    /// The head asked for doesn't exist, or the model failed.
    pub fn run<K>(
        &mut self,
        inputs: &mut dyn Iterator<Item = (K, Result<AudioStream, AudioError>)>,
        progress: &mut dyn FnMut(Progress),
        finished: &mut dyn FnMut(Finished<K>),
    ) -> Result<(), Error> {
        let head = self.transcriber.model.head(self.options.head)?;
        let batch = self.options.batch;
        let mut open: VecDeque<Slot<K>> = VecDeque::new();
        let mut more = true;
        let mut done = 0.0;
        while more || !open.is_empty() {
            let mut pieces: Vec<(usize, Piece)> = Vec::new();
            let mut failed = None;
            let mut at = 0;
            while has_room(batch, &pieces) && (at < open.len() || more) {
                if at == open.len() {
                    match inputs.next() {
                        None => {
                            more = false;
                            continue;
                        }
                        Some((key, Err(e))) => {
                            let failure = Finished { key, result: Err(e.into()), audio: None };
                            if batch == 0 && !pieces.is_empty() {
                                // Its turn comes after those before it, which this round completes.
                                failed = Some(failure);
                                break;
                            }
                            finished(failure);
                            continue;
                        }
                        Some((key, Ok(audio))) => {
                            let recording = Recording::new(audio, self.options.pieces, head);
                            open.push_back(Slot { key, recording, held: None, failed: None });
                        }
                    }
                }
                let slot = &mut open[at];
                let next = match slot.held.take() {
                    Some(piece) => Ok(Some(piece)),
                    None => slot.recording.next_piece(),
                };
                match next {
                    Ok(Some(piece)) => {
                        if batch == 0 && !fits(&pieces, &piece) {
                            slot.held = Some(piece);
                            break;
                        }
                        pieces.push((at, piece));
                    }
                    Ok(None) => at += 1,
                    Err(e) => {
                        slot.failed = Some(e);
                        at += 1;
                    }
                }
            }
            self.hear(&pieces, &mut open)?;
            // Recordings that failed or have every piece in leave, in order of input.
            let mut rest = VecDeque::new();
            for slot in open {
                let audio = Some(slot.recording.stats());
                if let Some(e) = slot.failed {
                    finished(Finished { key: slot.key, result: Err(e), audio });
                } else if slot.recording.is_complete() {
                    done += slot.recording.seconds().0;
                    let transcript = slot.recording.finish(&self.transcriber.model);
                    finished(Finished { key: slot.key, result: Ok(transcript), audio });
                } else {
                    rest.push_back(slot);
                }
            }
            failed.into_iter().for_each(&mut *finished);
            open = rest;
            report(&open, done, progress);
        }
        Ok(())
    }

    /// Recognises a batch of pieces and hands the tokens to their recordings.
    fn hear<K>(&mut self, pieces: &[(usize, Piece)], open: &mut VecDeque<Slot<K>>) -> Result<(), Error> {
        if pieces.is_empty() {
            return Ok(());
        }
        let head = self.transcriber.model.head(self.options.head)?;
        let audible: Vec<&[f32]> =
            pieces.iter().map(|(_, p)| p.samples.as_slice()).filter(|s| is_audible(s)).collect();
        let mut heard = self.transcriber.model.recognize(&audible, head)?.into_iter();
        for (at, piece) in pieces {
            let tokens =
                if is_audible(&piece.samples) { heard.next().unwrap_or_default() } else { Vec::new() };
            open[*at].recording.take(&self.transcriber.model, piece, &tokens)?;
        }
        Ok(())
    }
}

/// Whether more pieces may join. Unless a number was asked for, only whole short recordings share a run: who listens to a
/// long one as it comes in waits for no second piece.
fn has_room(batch: usize, pieces: &[(usize, Piece)]) -> bool {
    match (batch, pieces.last()) {
        (_, None) => true,
        (0, Some((_, last))) => last.is_last && last.start_sample == 0,
        (batch, _) => pieces.len() < batch,
    }
}

/// Whether a piece is worth joining those there are.
fn fits(pieces: &[(usize, Piece)], next: &Piece) -> bool {
    let lengths: Vec<usize> = pieces.iter().map(|(_, p)| p.samples.len()).collect();
    share::joins(&lengths, next.samples.len())
}

/// Whether anything rises above the last bit of 16-bit audio. Features are normalised over a clip, so a model hears
/// digital silence as loud as speech and makes up words for it.
fn is_audible(samples: &[f32]) -> bool {
    samples.iter().any(|x| x.abs() > 1.5 / 32768.0)
}

/// Progress of everything read so far; the total is known only when every open recording knows its own.
fn report<K>(open: &VecDeque<Slot<K>>, done: f64, progress: &mut dyn FnMut(Progress)) {
    let seconds = open.iter().map(|s| s.recording.seconds().0).sum::<f64>() + done;
    let totals: Option<Vec<f64>> = open.iter().map(|s| s.recording.seconds().1).collect();
    progress(Progress { seconds, total: totals.map(|t| t.iter().sum::<f64>() + done) });
}
