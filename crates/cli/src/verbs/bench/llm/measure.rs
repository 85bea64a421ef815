//! A model's steps, timed.

use crate::exit::Usage;
use crate::flags::ModelFlags;
use crate::notes::Volume;
use crate::verbs::bench::weights::{TokenCost, main_type};
use crate::{memory, mind};
use mynah::{DeviceChoice, Policy};
use mynah_models::language::{LanguageModel, Piece, Wanted};
use mynah_plan::Executor;
use mynah_runtime::{Engine, EngineOptions, Event, Finish, Greedy, Request};
use mynah_tensor::{DType, Rng};
use std::time::{Duration, Instant};

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Reading a prompt.
    Prompt,
    /// Writing tokens one after the other.
    Tokens,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Test {
    pub(super) kind: Kind,
    /// Tokens read or written in each sequence.
    pub(super) tokens: usize,
    /// Tokens there before.
    pub(super) depth: usize,
    pub(super) sequences: usize,
    /// Tokens drafted for each step of writing; with some the text is the model's own, greedily.
    pub(super) drafts: usize,
}

impl Test {
    /// `pp512`, `tg128 @ d4096 × 8`.
    pub(super) fn name(&self) -> String {
        let kind = if self.kind == Kind::Prompt { "pp" } else { "tg" };
        let mut name = format!("{kind}{}", self.tokens);
        if self.depth > 0 {
            name += &format!(" @ d{}", self.depth);
        }
        if self.sequences > 1 {
            name += &format!(" × {}", self.sequences);
        }
        if self.drafts > 0 {
            name += &format!(", {} drafts", self.drafts);
        }
        name
    }
}

/// A model to be measured.
pub(super) struct Model {
    /// Without sequences but while drafts are measured; all else steps the model itself.
    engine: Engine,
    pub(super) name: String,
    pub(super) dtype: DType,
    pub(super) policy: Policy,
    pub(super) device: String,
    pub(super) threads: usize,
    pub(super) on_gpu: bool,
    pub(super) cost: TokenCost,
    pub(super) file_bytes: u64,
    chunk: usize,
    rng: Rng,
}

/// What was measured of a test.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// Tokens a second of each repetition.
    pub(super) rates: Vec<f64>,
    /// Tokens that were drafted, and of them those that were right.
    pub(super) drafts: [u64; 2],
}

/// A sequence on its way.
struct Place {
    row: usize,
    pages: Vec<u32>,
    past: usize,
}

impl Model {
    /// Loads a model.
    ///
    /// # Errors
    /// What is wrong with the file or the device.
    pub(super) fn open(
        flags: &ModelFlags,
        chunk: usize,
        [sequences, drafts]: [usize; 2],
        volume: Volume,
    ) -> anyhow::Result<Self> {
        // Models measured before, and the memory that was read for the ceilings, aren't this one's.
        memory::forget_peak();
        let mind::Loaded { file, model, device, policy } = mind::load(flags, drafts, volume)?;
        let report = device.report();
        let options = EngineOptions { sequences, chunk, checkpoints: 0, ..EngineOptions::default() };
        Ok(Self {
            name: model.name().to_owned(),
            dtype: main_type(&file, |_| true),
            policy,
            device: format!("{} ({})", report.description, report.features.join(" ")),
            threads: report.parallelism,
            on_gpu: matches!(flags.device.resolve(), DeviceChoice::Gpu(_)),
            cost: TokenCost::of(&file),
            file_bytes: file.tensors().iter().map(|tensor| tensor.nbytes as u64).sum(),
            chunk,
            rng: Rng::new(1),
            engine: Engine::new(model, options).map_err(mynah::Error::from)?,
        })
    }

    fn model(&mut self) -> &mut dyn LanguageModel {
        self.engine.model_mut()
    }

    /// Bytes of recurrent states of a sequence, and of keys and values of a token.
    pub(super) fn state_bytes(&self) -> (f64, f64) {
        let (bytes, page) = (self.engine.model().state_bytes(), self.engine.model().page());
        // Of the snapshots one is read.
        (bytes.saved_row as f64, bytes.page as f64 / page.max(1) as f64)
    }

    /// Bytes on the device, and the most that the process has had.
    pub(super) fn memory(&self) -> (u64, Option<u64>) {
        (self.engine.model().memory() as u64, memory::peak())
    }

    /// The executor, for profiles.
    pub(super) fn executor(&mut self) -> Option<&mut Executor> {
        self.model().executor()
    }

    /// Times a test.
    ///
    /// # Errors
    /// Too little context or memory; what running the model reports.
    pub(super) fn run(&mut self, test: &Test, reps: usize) -> anyhow::Result<Measured> {
        let length = test.depth + test.tokens + usize::from(test.drafts > 0);
        let room = self.engine.model().context();
        if length > room {
            return Err(Usage::plain(format!(
                "{} needs a context of {length} tokens, the model has {room}",
                test.name()
            ))
            .into());
        }
        if test.drafts > 0 {
            return self.run_drafting(test, reps);
        }
        let each = length.div_ceil(self.model().page().max(1));
        // Recurrent states can't go back, so those at the depth are kept in rows of their own.
        self.model().reserve(2 * test.sequences, each * test.sequences)?;
        let mut places: Vec<Place> = (0..test.sequences)
            .map(|row| {
                let pages = (row * each..(row + 1) * each).map(|page| page as u32).collect();
                Place { row, pages, past: 0 }
            })
            .collect();
        for place in &places {
            self.model().reset(place.row)?;
        }
        self.read(&mut places, test.depth)?;
        for place in &places {
            self.model().copy_row(place.row, test.sequences + place.row)?;
        }
        let mut rates = Vec::with_capacity(reps);
        for counted in std::iter::once(false).chain(std::iter::repeat_n(true, reps)) {
            for place in &mut places {
                self.model().copy_row(test.sequences + place.row, place.row)?;
                place.past = test.depth;
            }
            let begin = Instant::now();
            match test.kind {
                Kind::Prompt => self.read(&mut places, test.tokens)?,
                Kind::Tokens => self.write(&mut places, test.tokens)?,
            }
            let time = begin.elapsed().max(Duration::from_nanos(1));
            if counted {
                rates.push((test.tokens * test.sequences) as f64 / time.as_secs_f64());
            }
        }
        Ok(Measured { rates, drafts: [0; 2] })
    }

    /// Times writing with drafts. What is drafted right depends on what the model says, so it says it: greedily, after random tokens.
    /// Counted are the tokens from where all sequences answer to where all are done.
    fn run_drafting(&mut self, test: &Test, reps: usize) -> anyhow::Result<Measured> {
        let mut measured = Measured::default();
        let vocabulary = self.engine.model().vocabulary();
        self.engine.set_drafts(test.drafts).map_err(mynah::Error::from)?;
        for counted in std::iter::once(false).chain(std::iter::repeat_n(true, reps)) {
            for _ in 0..test.sequences {
                let prompt = (0..test.depth.max(1)).map(|_| self.rng.below(vocabulary) as u32).collect();
                // One more, which the prompt's step says.
                let max_tokens = Some(test.tokens + 1);
                let request = Request { prompt, max_tokens, ends: Vec::new(), chooser: Box::new(Greedy) };
                self.engine.submit(request).map_err(mynah::Error::from)?;
            }
            let mut answering = 0;
            while answering < test.sequences && !self.engine.is_idle() {
                let events = self.engine.step();
                answering += events
                    .iter()
                    .filter(|e| matches!(e, Event::Prompt { done, of, .. } if done == of))
                    .count();
                said(&events)?;
            }
            let (before, begin) = (self.engine.usage(), Instant::now());
            let mut tokens = 0;
            while !self.engine.is_idle() {
                tokens += said(&self.engine.step())?;
            }
            let (time, after) = (begin.elapsed().max(Duration::from_nanos(1)), self.engine.usage());
            if counted {
                measured.rates.push(tokens as f64 / time.as_secs_f64());
                measured.drafts[0] += after.drafted - before.drafted;
                measured.drafts[1] += after.accepted - before.accepted;
            }
        }
        Ok(measured)
    }

    /// Reads so many tokens into each sequence; the last step gives logits.
    fn read(&mut self, places: &mut [Place], tokens: usize) -> anyhow::Result<()> {
        let each = (self.chunk / places.len()).max(1);
        let mut left = tokens;
        while left > 0 {
            let now = left.min(each);
            left -= now;
            self.step(places, now, if left == 0 { Wanted::Last } else { Wanted::None })?;
        }
        Ok(())
    }

    /// Writes so many tokens in each sequence.
    fn write(&mut self, places: &mut [Place], tokens: usize) -> anyhow::Result<()> {
        (0..tokens).try_for_each(|_| self.step(places, 1, Wanted::Last))
    }

    fn step(&mut self, places: &mut [Place], tokens: usize, wanted: Wanted) -> anyhow::Result<()> {
        let vocabulary = self.engine.model().vocabulary();
        let random: Vec<Vec<u32>> =
            places.iter().map(|_| (0..tokens).map(|_| self.rng.below(vocabulary) as u32).collect()).collect();
        let pieces: Vec<Piece<'_>> = places
            .iter()
            .zip(&random)
            .map(|(place, tokens)| Piece {
                row: place.row,
                pages: &place.pages,
                past: place.past,
                snapshot: 0,
                tokens,
                wanted,
            })
            .collect();
        self.engine.model_mut().step(&pieces)?;
        for place in places {
            place.past += tokens;
        }
        Ok(())
    }
}

/// Tokens that an engine's step has said.
///
/// # Errors
/// What ended a sequence before its time.
fn said(events: &[Event]) -> anyhow::Result<usize> {
    for event in events {
        if let Event::Finished { reason: Finish::Failed(error), .. } = event {
            return Err(mynah::Error::from(std::sync::Arc::clone(error)).into());
        }
    }
    Ok(events.iter().filter(|event| matches!(event, Event::Token { .. })).count())
}
