//! Where two policies part: the error of every value of a graph, for `mynah drift`.
//!
//! The graph runs once under a policy and once under another, with every value kept. The exact policy is the
//! reference; a fast path is never compared with itself.

use crate::elements::{Arguments, Elements, Values};
use crate::error::LabError;
use crate::measure::{Error, compare};
use crate::program::Program;
use mynah_device::{Device, Policy, WeightSource};
use mynah_graph::{Graph, ValueId};

/// The error of one value.
#[derive(Clone, Debug)]
pub struct ValueDrift {
    /// The value.
    pub name: String,
    /// The op that computes it.
    pub op: &'static str,
    /// Its distance from the reference.
    pub error: Error,
}

/// What one route alone does to a graph.
#[derive(Clone, Debug)]
pub struct RouteDrift {
    /// The route's name.
    pub route: &'static str,
    /// Every value, in running order.
    pub values: Vec<ValueDrift>,
    /// The graph's own outputs.
    pub outputs: Vec<ValueDrift>,
}

/// Everything a graph is run with.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The graph, best after its rewrites.
    pub graph: &'a Graph,
    /// Its weights.
    pub weights: &'a dyn WeightSource,
    /// Inputs, slots and states.
    pub arguments: &'a Arguments,
}

/// The error of every computed value under `policy` against `reference`, in running order.
///
/// # Errors
/// What the device reports.
pub fn drift(
    subject: &Subject<'_>,
    device: &dyn Device,
    reference: &Policy,
    policy: &Policy,
) -> Result<Vec<ValueDrift>, LabError> {
    let traced = traced(subject.graph);
    let wanted = run(subject, &traced, device, reference)?;
    let found = run(subject, &traced, device, policy)?;
    Ok(differences(&traced, &found, &wanted))
}

/// What each route of the device does by itself, against the exact policy.
///
/// # Errors
/// What the device reports.
pub fn drift_by_route(subject: &Subject<'_>, device: &dyn Device) -> Result<Vec<RouteDrift>, LabError> {
    let traced = traced(subject.graph);
    let wanted = run(subject, &traced, device, &Policy::exact())?;
    let mut routes = Vec::new();
    for route in device.routes() {
        let mut policy = Policy::exact();
        policy.switches.insert(route.name.to_owned(), true);
        let found = run(subject, &traced, device, &policy)?;
        let values = differences(&traced, &found, &wanted);
        let named = |id: &ValueId| values.iter().find(|v| v.name == traced.value(*id).name).cloned();
        let outputs = subject.graph.outputs().iter().filter_map(|(_, id)| named(id)).collect();
        routes.push(RouteDrift { route: route.name, values, outputs });
    }
    Ok(routes)
}

/// The first value further off than `bound`: where to look for the cause.
pub fn first_beyond(values: &[ValueDrift], bound: f64) -> Option<&ValueDrift> {
    values.iter().find(|v| v.error.nmse > bound)
}

/// The graph with every computed value among its outputs, after its own.
fn traced(graph: &Graph) -> Graph {
    let mut traced = graph.clone();
    for node in graph.nodes() {
        traced.add_output(&graph.value(node.output).name, node.output);
    }
    traced
}

fn run(
    subject: &Subject<'_>,
    graph: &Graph,
    device: &dyn Device,
    policy: &Policy,
) -> Result<Values, LabError> {
    Program::new(graph, subject.weights, device, policy)?.run(subject.arguments)
}

/// The values of a traced graph are its last outputs, one for each node.
fn differences(traced: &Graph, found: &Values, wanted: &Values) -> Vec<ValueDrift> {
    let own = traced.outputs().len() - traced.nodes().len();
    let pairs = found.outputs.iter().zip(&wanted.outputs).skip(own);
    let drift = |(node, (f, w)): (&mynah_graph::Node, (&Elements, &Elements))| ValueDrift {
        name: traced.value(node.output).name.clone(),
        op: node.op.name(),
        error: compare(&f.to_f64(), &w.to_f64()),
    };
    traced.nodes().iter().zip(pairs).map(drift).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_graph::{ElemType, GraphBuilder};

    fn chain() -> Graph {
        let mut b = GraphBuilder::new("test");
        let x = b.input("x", ElemType::F32, [2]);
        let a = b.relu(x);
        let c = b.scale(a, 2.0);
        b.output("y", c);
        b.finish().unwrap()
    }

    #[test]
    fn every_value_is_kept_after_the_outputs() {
        let traced = traced(&chain());
        let names: Vec<&str> = traced.outputs().iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["y", "relu", "scale"]);
        traced.check().unwrap();
    }

    #[test]
    fn the_first_value_that_drifts_is_found() {
        let traced = traced(&chain());
        let values = |a: [f32; 2], c: [f32; 2]| Values {
            outputs: [c, a, c].into_iter().map(|v| Elements::F32(v.to_vec())).collect(),
            states: vec![],
        };
        let drift = differences(&traced, &values([1.0, 2.0], [2.0, 4.5]), &values([1.0, 2.0], [2.0, 4.0]));
        assert_eq!(
            drift.iter().map(|d| (d.name.as_str(), d.op)).collect::<Vec<_>>(),
            [("relu", "relu"), ("scale", "scale")]
        );
        assert_eq!(drift[0].error.nmse, 0.0);
        // 0.25 of 4 + 16.
        assert_eq!(drift[1].error.nmse, 0.0125);
        assert_eq!(first_beyond(&drift, 1e-6).map(|d| d.name.as_str()), Some("scale"));
        assert!(first_beyond(&drift, 0.1).is_none());
    }
}
