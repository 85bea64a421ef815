//! Greedy RNN-T and TDT decoding of a batch by label looping (Bataev et al. 2024), NeMo's default.
//!
//! Every clip of the batch is at its own frame. One round runs the joint for all clips still at work; those that emit
//! a token go through the prediction network together. A clip's tokens don't depend on its neighbours.
//!
//! The joint's weights are read once per run, and that is what a run of few rows costs. So a clip gives it not only its
//! frame but the next ones too: as long as blanks follow, the prediction stays what it is and their rows are already
//! there. Rows behind a token are thrown away. A row has the same bits whatever the others are, so the tokens are those
//! of going frame by frame.
//!
//! That is the loop on the host. A device far from it, whose answers are dear to wait for, loops by itself ([`on_device`]).

mod on_device;

pub(crate) use on_device::Kept;

#[cfg(test)]
mod tests;

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

/// Rows of the joint that cost about as much as one: float kernels hide the latency of a row's sums behind three more,
/// integer kernels wait for the weights.
pub(crate) const ROWS: usize = 4;

/// Where one clip is.
struct Cursor {
    frame: usize,
    frames: usize,
    /// Frames the joint looks at in this round, from `frame` on.
    ahead: usize,
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
    /// The joint's rows come in multiples of this: [`ROWS`].
    pub(crate) rows: usize,
    /// What a loop on the device leaves for the next.
    pub(crate) kept: &'a mut Option<Kept>,
}

impl Transducer<'_> {
    /// Decodes every clip.
    ///
    /// # Errors
    /// What planning or running a graph reports.
    pub(crate) fn greedy(&mut self, clips: &[Frames<'_>]) -> Result<Vec<Vec<Decoded>>, ModelError> {
        if self.executor.device().dear_round_trips()
            && let Some(tokens) = on_device::greedy(self, clips)?
        {
            return Ok(tokens);
        }
        self.on_host(clips)
    }

    fn on_host(&mut self, clips: &[Frames<'_>]) -> Result<Vec<Vec<Decoded>>, ModelError> {
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
        let (config, head, width) = (self.config, self.head, self.head.joint);
        let start = |c: &Frames<'_>| {
            let frames = c.projected.len() / width;
            Cursor { frame: 0, frames, ahead: 0, symbols: 0, tokens: Vec::new() }
        };
        let mut cursors: Vec<Cursor> = clips.iter().map(start).collect();
        let mut predicted = vec![0.0; clips.len() * width];
        // The start of a sentence is the blank, whose embedding is the zero vector.
        let mut emitted: Vec<(usize, usize)> = (0..clips.len()).map(|c| (c, config.blank())).collect();
        let (mut projected, mut known) = (Vec::new(), Vec::new());
        loop {
            self.predict(&emitted, states, &mut predicted)?;
            emitted.clear();
            let active: Vec<usize> =
                (0..clips.len()).filter(|&i| cursors[i].frame < cursors[i].frames).collect();
            if active.is_empty() {
                break;
            }
            projected.clear();
            known.clear();
            // Few sizes share a plan, so the rows that make one up are given out too.
            let total = active.len().next_multiple_of(self.rows);
            for (at, &i) in active.iter().enumerate() {
                let cursor = &mut cursors[i];
                let share = total / active.len() + usize::from(at < total % active.len());
                cursor.ahead = share.min(cursor.frames - cursor.frame);
                let rows = cursor.frame * width..(cursor.frame + cursor.ahead) * width;
                projected.extend_from_slice(&clips[i].projected[rows]);
                for _ in 0..cursor.ahead {
                    known.extend_from_slice(&predicted[i * width..(i + 1) * width]);
                }
            }
            // Clips near their end leave rows that nobody looks at.
            projected.resize(total * width, 0.0);
            known.resize(total * width, 0.0);
            let logits = self.join(total, &projected, &known)?;
            let mut rows = logits.chunks_exact(logits.len() / total);
            for &i in &active {
                let window: Vec<&[f32]> = rows.by_ref().take(cursors[i].ahead).collect();
                let token = advance(config, head, &mut cursors[i], &window, clips[i].first);
                emitted.extend(token.map(|token| (i, token)));
            }
        }
        Ok(cursors.into_iter().map(|c| c.tokens).collect())
    }

    /// Runs the joint on `rows` rows. Returns their logits.
    fn join(&mut self, rows: usize, projected: &[f32], predicted: &[f32]) -> Result<&[f32], ModelError> {
        let (file, config, head) = (self.file, self.config, self.head);
        let key = PlanKey { graph: "joint", dims: [rows, 0, 0, 0] };
        let plan = self.executor.plan(key, || joint_graph(file, config, head, rows))?;
        self.executor.run(plan, &[Data::F32(projected), Data::F32(predicted)], &[], &[])?;
        Ok(self.executor.output(plan, "logits")?)
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

/// Moves a clip on by the rows of its window, which begins at its frame, up to the first token; returns that token.
fn advance(
    config: &ParakeetConfig,
    head: &TransducerConfig,
    cursor: &mut Cursor,
    window: &[&[f32]],
    first: usize,
) -> Option<usize> {
    let start = cursor.frame;
    while let Some(logits) = window.get(cursor.frame - start) {
        let choice = Choice::of(config, head, logits);
        let emitted = choice.token != config.blank();
        if emitted {
            cursor.tokens.push(Decoded {
                id: choice.token as u32,
                frame: (first + cursor.frame) as u32,
                duration_frames: if head.durations.is_empty() { 1 } else { choice.duration as u32 },
                confidence: choice.confidence,
            });
            cursor.symbols += 1;
        }
        // A blank always moves on; a token moves on by its duration, or at the latest after `max_symbols`.
        let step = match (emitted, choice.duration) {
            (false, duration) => duration.max(1),
            (true, 0) if cursor.symbols >= head.max_symbols => 1,
            (true, duration) => duration,
        };
        if step > 0 {
            cursor.frame += step;
            cursor.symbols = 0;
        }
        if emitted {
            return Some(choice.token);
        }
    }
    None
}

impl Choice {
    fn of(config: &ParakeetConfig, head: &TransducerConfig, logits: &[f32]) -> Self {
        let tokens = config.vocabulary + 1;
        let (labels, durations) = logits.split_at(tokens);
        let token = argmax(labels);
        let emits = token != config.blank();
        // RNN-T: a token stays at its frame, a blank moves on by one.
        let duration = if durations.is_empty() { 0 } else { head.durations[argmax(durations)] };
        let confidence = if emits { confidence(probability(labels, token), tokens) } else { 0.0 };
        Self { token, duration, confidence }
    }
}
