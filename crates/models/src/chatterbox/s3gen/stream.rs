//! Speech while its tokens are still being made.
//!
//! Attention sees all frames, so nothing of the encoder or the flow can be kept from chunk to chunk: each run takes all tokens so far
//! and its new frames are spoken. Noise belongs to frames, so what runs agree on they agree on exactly. As long as tokens follow,
//! the last frames are left out whose tokens have not seen what the look-ahead looks at.
//!
//! The vocoder depends on a few frames only. It is given the mel frames and the source before a chunk as far as it sees, and the
//! source goes on in phase, so a chunk's beginning sounds as in one long run. Its end does not, for want of what follows: the last
//! frame is held back and cross-faded with what the next chunk makes of it. At another speed all of that holds of the frames that
//! [`super::speed`] makes of the flow's.

use super::error::S3GenError;
use super::model::{Request, S3Gen, Speech};
use super::speed::{Pace, Speed};
use super::voice::S3Voice;
use crate::chatterbox::hift::fade::fade_in;
use crate::chatterbox::hift::source::SourceState;
use crate::chatterbox::noise::Noise;
use std::f32::consts::PI;
use std::sync::Arc;
use std::time::Instant;

/// Where chunks end, in tokens, 25 a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRule {
    /// Tokens of the first chunk, which decides how soon something is heard.
    pub first: usize,
    /// Tokens of the others.
    pub then: usize,
}

impl Default for ChunkRule {
    fn default() -> Self {
        Self { first: 10, then: 25 }
    }
}

impl ChunkRule {
    /// Where the chunk after `done` tokens ends, once enough of them are `available`, `finished` when no more will come. What would be
    /// left for a last chunk of less than six tokens, or a third of a chunk, is spoken with the one before.
    pub fn next(&self, done: usize, available: usize, finished: bool) -> Option<usize> {
        let tail = (self.then / 3).max(6);
        let end = done.saturating_add(if done == 0 { self.first } else { self.then }.max(1));
        if finished {
            let rest = available.saturating_sub(end);
            let whole = rest < tail;
            return (available > done).then_some(if whole { available } else { end });
        }
        // The first chunk is not kept waiting for tokens that only tell whether it is the last.
        let wanted = if done == 0 { end } else { end.saturating_add(tail) };
        (available >= wanted).then_some(end)
    }
}

/// One utterance, spoken chunk by chunk.
pub struct S3Stream {
    voice: S3Voice,
    noise: Arc<dyn Noise>,
    steps: Option<usize>,
    /// Tokens of the last chunk's run.
    tokens: usize,
    /// Mel frames of the flow that are spoken.
    frames: usize,
    /// What brings them to their speed.
    pace: Pace,
    /// Samples given out.
    samples: usize,
    /// The last mel frames and their source, as many as a sample depends on.
    mel: Vec<f32>,
    source: Vec<f32>,
    source_state: SourceState,
    /// Samples of the last frame, held back.
    held: Vec<f32>,
    ended: bool,
}

impl S3Stream {
    /// A stream in a voice, at the model's own speed. `steps` overrules the file's number of steps of the flow.
    pub fn new(voice: S3Voice, noise: Arc<dyn Noise>, steps: Option<usize>) -> Self {
        Self {
            voice,
            noise,
            steps,
            tokens: 0,
            frames: 0,
            pace: Pace::new(Speed::default()),
            samples: 0,
            mel: Vec::new(),
            source: Vec::new(),
            source_state: SourceState::default(),
            held: Vec::new(),
            ended: false,
        }
    }

    /// The same stream at another speed; to be called before its first chunk.
    #[must_use]
    pub fn at_speed(mut self, speed: Speed) -> Self {
        self.pace = Pace::new(speed);
        self
    }

    /// Speaks what further tokens bring; `tokens` are all so far. Gives nothing while there are too few. The `last` chunk ends the
    /// stream.
    ///
    /// # Errors
    /// [`S3GenError::Stream`] for a chunk that takes tokens back or follows the last, else as [`S3Gen::synthesize`]. The stream is
    /// then as it was.
    pub fn push(&mut self, model: &mut S3Gen, tokens: &[u32], last: bool) -> Result<Speech, S3GenError> {
        if self.ended || tokens.len() < self.tokens {
            let given = tokens.len();
            let reason = match self.ended {
                true => "has ended".to_owned(),
                false => format!("had {} tokens and was given {given}", self.tokens),
            };
            return Err(S3GenError::Stream { reason });
        }
        let flow = &model.config.flow;
        let left_out = if last { 0 } else { flow.lookahead * flow.ratio };
        let frames = (tokens.len() * flow.ratio).saturating_sub(left_out);
        let mut speech = Speech::default();
        if frames > self.frames || last {
            self.speak(model, tokens, last, &mut speech)?;
        }
        fade_in(&mut speech.samples, self.samples);
        self.samples += speech.samples.len();
        self.tokens = tokens.len();
        self.ended = last;
        Ok(speech)
    }

    /// Samples given out so far.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Runs all stages for the frames that are new, or of the last chunk gives what is held back.
    fn speak(
        &mut self,
        model: &mut S3Gen,
        tokens: &[u32],
        last: bool,
        speech: &mut Speech,
    ) -> Result<(), S3GenError> {
        let bins = model.config.flow.bins;
        let request = Request { voice: &self.voice, tokens, noise: &*self.noise };
        let mels = model.mels(&[request], self.steps, !last, &mut speech.times)?;
        let all = mels.first().map_or(&[][..], Vec::as_slice);
        let fresh = all.get(self.frames * bins..).unwrap_or_default();
        let mut pace = self.pace.clone();
        let timed = pace.take(fresh, bins, last);
        if !timed.is_empty() {
            self.vocode(model, &timed, last, speech)?;
        } else if last {
            speech.samples = std::mem::take(&mut self.held);
        }
        self.pace = pace;
        self.frames += fresh.len() / bins;
        Ok(())
    }

    /// Samples of further mel frames, in their speed.
    fn vocode(
        &mut self,
        model: &mut S3Gen,
        fresh: &[f32],
        last: bool,
        speech: &mut Speech,
    ) -> Result<(), S3GenError> {
        let (bins, frame) = (model.config.flow.bins, model.config.frame_samples());
        let count = fresh.len() / bins;
        let before = self.mel.len() / bins;
        let mel = [self.mel.as_slice(), fresh].concat();

        let began = Instant::now();
        let f0 = model.hift.pitch(&mut model.plain, &mel)?;
        speech.times.pitch = began.elapsed();
        let began = Instant::now();
        let mut state = self.source_state;
        let more = model.hift.source(&f0[f0.len().saturating_sub(count)..], &mut state, &*self.noise)?;
        let source = [self.source.as_slice(), &more].concat();
        speech.times.source = began.elapsed();
        let began = Instant::now();
        let pcm = model.hift.vocode(&mut model.executor, &mel, &source, &model.cancel)?;
        speech.times.vocoder = began.elapsed();

        let (old, new) = pcm.split_at(before * frame);
        let mut samples = std::mem::take(&mut self.held);
        let again = &old[old.len() - samples.len()..];
        cross_fade(&mut samples, again);
        let (now, held) = new.split_at(if last { new.len() } else { new.len().saturating_sub(frame) });
        samples.extend_from_slice(now);
        speech.samples = samples;
        self.held = held.to_vec();
        let kept = (before + count).min(model.config.hift.reach() + 1);
        self.mel = mel[(before + count - kept) * bins..].to_vec();
        self.source = source[(before + count - kept) * frame..].to_vec();
        self.source_state = state;
        Ok(())
    }
}

/// From samples to others of the same place, along a raised cosine.
fn cross_fade(from: &mut [f32], to: &[f32]) {
    let n = from.len() as f32;
    for (i, (x, &y)) in from.iter_mut().zip(to).enumerate() {
        let weight = 0.5 - 0.5 * libm::cosf(PI * (i as f32 + 0.5) / n);
        *x += (y - *x) * weight;
    }
}

#[cfg(test)]
mod tests {
    use super::ChunkRule;

    /// Where chunks end when tokens come one by one.
    fn ends(rule: ChunkRule, tokens: usize) -> Vec<usize> {
        let (mut done, mut ends) = (0, Vec::new());
        for available in 1..=tokens {
            while let Some(end) = rule.next(done, available, available == tokens) {
                ends.push(end);
                done = end;
            }
        }
        ends
    }

    #[test]
    fn chunks_end_where_the_rule_says_and_short_tails_are_merged() {
        let rule = ChunkRule::default();
        assert_eq!(ends(rule, 10), [10]);
        assert_eq!(ends(rule, 60), [10, 35, 60]);
        assert_eq!(ends(rule, 67), [10, 35, 67]);
        assert_eq!(ends(rule, 68), [10, 35, 60, 68]);
        assert_eq!(ends(rule, 3), [3]);
        assert_eq!(ends(rule, 0), Vec::<usize>::new());
        assert_eq!(ends(ChunkRule { first: 0, then: 0 }, 9).last(), Some(&9));
    }
}
