//! What a run is given, and the walk over the nodes.
//!
//! Weights are asked for when a node needs them and dropped after it, and values are dropped after their last use, so
//! that the reference of a model with hundreds of millions of weights fits in memory.

use super::{Tensor64, apply};
use crate::error::GraphError;
use crate::ir::{ElemType, Graph, SlotId, StateId, ValueSource, WeightSpec};
use crate::state::StateElem;

/// Everything a run reads and writes.
pub struct Env<'a> {
    /// In the order of [`Graph::inputs`].
    pub inputs: Vec<Tensor64>,
    /// Gives the elements of a weight, `None` when there is no such weight.
    pub weights: &'a dyn Fn(&WeightSpec) -> Option<Tensor64>,
    /// In the order of [`Graph::slots`].
    pub slots: Vec<i64>,
    /// `[rows, row shape]` in the order of [`Graph::states`]; ops write them in place, rounded to what
    /// the state is stored as.
    pub states: Vec<Tensor64>,
}

/// A run with all its values.
#[derive(Clone, Debug)]
pub struct Trace {
    /// As [`super::run`] returns them.
    pub outputs: Vec<Tensor64>,
    /// Name and elements of every computed value, in running order.
    pub values: Vec<(String, Tensor64)>,
}

impl Trace {
    /// A computed value by name.
    pub fn value(&self, name: &str) -> Option<&Tensor64> {
        self.values.iter().find(|(n, _)| n == name).map(|(_, t)| t)
    }
}

/// The slots and states a node may touch.
pub(super) struct Memory<'a> {
    pub(super) slots: &'a [i64],
    pub(super) states: &'a mut [Tensor64],
}

impl Memory<'_> {
    pub(super) fn slot(&self, graph: &Graph, slot: SlotId) -> Result<i64, GraphError> {
        let name = || graph.slots().get(slot.0 as usize).cloned().unwrap_or_default();
        self.slots
            .get(slot.0 as usize)
            .copied()
            .ok_or_else(|| GraphError::Missing { kind: "slot", name: name() })
    }

    pub(super) fn state(&mut self, graph: &Graph, state: StateId) -> Result<&mut Tensor64, GraphError> {
        let name = || graph.states().get(state.0 as usize).map(|s| s.name.clone()).unwrap_or_default();
        self.states
            .get_mut(state.0 as usize)
            .ok_or_else(|| GraphError::Missing { kind: "state", name: name() })
    }
}

impl Memory<'_> {
    /// A state tensor and how it is stored.
    pub(super) fn stored(
        &mut self,
        graph: &Graph,
        state: StateId,
    ) -> Result<(&mut Tensor64, StateElem), GraphError> {
        let elem = graph.states().get(state.0 as usize).map_or(StateElem::F32, |decl| decl.elem);
        Ok((self.state(graph, state)?, elem))
    }

    /// Keys and values, which are stored alike, as the shape rules see to.
    pub(super) fn cache(
        &mut self,
        graph: &Graph,
        states: [StateId; 2],
    ) -> Result<([&mut Tensor64; 2], StateElem), GraphError> {
        let elem = self.stored(graph, states[0])?.1;
        Ok((self.two_states(graph, states)?, elem))
    }

    /// Two state tensors that differ, as the shape rules see to.
    pub(super) fn two_states(
        &mut self,
        graph: &Graph,
        states: [StateId; 2],
    ) -> Result<[&mut Tensor64; 2], GraphError> {
        for state in states {
            self.state(graph, state)?;
        }
        let missing = |_| GraphError::Missing { kind: "state", name: String::new() };
        self.states.get_disjoint_mut(states.map(|s| s.0 as usize)).map_err(missing)
    }
}

/// Runs all nodes; `trace` receives every computed value.
pub(super) fn execute(
    graph: &Graph,
    env: &mut Env<'_>,
    mut trace: Option<&mut Vec<(String, Tensor64)>>,
) -> Result<Vec<Tensor64>, GraphError> {
    graph.check()?;
    let mut values = place_inputs(graph, env)?;
    check_states(graph, env)?;
    let mut uses = graph.use_counts();
    let memory = &mut Memory { slots: &env.slots, states: &mut env.states };
    for node in graph.nodes() {
        let mut weights = Vec::new();
        for &id in &node.inputs {
            weights.push(graph.weight(id).map(|spec| load(spec, env.weights)).transpose()?);
        }
        let operands: Vec<&Tensor64> = node
            .inputs
            .iter()
            .zip(&weights)
            .map(|(id, w)| w.as_ref().or(values[id.0 as usize].as_ref()).ok_or(id))
            .collect::<Result<_, _>>()
            .map_err(|id| GraphError::Missing { kind: "value", name: graph.value(*id).name.clone() })?;
        let result = apply(graph, node, &operands, memory)?;
        for id in &node.inputs {
            let left = &mut uses[id.0 as usize];
            *left -= 1;
            if *left == 0 {
                values[id.0 as usize] = None;
            }
        }
        if let Some(trace) = trace.as_deref_mut() {
            trace.push((graph.value(node.output).name.clone(), result.clone()));
        }
        if uses[node.output.0 as usize] > 0 {
            values[node.output.0 as usize] = Some(result);
        }
    }
    graph.outputs().iter().map(|(name, id)| output(graph, env, &values, name, *id)).collect()
}

fn output(
    graph: &Graph,
    env: &Env<'_>,
    values: &[Option<Tensor64>],
    name: &str,
    id: crate::ValueId,
) -> Result<Tensor64, GraphError> {
    match (&graph.value(id).source, &values[id.0 as usize]) {
        (ValueSource::Weight(spec), _) => load(spec, env.weights),
        (_, Some(value)) => Ok(value.clone()),
        (_, None) => Err(GraphError::Missing { kind: "output", name: name.to_owned() }),
    }
}

fn load(
    spec: &WeightSpec,
    weights: &dyn Fn(&WeightSpec) -> Option<Tensor64>,
) -> Result<Tensor64, GraphError> {
    let weight =
        weights(spec).ok_or_else(|| GraphError::Missing { kind: "weight", name: spec.name.clone() })?;
    weight.expect_shape("weight", &spec.name, spec.shape)?;
    Ok(weight)
}

fn place_inputs(graph: &Graph, env: &Env<'_>) -> Result<Vec<Option<Tensor64>>, GraphError> {
    let mut values = vec![None; graph.values().len()];
    for (i, &id) in graph.inputs().iter().enumerate() {
        let declared = graph.value(id);
        let given = env
            .inputs
            .get(i)
            .ok_or_else(|| GraphError::Missing { kind: "input", name: declared.name.clone() })?;
        given.expect_shape("input", &declared.name, declared.shape)?;
        if declared.elem == ElemType::I32
            && let Some(bad) = given.data.iter().find(|v| v.fract() != 0.0)
        {
            let reason = format!("holds {bad}, whole numbers are needed");
            return Err(GraphError::Argument { kind: "input", name: declared.name.clone(), reason });
        }
        values[id.0 as usize] = Some(given.clone());
    }
    Ok(values)
}

fn check_states(graph: &Graph, env: &Env<'_>) -> Result<(), GraphError> {
    for (decl, state) in graph.states().iter().zip(&env.states) {
        let mut wanted = vec![state.shape.dims().first().copied().unwrap_or(0)];
        wanted.extend_from_slice(decl.row.dims());
        let reason = format!("has shape {:?}, rows of {:?} are needed", state.shape, decl.row);
        let shape = mynah_tensor::Shape::new(&wanted).map_err(|_| GraphError::Argument {
            kind: "state",
            name: decl.name.clone(),
            reason,
        })?;
        state.expect_shape("state", &decl.name, shape)?;
    }
    Ok(())
}
