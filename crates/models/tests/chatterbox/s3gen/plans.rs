//! What becomes of the graphs when they are planned: how many nodes are left, and that no op falls back.

use crate::fixtures::{cpu, file};
use mynah_graph::Graph;
use mynah_models::chatterbox::cfm::{StepDims, mel_graph, step_graph, time_graph};
use mynah_models::chatterbox::flow::{FlowDims, flow_graph, positions_graph};
use mynah_models::chatterbox::hift::{pitch_graph, vocoder_graph};
use mynah_models::chatterbox::s3gen::S3GenConfig;
use mynah_models::{GgufWeights, ModelError};
use mynah_plan::{Executor, Options, PlanKey};
use std::sync::Arc;

/// Every graph of a synthesis, by name.
fn graphs(case: &str) -> Result<Vec<(&'static str, Graph)>, ModelError> {
    let file = file(case);
    let c = S3GenConfig::read(&file)?;
    Ok(vec![
        ("positions", positions_graph(&file, &c.flow, 64)?),
        ("flow", flow_graph(&file, &c.flow, &FlowDims { batch: 1, tokens: 32, stages: false })?),
        ("time", time_graph(&file, &c.cfm, c.cfm.steps)?),
        ("step", step_graph(&file, &c.cfm, &StepDims { batch: 1, frames: 64, stages: false })?),
        ("mel", mel_graph(&c.cfm, 64)?),
        ("pitch", pitch_graph(&file, &c.hift, 40)?),
        ("vocoder", vocoder_graph(&file, &c.hift, 40, false)?),
    ])
}

/// Nodes of each graph before and after the rewrites.
fn nodes(case: &str) -> Vec<(&'static str, [usize; 2])> {
    let weights = Arc::new(GgufWeights::new(file(case)));
    let mut executor = Executor::new(cpu(1), None, weights, Options::default()).unwrap();
    let plan = |(name, graph): (&'static str, Graph)| {
        let key = PlanKey { graph: name, dims: [0; 4] };
        let plan = executor.plan(key, || Ok::<_, ModelError>(graph)).unwrap();
        let report = executor.report(plan).unwrap();
        assert!(report.placement.is_whole(), "{name}");
        (name, report.nodes)
    };
    graphs(case).unwrap().into_iter().map(plan).collect()
}

#[test]
fn biases_activations_and_shortcuts_are_part_of_their_products() {
    let mut wanted = [
        ("positions", [8, 8]),
        ("flow", [107, 62]),
        ("time", [15, 8]),
        ("step", [230, 162]),
        ("mel", [1, 1]),
        ("pitch", [18, 6]),
        ("vocoder", [298, 179]),
    ];
    assert_eq!(nodes("mtl"), wanted);
    // A second time, mixed with the first; and no sequence without conditions.
    (wanted[2].1, wanted[3].1) = ([22, 12], [225, 157]);
    assert_eq!(nodes("turbo"), wanted);
}
