//! The alignment analyser: where in the text speech is, told by three heads that happen to follow it, and what to do when it has gone
//! astray (`AlignmentStreamAnalyzer` of chatterbox-tts 0.1.7).
//!
//! The attention of a head over all rows is made here, of queries and keys that a step gives out for these heads alone: 64 numbers a
//! head and row, where reading whole attention maps would cost more than the step.
//!
//! Python keeps the maps of the guided stream only, and so does this. Three oddities of Python's are kept, since what it does to the
//! logits follows from them: columns beyond the number of steps are zeroed, "three times the same token" is seen at the second, and a
//! position that jumps is not believed but held against the threshold all the same.

use super::config::T3Config;
use std::collections::VecDeque;

/// Layer and head of the three that follow the text, in Multilingual.
pub const ALIGNED_HEADS: [(usize, usize); 3] = [(12, 15), (13, 11), (9, 2)];

/// What an analyser wants done to the logits of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Keep,
    /// The text is not yet said: the token that ends speech gets −32768.
    Hold,
    /// Speech has gone astray: every other token gets −32768, the one that ends it 32768.
    Force,
}

/// Follows one sequence.
#[derive(Clone, Debug)]
pub struct Alignment {
    /// Text tokens, start and stop among them.
    text: usize,
    /// Steps so far.
    steps: usize,
    /// Rows of the map so far; the first step brings two.
    rows: usize,
    position: usize,
    /// Rows there were when the text was first said.
    completed: Option<usize>,
    /// Attention to each of the last three tokens, since then.
    tail: [f64; 3],
    /// The best of each row among all but the last five tokens, summed since then.
    repeated: f64,
    tokens: VecDeque<i32>,
    seen: usize,
}

impl Alignment {
    /// For a text of so many tokens, start and stop among them.
    pub fn new(text: usize) -> Self {
        Self {
            text,
            steps: 0,
            rows: 0,
            position: 0,
            completed: None,
            tail: [0.0; 3],
            repeated: 0.0,
            tokens: VecDeque::new(),
            seen: 0,
        }
    }

    /// Whether a model has the heads.
    pub fn fits(config: &T3Config) -> bool {
        config.llama().is_some()
            && ALIGNED_HEADS.iter().all(|&(layer, head)| layer < config.layers && head < config.heads)
    }

    /// Takes the rows of attention over the text of a step, each `text` long, and the token before it: start of speech at first.
    pub fn step(&mut self, rows: &[f32], token: i32) -> Verdict {
        let (mut best, before) = (0, self.completed);
        for row in rows.chunks_exact(self.text.max(1)) {
            // Columns that speech can't have reached count as zero.
            let reached = &row[..row.len().min(self.steps + 1)];
            best = largest(reached);
            self.rows += 1;
            if before.is_some() {
                self.add(reached);
            }
        }
        let gone = best as i64 - self.position as i64;
        if -4 < gone && gone < 7 {
            self.position = best;
        }
        // The rows up to here are those before completion, so they don't count.
        if self.completed.is_none() && self.position + 3 >= self.text {
            self.completed = Some(self.rows);
        }
        let long_tail = self.tail.iter().any(|&sum| sum >= 5.0);
        let repetition = self.repeated > 5.0;
        self.seen += 1;
        self.tokens.push_back(token);
        if self.tokens.len() > 2 {
            self.tokens.pop_front();
        }
        let same = self.seen >= 3 && self.tokens.iter().all(|&t| t == token);
        self.steps += 1;
        if long_tail || repetition || same {
            Verdict::Force
        } else if best + 3 < self.text && self.text > 5 {
            Verdict::Hold
        } else {
            Verdict::Keep
        }
    }

    /// A row after the text was said.
    fn add(&mut self, row: &[f32]) {
        let from = self.text.saturating_sub(3);
        for (sum, &x) in self.tail.iter_mut().zip(row.iter().skip(from)) {
            *sum += f64::from(x);
        }
        // Python has no text of five tokens and less here: it stops with an error.
        let earlier = row.iter().take(self.text.saturating_sub(5));
        self.repeated += f64::from(earlier.fold(0.0f32, |most, &x| most.max(x)));
    }
}

/// The first index of the largest.
fn largest(row: &[f32]) -> usize {
    let better = |best: usize, i: usize| if row[i] > row[best] { i } else { best };
    (0..row.len()).fold(0, better)
}

/// Keys of the heads of one sequence, and the attention of queries to them.
#[derive(Clone, Debug)]
pub(super) struct AlignedKeys {
    width: usize,
    /// `[rows, heads, width]`.
    keys: Vec<f32>,
    /// Rows of the sequence that the text is, first and count.
    text: (usize, usize),
}

impl AlignedKeys {
    /// For heads of this width and a text of so many tokens from this row on.
    pub(super) fn new(width: usize, text: (usize, usize)) -> Self {
        Self { width, keys: Vec::new(), text }
    }

    /// Takes the keys of more rows, `[n, heads, width]`.
    pub(super) fn push(&mut self, keys: &[f32]) {
        self.keys.extend_from_slice(keys);
    }

    /// Forgets all rows from this one on.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.keys.truncate(rows * ALIGNED_HEADS.len() * self.width);
    }

    /// Attention over the text, the mean of the heads, of the rows whose queries these are: `[n, heads, width]`, the last `n` of those
    /// there are → `[n, text]`.
    pub(super) fn attention(&self, queries: &[f32]) -> Vec<f32> {
        let row = ALIGNED_HEADS.len() * self.width;
        let (count, rows) = (queries.len() / row, self.keys.len() / row);
        let (first, text) = self.text;
        let mut mean = vec![0.0; count * text];
        for (n, query) in queries.chunks_exact(row).enumerate() {
            let seen = (rows + n + 1).saturating_sub(count);
            for head in 0..ALIGNED_HEADS.len() {
                let at = head * self.width..(head + 1) * self.width;
                let query = &query[at.clone()];
                let score = |key: &[f32]| -> f64 {
                    key[at.clone()].iter().zip(query).map(|(&k, &q)| f64::from(k) * f64::from(q)).sum()
                };
                let scale = 1.0 / (self.width as f64).sqrt();
                let scores: Vec<f64> =
                    self.keys.chunks_exact(row).take(seen).map(|key| score(key) * scale).collect();
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|s| (s - most).exp()).sum();
                let own = scores.iter().skip(first).take(text);
                for (mean, score) in mean[n * text..(n + 1) * text].iter_mut().zip(own) {
                    *mean += ((score - most).exp() / sum / ALIGNED_HEADS.len() as f64) as f32;
                }
            }
        }
        mean
    }
}
