//! The memory a model will need, known before anything is loaded.

use super::config::T3Config;
use super::layer::state_decls;
use super::model::{PAGE, T3};
use super::pages::CacheLayout;
use super::perceiver::voice_graph;
use super::step::{PrefillDims, StepDims, page_bucket, prefill_graph, step_graph, text_bucket};
use crate::error::ModelError;
use crate::language::MemoryEstimate;
use mynah_device::{Device, Policy};
use mynah_gguf::GgufFile;
use mynah_graph::StateDecl;
use mynah_plan::plan_memory;

/// How long texts and speech become, and how many at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// Requests in the same steps.
    pub requests: usize,
    /// Whether they are guided.
    pub guided: bool,
    /// Tokens of the longest text.
    pub text: usize,
    /// Speech tokens of the longest, 25 a second.
    pub speech: usize,
}

impl Lengths {
    /// Rows of the longest sequence of a model.
    pub fn rows(&self, config: &T3Config) -> usize {
        let prefix = match config.llama() {
            Some(llama) => 1 + llama.queries + usize::from(llama.emotion) + 2 + 2,
            None => 1 + config.prompt + 1,
        };
        prefix.saturating_add(self.text).saturating_add(self.speech)
    }

    /// Rows of the batch that requests take.
    pub fn batch(&self, config: &T3Config) -> usize {
        let each = if self.guided && config.llama().is_some() { 2 } else { 1 };
        self.requests.max(1).saturating_mul(each)
    }
}

impl T3 {
    /// The memory a file's model will need on a device under a policy: [`MemoryEstimate::total`] of [`Lengths::batch`] sequences, each of
    /// [`Lengths::rows`] tokens.
    ///
    /// # Errors
    /// What is wrong with the file, by key or tensor.
    pub fn estimate(
        file: &GgufFile,
        device: &dyn Device,
        policy: &Policy,
        lengths: &Lengths,
    ) -> Result<MemoryEstimate, ModelError> {
        let config = T3Config::read(file)?;
        let cache = CacheLayout { page: PAGE, elem: policy.cache_elem(device.routes()) };
        let pages = page_bucket(lengths.rows(&config).div_ceil(PAGE));
        let batch = lengths.batch(&config);
        let voice = match config.llama() {
            Some(llama) => 1 + llama.queries,
            None => 1 + config.prompt,
        };
        let prefill = PrefillDims {
            batch: batch.min(if lengths.guided { 2 } else { 1 }),
            voice,
            text: text_bucket(lengths.text.max(1)),
            pages,
            aligned: false,
        };
        let step = StepDims { batch, pages, aligned: false };
        let graphs = [
            voice_graph(file, &config, config.prompt)?,
            prefill_graph(file, &config, cache, &prefill)?,
            step_graph(file, &config, cache, &step)?,
        ];
        let activations = graphs.iter().map(|g| plan_memory(g, device).arena_bytes).max().unwrap_or(0);
        let page: usize = state_decls(&config, cache).iter().map(StateDecl::row_bytes).sum();
        // What a file brings along for others, and the head that training alone needs.
        let other = ["voice_encoder/", "chatterbox/text_head", "chatterbox/builtin/"];
        let read = |name: &str| !other.iter().any(|prefix| name.starts_with(prefix));
        Ok(MemoryEstimate {
            weights: file.tensors().iter().filter(|t| read(&t.name)).map(|t| t.nbytes as u64).sum(),
            sequence: 0,
            token: (page as u64).div_ceil(PAGE as u64),
            page: PAGE,
            activations: activations as u64,
        })
    }
}
