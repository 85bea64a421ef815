//! The built-in model brought to a device as if to be run: how much of it runs there, which fast routes it takes, and the memory
//! that it needs.

use crate::graphs::{self, Task, USUAL_SECONDS};
use crate::placement::Placed;
use mynah::{Devices, Policy, Route};
use mynah_audio::SAMPLE_RATE;
use mynah_graph::Graph;
use mynah_models::GgufWeights;
use mynah_models::parakeet::ParakeetConfig;
use mynah_plan::{Executor, Options, PlanKey};
use std::sync::Arc;

/// The built-in model's graphs on audio of the usual length.
pub(super) struct Builtin {
    weights: Arc<GgufWeights>,
    /// As the model writes them, and after the planner's rewrites.
    graphs: Vec<(Graph, Graph)>,
}

/// The model on a device.
pub(super) struct Fit {
    /// What runs there and what falls back.
    pub(super) placement: String,
    /// Steps of all graphs.
    pub(super) steps: usize,
    /// For each route of the device, the steps that it changes.
    pub(super) taken: Vec<usize>,
    /// Bytes of weights and arena, with all fast routes.
    pub(super) bytes: usize,
}

impl Builtin {
    /// The model inside the binary, `None` when there is none.
    ///
    /// # Errors
    /// A file that is broken.
    pub(super) fn open() -> anyhow::Result<Option<Self>> {
        if !mynah::has_builtin() {
            return Ok(None);
        }
        let file = Arc::new(mynah::builtin_file()?);
        let config = ParakeetConfig::read(&file)?;
        let weights = Arc::new(GgufWeights::new(Arc::clone(&file)));
        let task = Task { head: None, batch: 1, samples: USUAL_SECONDS * SAMPLE_RATE as usize };
        let both = |graph: Graph| Ok((graph.clone(), graphs::rewritten(graph, &weights)?));
        let graphs =
            graphs::of(&file, &config, &task)?.into_iter().map(both).collect::<anyhow::Result<_>>()?;
        Ok(Some(Self { weights, graphs }))
    }

    /// Plans the model on a device, under `exact` and with each fast route by itself.
    ///
    /// # Errors
    /// What the device says when it can't.
    pub(super) fn fit(&self, devices: &Devices) -> anyhow::Result<Fit> {
        let rewritten: Vec<Graph> = self.graphs.iter().map(|(_, graph)| graph.clone()).collect();
        let placement = Placed::of(&rewritten, devices, false)?.summary();
        let (plain, _) = self.kernels(devices, Policy::exact())?;
        let changed = |route: &Route| -> anyhow::Result<usize> {
            let mut policy = Policy::exact();
            policy.switches.insert(route.name.to_owned(), true);
            let (kernels, _) = self.kernels(devices, policy)?;
            Ok(kernels.iter().zip(&plain).filter(|(with, without)| with != without).count())
        };
        let taken = devices.device.routes().iter().map(changed).collect::<anyhow::Result<_>>()?;
        let (_, bytes) = self.kernels(devices, Policy::default())?;
        Ok(Fit { placement, steps: plain.len(), taken, bytes })
    }

    /// The kernel of every step, and the bytes that are held.
    fn kernels(&self, devices: &Devices, policy: Policy) -> anyhow::Result<(Vec<String>, usize)> {
        let (device, fallback) = (Arc::clone(&devices.device), devices.fallback.clone());
        let options = Options { policy, ..Options::default() };
        let mut executor = Executor::new(device, fallback, Arc::clone(&self.weights) as _, options)?;
        for (index, (graph, _)) in self.graphs.iter().enumerate() {
            let key = PlanKey { graph: "doctor", dims: [index, 0, 0, 0] };
            executor.plan(key, || Ok::<_, anyhow::Error>(graph.clone()))?;
        }
        let kernels = executor.step_times().into_iter().map(|step| step.kernel).collect();
        Ok((kernels, executor.memory()))
    }
}
