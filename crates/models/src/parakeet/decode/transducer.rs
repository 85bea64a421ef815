//! Greedy RNN-T and TDT decoding of a batch by label looping (Bataev et al. 2024), NeMo's default.
//!
//! Every clip of the batch is at its own frame. One round runs the joint for all clips still at work; those that emit
//! a token go through the prediction network together. A clip's tokens don't depend on its neighbours.

use super::{Decoded, argmax, confidence, probability};
use crate::error::ModelError;
use crate::parakeet::config::{ParakeetConfig, TransducerConfig};
use crate::parakeet::heads::{joint_graph, predictor_graph, predictor_states};
use mynah_device::Data;
use mynah_gguf::GgufFile;
use mynah_plan::{Executor, PlanKey, StateId};

/// One clip's frames, projected by `joint.enc`: `[frames, joint]`, only valid ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frames<'a> {
    pub(crate) projected: &'a [f32],
    /// Number of the first frame in the clip, added to the tokens' frames.
    pub(crate) first: usize,
}

/// Where one clip is.
struct Cursor {
    frame: usize,
    frames: usize,
    /// Symbols emitted at `frame` so far.
    symbols: usize,
    tokens: Vec<Decoded>,
}

/// What the logits of one frame say.
struct Choice {
    token: usize,
    /// Frames to advance, before the rules against standing still.
    duration: usize,
    confidence: f32,
}

/// The loop's surroundings.
pub(crate) struct Transducer<'a> {
    pub(crate) file: &'a GgufFile,
    pub(crate) config: &'a ParakeetConfig,
    pub(crate) head: &'a TransducerConfig,
    pub(crate) executor: &'a mut Executor,
}

impl Transducer<'_> {
    /// Decodes every clip.
    ///
    /// # Errors
    /// What planning or running the two graphs reports.
    pub(crate) fn greedy(&mut self, clips: &[Frames<'_>]) -> Result<Vec<Vec<Decoded>>, ModelError> {
        let mut states = Vec::new();
        for decl in predictor_states(self.head) {
            states.push(self.executor.create_state(&decl, clips.len())?);
        }
        let result = self.decode(clips, &states);
        for state in states {
            self.executor.drop_state(state);
        }
        result
    }

    fn decode(&mut self, clips: &[Frames<'_>], states: &[StateId]) -> Result<Vec<Vec<Decoded>>, ModelError> {
        let width = self.head.joint;
        let frames = |c: &Frames<'_>| c.projected.len() / width;
        let mut cursors: Vec<Cursor> = clips
            .iter()
            .map(|c| Cursor { frame: 0, frames: frames(c), symbols: 0, tokens: Vec::new() })
            .collect();
        let mut predicted = vec![0.0; clips.len() * width];
        // The start of a sentence is the blank, whose embedding is the zero vector.
        let start: Vec<(usize, usize)> = (0..clips.len()).map(|clip| (clip, self.config.blank())).collect();
        self.predict(&start, states, &mut predicted)?;
        let mut projected = Vec::new();
        let mut known = Vec::new();
        loop {
            let active: Vec<usize> =
                (0..clips.len()).filter(|&i| cursors[i].frame < cursors[i].frames).collect();
            if active.is_empty() {
                break;
            }
            projected.clear();
            known.clear();
            for &i in &active {
                let at = cursors[i].frame * width;
                projected.extend_from_slice(&clips[i].projected[at..at + width]);
                known.extend_from_slice(&predicted[i * width..(i + 1) * width]);
            }
            let choices = self.join(active.len(), &projected, &known)?;
            let mut emitted = Vec::new();
            for (&i, choice) in active.iter().zip(&choices) {
                if self.advance(&mut cursors[i], choice, clips[i].first) {
                    emitted.push((i, choice.token));
                }
            }
            self.predict(&emitted, states, &mut predicted)?;
        }
        Ok(cursors.into_iter().map(|c| c.tokens).collect())
    }

    /// Moves a clip on by one choice. Returns whether a token was emitted.
    fn advance(&self, cursor: &mut Cursor, choice: &Choice, first: usize) -> bool {
        let emitted = choice.token != self.config.blank();
        if emitted {
            cursor.tokens.push(Decoded {
                id: choice.token as u32,
                frame: (first + cursor.frame) as u32,
                duration_frames: if self.head.durations.is_empty() { 1 } else { choice.duration as u32 },
                confidence: choice.confidence,
            });
            cursor.symbols += 1;
        }
        // A blank always moves on; a token moves on by its duration, or at the latest after `max_symbols`.
        let step = match (emitted, choice.duration) {
            (false, duration) => duration.max(1),
            (true, 0) if cursor.symbols >= self.head.max_symbols => 1,
            (true, duration) => duration,
        };
        if step > 0 {
            cursor.frame += step;
            cursor.symbols = 0;
        }
        emitted
    }

    /// Runs the joint on `batch` rows.
    fn join(
        &mut self,
        batch: usize,
        projected: &[f32],
        predicted: &[f32],
    ) -> Result<Vec<Choice>, ModelError> {
        let (file, config, head) = (self.file, self.config, self.head);
        let key = PlanKey { graph: "joint", dims: [batch, 0, 0, 0] };
        let plan = self.executor.plan(key, || joint_graph(file, config, head, batch))?;
        self.executor.run(plan, &[Data::F32(projected), Data::F32(predicted)], &[], &[])?;
        let logits = self.executor.output(plan, "logits")?;
        let tokens = config.vocabulary + 1;
        let choice = |row: &[f32]| {
            let (labels, durations) = row.split_at(tokens);
            let token = argmax(labels);
            let emits = token != config.blank();
            // RNN-T: a token stays at its frame, a blank moves on by one.
            let duration = if durations.is_empty() { 0 } else { head.durations[argmax(durations)] };
            let score = if emits { confidence(probability(labels, token), tokens) } else { 0.0 };
            Choice { token, duration, confidence: score }
        };
        Ok(logits.chunks_exact(tokens + head.durations.len()).map(choice).collect())
    }

    /// Runs the prediction network for the clips that emitted, and stores their new outputs.
    fn predict(
        &mut self,
        emitted: &[(usize, usize)],
        states: &[StateId],
        predicted: &mut [f32],
    ) -> Result<(), ModelError> {
        if emitted.is_empty() {
            return Ok(());
        }
        let (file, config, head) = (self.file, self.config, self.head);
        let key = PlanKey { graph: "predictor", dims: [emitted.len(), 0, 0, 0] };
        let plan = self.executor.plan(key, || predictor_graph(file, config, head, emitted.len()))?;
        let tokens: Vec<i32> = emitted.iter().map(|&(_, token)| token as i32).collect();
        let rows: Vec<i32> = emitted.iter().map(|&(clip, _)| clip as i32).collect();
        self.executor.run(plan, &[Data::I32(&tokens), Data::I32(&rows)], &[], states)?;
        let output = self.executor.output(plan, "predicted")?;
        for (&(clip, _), row) in emitted.iter().zip(output.chunks_exact(head.joint)) {
            predicted[clip * head.joint..(clip + 1) * head.joint].copy_from_slice(row);
        }
        Ok(())
    }
}
