//! The same loop without the host in it: rounds are repeated on the device, many to a run, and what each clip emitted is
//! read from its log in between.
//!
//! A device whose round trips cost as much as some rounds would otherwise wait most of the time. All clips go through every
//! round; those at their end stand still. Nothing but tokens, frames and durations is computed, so they are those of the
//! host's loop wherever a row's bits don't depend on the other rows.

use super::{Decoded, Frames, Transducer};
use crate::error::ModelError;
use crate::parakeet::heads::{RoundDims, transducer_graph, transducer_states};
use mynah_device::{Data, DeviceError};
use mynah_graph::transducer::{LIMIT, TransducerAdvance, cursor, entry};
use mynah_plan::{PlanError, PlanId, PlanKey, StateId};
use std::ops::Range;

/// Rounds of a run at most, and so the tokens that a clip's log must hold.
const ROUNDS: usize = 64;
/// Encoder frames that a round moves a clip on by, as long as nothing else is known.
const PACE: usize = 3;
/// Rows of the joint's product that cost no more than one.
const ROWS: usize = 8;
/// Rows of the state of frames come in multiples of this, so that clips of like length can share it.
const BUCKET: usize = 64;
/// Frames in more bytes than this are given back after each decoding.
const KEPT_BYTES: usize = 64 << 20;
/// Frames each clip looks ahead at least: blanks between tokens are seldom more.
const AHEAD: usize = 4;

/// Decodes every clip; `None` where the device can't hold the clips or lacks a step, which leaves them to the host's loop.
///
/// # Errors
/// What planning or running the graph reports.
pub(super) fn greedy(
    t: &mut Transducer<'_>,
    clips: &[Frames<'_>],
) -> Result<Option<Vec<Vec<Decoded>>>, ModelError> {
    let spans = spans(clips, t.head.joint);
    let total = spans.last().map_or(0, |span| span.end);
    if total == 0 {
        return Ok(Some(vec![Vec::new(); clips.len()]));
    }
    let dims =
        RoundDims { clips: clips.len(), ahead: (ROWS / clips.len()).clamp(AHEAD, ROWS), entries: ROUNDS };
    if !fits(t, dims, total) {
        return Ok(None);
    }
    let (file, config, head) = (t.file, t.config, t.head);
    let key = PlanKey { graph: "transducer", dims: [dims.clips, dims.ahead, dims.entries, 0] };
    let plan = match t.executor.plan(key, || transducer_graph(file, config, head, dims)) {
        Ok(plan) => plan,
        Err(ModelError::Plan(PlanError::Device(DeviceError::Unsupported(reason)))) => {
            tracing::debug!(%reason, "decoding loops on the host");
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let mut kept = Kept::take(t, dims, total);
    let result =
        kept.fill(t, dims, clips, &spans).and_then(|()| decode(t, plan, &kept.states, clips, &spans));
    if result.is_ok() && 4 * kept.frames * t.head.joint <= KEPT_BYTES {
        *t.kept = Some(kept);
    } else {
        kept.give_back(t);
    }
    result.map(Some)
}

/// The state tensors of a decoding, kept for the next of as many clips: making them anew, and binding every step to them, would take
/// as long as some rounds.
#[derive(Debug)]
pub(crate) struct Kept {
    clips: usize,
    /// Rows of the state of frames.
    frames: usize,
    /// In the order of [`transducer_states`], empty before the first use.
    states: Vec<StateId>,
}

impl Kept {
    /// What was kept, if it fits and is not far too large to be filled; otherwise nothing, with room for the frames in mind.
    fn take(t: &mut Transducer<'_>, dims: RoundDims, total: usize) -> Self {
        let fits = total..=4 * total.next_multiple_of(BUCKET);
        match t.kept.take() {
            Some(kept) if kept.clips == dims.clips && fits.contains(&kept.frames) => kept,
            other => {
                if let Some(kept) = other {
                    kept.give_back(t);
                }
                let frames = total.next_multiple_of(BUCKET);
                Self { clips: dims.clips, frames, states: Vec::new() }
            }
        }
    }

    /// Brings every state to the start of the clips.
    fn fill(
        &mut self,
        t: &mut Transducer<'_>,
        dims: RoundDims,
        clips: &[Frames<'_>],
        spans: &[Range<usize>],
    ) -> Result<(), ModelError> {
        let decls = transducer_states(t.head, dims.entries);
        let frames = decls.len() - 2;
        for (i, decl) in decls.iter().enumerate() {
            let rows = if i == frames { self.frames } else { self.clips };
            if self.states.len() == i {
                self.states.push(t.executor.create_state(decl, rows)?);
            }
            let mut contents = match i.checked_sub(frames) {
                None => Vec::new(),
                Some(0) => clips.iter().map(|clip| clip.projected).collect::<Vec<_>>().concat(),
                Some(_) => start(spans, t.config.blank()),
            };
            contents.resize(rows * decl.row.numel(), 0.0);
            t.executor.restore(self.states[i], &contents)?;
        }
        Ok(())
    }

    fn give_back(self, t: &mut Transducer<'_>) {
        for state in self.states {
            t.executor.drop_state(state);
        }
    }
}

/// The rows of each clip's frames when all stand one after the other.
fn spans(clips: &[Frames<'_>], width: usize) -> Vec<Range<usize>> {
    let mut end = 0;
    let mut span = |clip: &Frames<'_>| {
        let first = end;
        end += clip.projected.len() / width;
        first..end
    };
    clips.iter().map(&mut span).collect()
}

/// Whether the numbers of all frames can be held exactly, and the largest tensors in one piece.
fn fits(t: &Transducer<'_>, dims: RoundDims, total: usize) -> bool {
    let outputs = t.config.vocabulary + 1 + t.head.durations.len();
    let largest = (total.next_multiple_of(BUCKET) * t.head.joint).max(dims.clips * dims.ahead * outputs);
    total < LIMIT && t.executor.device().whole_tensors().is_none_or(|limit| 4 * largest <= limit)
}

/// Cursors at the start of each clip. The start of a sentence is the blank, whose embedding is the zero vector.
fn start(spans: &[Range<usize>], blank: usize) -> Vec<f32> {
    let row = TransducerAdvance::row(ROUNDS);
    let mut cursors = vec![0.0; spans.len() * row];
    for (cursor, span) in cursors.chunks_exact_mut(row).zip(spans) {
        (cursor[cursor::AT], cursor[cursor::END]) = (span.start as f32, span.end as f32);
        (cursor[cursor::TOKEN], cursor[cursor::PENDING]) = (blank as f32, 1.0);
    }
    cursors
}

fn decode(
    t: &mut Transducer<'_>,
    plan: PlanId,
    states: &[StateId],
    clips: &[Frames<'_>],
    spans: &[Range<usize>],
) -> Result<Vec<Vec<Decoded>>, ModelError> {
    let rows: Vec<i32> = (0..clips.len() as i32).collect();
    let mut tokens: Vec<Vec<Decoded>> = vec![Vec::new(); clips.len()];
    let longest = spans.iter().map(Range::len).max().unwrap_or(0);
    let (mut left, mut run) = (longest, 0);
    // Frames and tokens of all clips: each round of a clip that is not at its end adds to them.
    let mut progress = spans.iter().map(|span| span.start).sum::<usize>();
    while left > 0 {
        // As many as the clips will need at the pace so far; a few too many cost less than another round trip.
        let passed = longest - left;
        let rounds = if passed == 0 { left.div_ceil(PACE) } else { (left * run).div_ceil(passed) + 1 };
        let rounds = rounds.clamp(AHEAD, ROUNDS);
        t.executor.run_repeatedly(plan, &[Data::I32(&rows)], &[], states, rounds - 1)?;
        run += rounds;
        let cursors = t.executor.output(plan, "cursors")?;
        left = 0;
        let before = std::mem::take(&mut progress);
        let found = cursors.chunks_exact(TransducerAdvance::row(ROUNDS)).zip(spans).zip(clips);
        for (((row, span), clip), tokens) in found.zip(&mut tokens) {
            let (entries, _) = row[cursor::LEN..].as_chunks::<{ entry::LEN }>();
            for logged in tokens.len()..row[cursor::LOGGED] as usize {
                tokens.push(token(&entries[logged % ROUNDS], clip.first, span.start));
            }
            left = left.max(span.end.saturating_sub(row[cursor::AT] as usize));
            progress += row[cursor::AT] as usize + row[cursor::LOGGED] as usize;
        }
        if left > 0 && progress <= before {
            let reason = "the clips don't move on".to_owned();
            return Err(PlanError::from(DeviceError::Kernel { node: "cursors".into(), reason }).into());
        }
    }
    Ok(tokens)
}

/// A log entry as a token of a clip whose first frame is row `start`, and number `first` in its recording.
fn token(entry: &[f32; entry::LEN], first: usize, start: usize) -> Decoded {
    Decoded {
        id: entry[entry::TOKEN] as u32,
        frame: (first + entry[entry::FRAME] as usize - start) as u32,
        duration_frames: entry[entry::DURATION] as u32,
        confidence: entry[entry::CONFIDENCE],
    }
}
