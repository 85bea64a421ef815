//! What `mynah inspect` says of a language model.

use crate::units;
use mynah::{Device, Policy};
use mynah_gguf::GgufFile;
use mynah_models::ModelError;
use mynah_models::language::{MemoryEstimate, Workload, estimate};
use mynah_models::qwen35::{FeedForward, Mixer, Qwen35Config};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Tokens of contexts that memory is told for: a short talk, a long one, a book.
const CONTEXTS: [usize; 3] = [4096, 32768, 262_144];
/// Tokens of a prompt that a step takes, as `generate` and `chat` have it.
const CHUNK: usize = 512;

/// A language model, and its memory by context.
pub(super) struct Language {
    config: Qwen35Config,
    memory: Vec<(usize, MemoryEstimate)>,
}

impl Language {
    /// Reads the configuration and plans the largest steps.
    ///
    /// # Errors
    /// [`ModelError::Family`] for another family; else what is wrong with the file.
    pub(super) fn read(file: &GgufFile, device: &dyn Device) -> Result<Self, ModelError> {
        let config = Qwen35Config::read(file)?;
        // A model with less room than the least of them is told for what it has.
        let contexts = CONTEXTS.into_iter().filter(|&c| c <= config.context.max(CONTEXTS[0]));
        let memory = contexts.map(|c| c.min(config.context)).map(|context| {
            let workload = Workload { sequences: 1, chunk: CHUNK, context, drafts: 0 };
            Ok((context, estimate(file, device, &Policy::default(), &workload)?))
        });
        Ok(Self { memory: memory.collect::<Result<_, ModelError>>()?, config })
    }

    fn deltas(&self) -> usize {
        self.config.layers.iter().filter(|mixer| **mixer == Mixer::Delta).count()
    }

    pub(super) fn text(&self) -> String {
        let (c, deltas) = (&self.config, self.deltas());
        let mut text = String::from("family        Qwen3.5, text to text\n");
        let inside = match c.feed_forward {
            FeedForward::Dense(width) => format!("feed-forward {width}"),
            FeedForward::Routed(e) => format!("{} of {} experts of {}", e.used, e.count, e.width),
        };
        // Writing to a String can't fail.
        let _ = writeln!(text, "layers        {} of {}, {inside}", c.layers.len(), c.hidden);
        let _ = writeln!(
            text,
            "mixers        {deltas} delta nets of {} heads, {} attentions of {} heads over {}",
            c.delta.heads,
            c.layers.len() - deltas,
            c.attention.heads,
            c.attention.key_heads
        );
        let _ = writeln!(text, "vocabulary    {} tokens, a context of {} at most", c.vocabulary, c.context);
        if c.drafts {
            let _ = writeln!(text, "drafts        by a layer of its own, with --draft");
        }
        for (context, need) in &self.memory {
            let tokens = need.total(1, *context) - need.total(0, 0) - need.sequence;
            let [total, weights, states, cache, steps] =
                [need.total(1, *context), need.weights, need.sequence, tokens, need.activations]
                    .map(units::bytes);
            let parts =
                format!("(weights {weights}, states {states}, keys and values {cache}, activations {steps})");
            let _ = writeln!(text, "memory        {total} for {context} tokens {parts}");
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let c = &self.config;
        let need = |(context, need): &(usize, MemoryEstimate)| {
            json!({
                "context": context,
                "weights": need.weights,
                "states": need.sequence,
                "bytes_per_token": need.token,
                "activations": need.activations,
                "total": need.total(1, *context),
            })
        };
        let (feed_forward, experts) = match c.feed_forward {
            FeedForward::Dense(width) => (Some(width), None),
            FeedForward::Routed(e) => {
                (None, Some(json!({"count": e.count, "used": e.used, "width": e.width})))
            }
        };
        json!({
            "family": "qwen35",
            "task": "generate",
            "layers": c.layers.len(),
            "delta_nets": self.deltas(),
            "hidden": c.hidden,
            "feed_forward": feed_forward,
            "experts": experts,
            "attention_heads": c.attention.heads,
            "key_heads": c.attention.key_heads,
            "vocabulary": c.vocabulary,
            "context": c.context,
            "drafts": c.drafts,
            "memory": self.memory.iter().map(need).collect::<Vec<_>>(),
        })
    }
}
