//! A sequence under way: the rows that it begins with, and a token more at a time.

use super::align::{ALIGNED_HEADS, AlignedKeys, Alignment};
use super::conditioning::Conditioning;
use super::config::{Backbone, T3Config};
use super::error::T3Error;
use super::model::T3;
use super::step::{PrefillDims, StepDims, number, page_bucket, prefill_graph, step_graph, text_bucket};
use crate::error::ModelError;
use mynah_device::Data;
use mynah_plan::{Executor, PlanId, PlanKey};

/// A voice and a text that speech tokens are put behind. Its pages are the model's until [`T3::finish`] takes it back.
#[derive(Debug)]
pub struct Sequence {
    /// Pages of each row of the batch; the second row has no text.
    pub(super) pages: Vec<Vec<i32>>,
    /// Rows before the first token.
    prefix: usize,
    /// Tokens behind them.
    pub(super) tokens: usize,
    pub(super) aligned: Option<AlignedKeys>,
    /// Attention over the text of the rows that the last step added.
    pub(super) attention: Vec<f32>,
    /// The same of the beginning, for an attempt that starts again.
    first_attention: Vec<f32>,
}

impl Sequence {
    /// Rows of the batch it takes: two with guidance.
    pub fn rows(&self) -> usize {
        self.pages.len()
    }

    /// Rows of the sequence so far, those of the voice and the text among them.
    pub fn len(&self) -> usize {
        self.prefix + self.tokens
    }

    /// Whether nothing is there yet; never the case.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Goes back to where no token was behind the text.
    pub(super) fn rewind(&mut self) {
        self.tokens = 0;
        if let Some(keys) = &mut self.aligned {
            keys.truncate(self.prefix);
        }
        self.attention.clone_from(&self.first_attention);
    }
}

/// The text as the model reads it, and where in the sequence it is.
struct Text {
    ids: Vec<i32>,
    first: usize,
    /// Rows before the first token.
    prefix: usize,
}

impl Text {
    fn new(config: &T3Config, conditioning: &Conditioning, text: &[u32]) -> Result<Self, T3Error> {
        let vocabulary = config.text_vocabulary;
        if let Some(&token) = text.iter().find(|&&t| t as usize >= vocabulary) {
            return Err(T3Error::Token { what: "text", token: token.into(), vocabulary });
        }
        if text.is_empty() {
            return Err(T3Error::NoText);
        }
        let ids = text.iter().map(|&t| number(t as usize));
        let (ids, first, limit) = match &config.backbone {
            Backbone::Llama(llama) => {
                let [start, stop] = [llama.start_text, llama.stop_text].map(|t| number(t as usize));
                let ids: Vec<i32> = [start].into_iter().chain(ids).chain([stop]).collect();
                (ids, conditioning.count + usize::from(llama.emotion), llama.text_positions)
            }
            Backbone::Gpt2 { positions } => {
                (ids.collect(), conditioning.count, positions.saturating_sub(conditioning.count + 1))
            }
        };
        let found = ids.len();
        if found > limit {
            return Err(T3Error::TooLong { what: "the text", unit: "tokens", found, limit });
        }
        let starts = if config.llama().is_some() { 2 } else { 1 };
        Ok(Self { prefix: first + found + starts, ids, first })
    }
}

impl T3 {
    /// Tokens that may be drawn behind a text of so many tokens before a table of positions ends. The last one drawn is not read.
    pub fn room(&self, conditioning: &Conditioning, text: usize) -> usize {
        match &self.config.backbone {
            // Row 0 is the start's.
            Backbone::Llama(llama) => llama.speech_positions,
            Backbone::Gpt2 { positions } => positions.saturating_sub(conditioning.count + text),
        }
    }

    /// Whether a sequence can begin with a text.
    ///
    /// # Errors
    /// As [`T3::start`] has them about the text.
    pub(super) fn check_text(&self, conditioning: &Conditioning, text: &[u32]) -> Result<(), T3Error> {
        Text::new(&self.config, conditioning, text).map(|_| ())
    }

    /// Begins a sequence; `guided` adds the row without the text, which GPT-2 doesn't have, and `aligned` follows the heads that
    /// an [`Alignment`] looks at. Gives the logits of the first token with it, `[rows, V]`.
    ///
    /// # Errors
    /// A voice of another model, a text without tokens, with one that isn't in the vocabulary, or longer than the table of positions;
    /// a model without the heads; what running the graph reports.
    pub fn start(
        &mut self,
        conditioning: &Conditioning,
        text: &[u32],
        guided: bool,
        aligned: bool,
    ) -> Result<(Sequence, Vec<f32>), T3Error> {
        let wanted = conditioning.count.saturating_mul(self.config.hidden);
        if conditioning.rows.len() != wanted || conditioning.count == 0 {
            let what = "a voice that was made by a model of another width".to_owned();
            return Err(ModelError::Unsupported { what }.into());
        }
        if aligned && !Alignment::fits(&self.config) {
            return Err(
                ModelError::Unsupported { what: "following the text with this model".to_owned() }.into()
            );
        }
        let text = Text::new(&self.config, conditioning, text)?;
        let batch = if guided && self.config.llama().is_some() { 2 } else { 1 };
        let width = self.config.head_width;
        let mut sequence = Sequence {
            pages: vec![Vec::new(); batch],
            prefix: text.prefix,
            tokens: 0,
            aligned: aligned.then(|| AlignedKeys::new(width, (text.first, text.ids.len()))),
            attention: Vec::new(),
            first_attention: Vec::new(),
        };
        let logits =
            self.reserve(&mut sequence).and_then(|()| self.prefill(conditioning, &text, &mut sequence));
        match logits {
            Ok(logits) => Ok((sequence, logits)),
            Err(error) => {
                self.finish(sequence);
                Err(error)
            }
        }
    }

    /// Takes the pages of a sequence back.
    pub fn finish(&mut self, sequence: Sequence) {
        self.pages.put(sequence.pages.into_iter().flatten());
    }

    /// Pages for one row more of a sequence.
    fn reserve(&mut self, sequence: &mut Sequence) -> Result<(), T3Error> {
        let each = (sequence.len() + 1).div_ceil(self.cache.page);
        let missing: usize = sequence.pages.iter().map(|pages| each.saturating_sub(pages.len())).sum();
        if let Some(count) = self.pages.short_of(missing) {
            for &state in &self.states {
                self.executor.grow_state(state, count)?;
            }
            self.pages.made(count);
        }
        for own in &mut sequence.pages {
            while own.len() < each {
                let Some(page) = self.pages.take() else { break };
                own.push(page);
            }
        }
        Ok(())
    }

    fn prefill(
        &mut self,
        conditioning: &Conditioning,
        text: &Text,
        sequence: &mut Sequence,
    ) -> Result<Vec<f32>, T3Error> {
        let (file, config, cache) = (&self.file, &self.config, self.cache);
        let room = text_bucket(text.ids.len());
        let dims = PrefillDims {
            batch: sequence.rows(),
            voice: conditioning.count,
            text: room,
            pages: listed(&[&*sequence]),
            aligned: sequence.aligned.is_some(),
        };
        let graph = if dims.aligned { "prefill.aligned" } else { "prefill" };
        let key = PlanKey { graph, dims: [dims.batch, dims.voice, dims.text, dims.pages] };
        let plan = self.executor.plan(key, || prefill_graph(file, config, cache, &dims))?;

        let (time, length) = (dims.time(config), text.ids.len());
        let mut ids = text.ids.clone();
        ids.resize(room, 0);
        // What the text lacks of its room has a position too, and nobody looks at it.
        let mut text_positions: Vec<i32> = (0..length).map(number).collect();
        text_positions.resize(room, 0);
        let (with, without) = (text.first, text.first + room);
        let start = if config.llama().is_some() { without + room } else { without };
        let mut rows = Vec::with_capacity(dims.batch * time);
        for b in 0..dims.batch {
            let from = if b == 0 { with } else { without };
            rows.extend((0..text.first).chain(from..from + length).map(number));
            rows.resize(b * time + text.prefix, number(start));
            rows.resize((b + 1) * time, 0);
        }
        let mut positions: Vec<i32> = (0..text.prefix).map(number).collect();
        positions.resize(time, 0);
        let positions = positions.repeat(dims.batch);
        let cached = [0, number(text.prefix)].repeat(dims.batch);
        let pages = page_list(&[&*sequence], dims.pages);
        let last: Vec<i32> = (0..dims.batch).map(|b| number(b * time + text.prefix - 1)).collect();
        let (exaggeration, start) = ([conditioning.exaggeration], [config.start_speech]);

        let mut inputs = vec![Data::F32(&conditioning.rows)];
        if config.llama().is_some_and(|llama| llama.emotion) {
            inputs.push(Data::F32(&exaggeration));
        }
        inputs.push(Data::I32(&ids));
        if config.llama().is_some() {
            inputs.push(Data::I32(&text_positions));
        }
        inputs.push(Data::I32(&start));
        if config.llama().is_some() {
            inputs.push(Data::I32(&[0]));
        }
        inputs.extend([&rows, &positions, &cached, &pages, &last].map(|numbers| Data::I32(numbers)));
        self.executor.run(plan, &inputs, &[], &self.states)?;
        if sequence.aligned.is_some() {
            let row = ALIGNED_HEADS.len() * self.config.head_width;
            let (rows, starts) = (text.prefix * row, (text.first + length) * row);
            let [queries, keys] = aligned(&mut self.executor, plan, 0, time, row)?;
            sequence.look(&queries[starts..rows], &keys[..rows]);
            sequence.first_attention.clone_from(&sequence.attention);
        }
        Ok(self.executor.output(plan, "logits")?.to_vec())
    }

    /// Puts a token behind each sequence, all in one step; logits of the next ones, `[rows, V]` of each sequence after the other.
    ///
    /// # Errors
    /// A token that isn't in the vocabulary, a sequence that the table of positions has no more room for, or what running the graph
    /// reports; the sequences may then hold a part of the step, and can only be finished.
    pub fn advance(&mut self, next: &mut [(&mut Sequence, i32)]) -> Result<&[f32], T3Error> {
        let vocabulary = self.config.speech_vocabulary;
        let mut inputs = StepInputs::default();
        for (sequence, token) in next.iter_mut() {
            if usize::try_from(*token).is_ok_and(|t| t >= vocabulary) || *token < 0 {
                return Err(T3Error::Token { what: "speech", token: (*token).into(), vocabulary });
            }
            let (found, limit) = match &self.config.backbone {
                Backbone::Llama(llama) => (sequence.tokens + 2, llama.speech_positions),
                Backbone::Gpt2 { positions } => (sequence.len() + 1, *positions),
            };
            if found > limit {
                return Err(T3Error::TooLong { what: "the sequence", unit: "positions", found, limit });
            }
            self.reserve(sequence)?;
            for _ in 0..sequence.rows() {
                inputs.tokens.push(*token);
                inputs.speech_positions.push(number(sequence.tokens + 1));
                inputs.positions.push(number(sequence.len()));
                inputs.cached.extend([number(sequence.len()), 1]);
            }
        }
        let sequences: Vec<&Sequence> = next.iter().map(|(sequence, _)| &**sequence).collect();
        let pages = listed(&sequences);
        inputs.pages = page_list(&sequences, pages);
        let aligned_too = sequences.iter().any(|sequence| sequence.aligned.is_some());
        let dims = StepDims { batch: inputs.tokens.len(), pages, aligned: aligned_too };
        let (file, config, cache) = (&self.file, &self.config, self.cache);
        let graph = if aligned_too { "step.aligned" } else { "step" };
        let key = PlanKey { graph, dims: [dims.batch, dims.pages, 0, 0] };
        let plan = self.executor.plan(key, || step_graph(file, config, cache, &dims))?;
        let mut data = vec![Data::I32(&inputs.tokens)];
        if config.llama().is_some() {
            data.push(Data::I32(&inputs.speech_positions));
        }
        data.extend([&inputs.positions, &inputs.cached, &inputs.pages].map(|numbers| Data::I32(numbers)));
        self.executor.run(plan, &data, &[], &self.states)?;
        let (mut at, row) = (0, ALIGNED_HEADS.len() * self.config.head_width);
        for (sequence, _) in next.iter_mut() {
            sequence.tokens += 1;
            if sequence.aligned.is_some() {
                let [queries, keys] = aligned(&mut self.executor, plan, at, 1, row)?;
                sequence.look(&queries, &keys);
            }
            at += sequence.rows();
        }
        Ok(self.executor.output(plan, "logits")?)
    }
}

impl Sequence {
    /// Takes keys of the aligned heads, and keeps the attention of these queries.
    fn look(&mut self, queries: &[f32], keys: &[f32]) {
        if let Some(aligned) = &mut self.aligned {
            aligned.push(keys);
            self.attention = aligned.attention(queries);
        }
    }
}

/// What a step's graph is given.
#[derive(Default)]
struct StepInputs {
    tokens: Vec<i32>,
    speech_positions: Vec<i32>,
    positions: Vec<i32>,
    cached: Vec<i32>,
    pages: Vec<i32>,
}

/// Queries and keys of the aligned heads of one row of the batch, `[time, heads, width]` each.
fn aligned(
    executor: &mut Executor,
    plan: PlanId,
    batch: usize,
    time: usize,
    row: usize,
) -> Result<[Vec<f32>; 2], T3Error> {
    let mut part = |name: &str| {
        let all = executor.output(plan, name)?;
        let own = all.get(batch * time * row..(batch + 1) * time * row);
        Ok::<_, T3Error>(own.unwrap_or_default().to_vec())
    };
    Ok([part("queries")?, part("keys")?])
}

/// Pages that a graph lists for each row.
fn listed(sequences: &[&Sequence]) -> usize {
    page_bucket(sequences.iter().flat_map(|s| &s.pages).map(Vec::len).max().unwrap_or(0))
}

/// The pages of all rows, each padded to `listed`.
fn page_list(sequences: &[&Sequence], listed: usize) -> Vec<i32> {
    let row = |pages: &Vec<i32>| {
        let mut pages = pages.clone();
        pages.resize(listed, -1);
        pages
    };
    sequences.iter().flat_map(|s| &s.pages).flat_map(row).collect()
}
