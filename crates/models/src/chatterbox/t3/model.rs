//! A loaded T3.

use super::config::T3Config;
use super::layer::state_decls;
use super::pages::{CacheLayout, Pages};
use super::perceiver::voice_graph;
use super::step::{PrefillDims, StepDims, page_bucket, prefill_graph, step_graph};
use crate::error::ModelError;
use crate::weights::GgufWeights;
use mynah_device::Device;
use mynah_gguf::GgufFile;
use mynah_plan::{Executor, Options, StateId};
use std::sync::Arc;

/// Tokens of a page of keys and values.
pub(super) const PAGE: usize = 64;

/// How a model is loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Precision, routes and plan cache.
    pub executor: Options,
    /// Tokens of a page of keys and values, 64 by default.
    pub page: usize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { executor: Options::default(), page: PAGE }
    }
}

/// A T3 ready to run. Its cache of keys and values begins empty and grows with what sequences need.
pub struct T3 {
    pub(super) file: Arc<GgufFile>,
    pub(super) config: T3Config,
    pub(super) cache: CacheLayout,
    pub(super) executor: Executor,
    /// Keys and values of each layer, in the graphs' order.
    pub(super) states: Vec<StateId>,
    pub(super) pages: Pages,
}

impl T3 {
    /// Loads a model; weights go to the device when a graph first needs them, but every shape is looked at here.
    ///
    /// # Errors
    /// What is wrong with the file, by key or tensor, or that the device can't be opened.
    pub fn load(
        file: Arc<GgufFile>,
        device: Arc<dyn Device>,
        fallback: Option<Arc<dyn Device>>,
        options: LoadOptions,
    ) -> Result<Self, ModelError> {
        let config = T3Config::read(&file)?;
        let weights = Arc::new(GgufWeights::new(Arc::clone(&file)));
        let executor = Executor::new(device, fallback, weights, options.executor)?;
        let cache = CacheLayout { page: options.page.max(1), elem: executor.cache_elem() };
        check(&file, &config, cache)?;
        Self::with(file, config, cache, executor)
    }

    fn with(
        file: Arc<GgufFile>,
        config: T3Config,
        cache: CacheLayout,
        mut executor: Executor,
    ) -> Result<Self, ModelError> {
        let create = |decl| executor.create_state(decl, 0);
        let states = state_decls(&config, cache).iter().map(create).collect::<Result<_, _>>()?;
        Ok(Self { file, config, cache, executor, states, pages: Pages::default() })
    }

    /// Another one on the same prepared weights, with plans and a cache of its own: one for each concurrent user.
    ///
    /// # Errors
    /// When the device can't give it.
    pub fn fork(&self) -> Result<Self, ModelError> {
        Self::with(Arc::clone(&self.file), self.config.clone(), self.cache, self.executor.fork()?)
    }

    /// The model's dimensions.
    pub fn config(&self) -> &T3Config {
        &self.config
    }

    /// The executor, for reports and profiles.
    pub fn executor(&mut self) -> &mut Executor {
        &mut self.executor
    }

    /// Bytes held on the device: weights, arenas and the cache.
    pub fn memory(&self) -> usize {
        self.executor.memory()
    }

    /// Pages of the cache that sequences have at the moment.
    pub fn pages_in_use(&self) -> usize {
        self.pages.used()
    }
}

/// Builds each graph once, which holds every tensor that is read against the configuration.
fn check(file: &GgufFile, config: &T3Config, cache: CacheLayout) -> Result<(), ModelError> {
    voice_graph(file, config, 1)?;
    let pages = page_bucket(1);
    let prefill = PrefillDims { batch: 1, voice: 1, text: 1, pages, aligned: false };
    prefill_graph(file, config, cache, &prefill)?;
    step_graph(file, config, cache, &StepDims { batch: 1, pages, aligned: false })?;
    Ok(())
}
