//! What a step's time does to the estimator: an embedding, and of it a shift for each residual block.

use super::config::CfmConfig;
use super::schedule::schedule;
use crate::chatterbox::s3gen::config::long;
use crate::error::ModelError;
use mynah_device::Data;
use mynah_gguf::GgufFile;
use mynah_graph::{Activation, ElemType, Graph, GraphBuilder, Op, ValueId};
use mynah_plan::{Executor, PlanKey};

/// `begin [n, sinusoids]`, for mean flow also `end [n, sinusoids]` → `embedding [n, time]` and `shifts [n, blocks·channels]` of
/// `n` steps, all of them at once.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn time_graph(file: &GgufFile, config: &CfmConfig, steps: usize) -> Result<Graph, ModelError> {
    let t = long(file);
    let mut g = GraphBuilder::new("time");
    let (sinusoids, width) = (config.sinusoids, config.time);
    let embed = |g: &mut GraphBuilder, name: &str| -> Result<ValueId, ModelError> {
        let x = g.input(name, ElemType::F32, [steps, sinusoids]);
        let x = t.linear(g, "cfm/time_mlp/linear_1", x, [width, sinusoids])?;
        let x = g.silu(x);
        t.linear(g, "cfm/time_mlp/linear_2", x, [width, width])
    };
    let mut x = embed(&mut g, "begin")?;
    if config.meanflow {
        let end = embed(&mut g, "end")?;
        let both = g.op(Op::Concat { axis: 1 }, &[x, end]);
        x = t.linear(&mut g, "cfm/time_embed_mixer", both, [width, 2 * width])?;
    }
    g.output("embedding", x);
    x = g.unary(Activation::Mish, x);
    let shift =
        |(_, name): (usize, String)| t.linear(&mut g, &format!("{name}/mlp/1"), x, [config.channels, width]);
    let shifts = resnet_names(config).enumerate().map(shift).collect::<Result<Vec<_>, _>>()?;
    let shifts = g.op(Op::Concat { axis: 1 }, &shifts);
    g.output("shifts", shifts);
    Ok(g.finish()?)
}

/// Residual blocks in running order.
pub(super) fn resnet_names(config: &CfmConfig) -> impl Iterator<Item = String> {
    let mid = (0..config.mid_blocks).map(|i| format!("cfm/mid_blocks/{i}/0"));
    ["cfm/down_blocks/0/0".to_owned()].into_iter().chain(mid).chain(["cfm/up_blocks/0/0".to_owned()])
}

/// The steps of a solution.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeVectors {
    /// How far each goes.
    pub dt: Vec<f32>,
    /// `[steps, time]`.
    pub embedding: Vec<f32>,
    /// `[steps, blocks·channels]`.
    pub shifts: Vec<f32>,
}

impl TimeVectors {
    /// Computes them for so many steps.
    pub(super) fn compute(
        executor: &mut Executor,
        file: &GgufFile,
        config: &CfmConfig,
        steps: usize,
    ) -> Result<Self, ModelError> {
        let times = schedule(config, steps);
        let [begin, end] = [&times[..steps], &times[1..]].map(|times| sinusoids(times, config.sinusoids));
        let key = PlanKey { graph: "time", dims: [steps, 0, 0, 0] };
        let plan = executor.plan(key, || time_graph(file, config, steps))?;
        let inputs = [Data::F32(&begin), Data::F32(&end)];
        executor.run(plan, if config.meanflow { &inputs } else { &inputs[..1] }, &[], &[])?;
        let embedding = executor.output(plan, "embedding")?.to_vec();
        let shifts = executor.output(plan, "shifts")?.to_vec();
        Ok(Self { dt: times.windows(2).map(|w| w[1] - w[0]).collect(), embedding, shifts })
    }
}

/// Sines, then cosines, of a thousand times each time at falling frequencies, rounded as the reference rounds them.
fn sinusoids(times: &[f32], width: usize) -> Vec<f32> {
    let half = width / 2;
    let step = -(libm::log(10_000.0) / (half - 1) as f64) as f32;
    let frequencies: Vec<f32> = (0..half).map(|j| libm::expf(j as f32 * step)).collect();
    let row = |t: f32| {
        let angles = frequencies.iter().map(move |f| 1000.0 * t * f);
        angles.clone().map(libm::sinf).chain(angles.map(libm::cosf))
    };
    times.iter().flat_map(|&t| row(t).collect::<Vec<_>>()).collect()
}
