//! Values of a run that cross between devices, held in host memory.

use super::cache::Entry;
use crate::error::PlanError;
use mynah_device::{Data, ProgramId, Session};
use mynah_graph::{ElemType, Graph, ValueId};
use std::collections::HashMap;

/// One value's elements.
enum Elements {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

/// The values of one run.
pub(super) struct Values {
    held: HashMap<ValueId, Elements>,
}

impl Values {
    /// Starts with a copy of the run's inputs.
    pub(super) fn new(graph: &Graph, inputs: &[Data<'_>]) -> Result<Self, PlanError> {
        if inputs.len() != graph.inputs().len() {
            let reason = format!("{} inputs given, {} declared", inputs.len(), graph.inputs().len());
            return Err(PlanError::Arguments { graph: graph.name.clone(), reason });
        }
        let copy = |data: &Data<'_>| match data {
            Data::F32(x) => Elements::F32(x.to_vec()),
            Data::I32(x) => Elements::I32(x.to_vec()),
        };
        Ok(Self { held: graph.inputs().iter().copied().zip(inputs.iter().map(copy)).collect() })
    }

    /// The inputs of a part.
    pub(super) fn borrow(&self, wanted: &[ValueId], graph: &Graph) -> Result<Vec<Data<'_>>, PlanError> {
        let find = |v: &ValueId| match self.held.get(v) {
            Some(Elements::F32(x)) => Ok(Data::F32(x)),
            Some(Elements::I32(x)) => Ok(Data::I32(x)),
            None => Err(PlanError::Arguments {
                graph: graph.name.clone(),
                reason: format!("'{}' was not computed", graph.value(*v).name),
            }),
        };
        wanted.iter().map(find).collect()
    }

    /// Copies an output of a part to the host.
    pub(super) fn take(
        &mut self,
        graph: &Graph,
        value: ValueId,
        session: &mut dyn Session,
        program: ProgramId,
        index: usize,
    ) -> Result<(), PlanError> {
        let elements = match graph.value(value).elem {
            ElemType::F32 => Elements::F32(session.output_f32(program, index)?.to_vec()),
            ElemType::I32 => Elements::I32(session.output_i32(program, index)?.to_vec()),
        };
        self.held.insert(value, elements);
        Ok(())
    }
}

/// A float value of a cut graph's last run.
pub(super) fn f32_of(entry: &Entry, value: ValueId) -> Result<&[f32], PlanError> {
    match entry.values.as_ref().and_then(|v| v.held.get(&value)) {
        Some(Elements::F32(x)) => Ok(x),
        _ => Err(missing(entry, value)),
    }
}

/// An integer value of a cut graph's last run.
pub(super) fn i32_of(entry: &Entry, value: ValueId) -> Result<&[i32], PlanError> {
    match entry.values.as_ref().and_then(|v| v.held.get(&value)) {
        Some(Elements::I32(x)) => Ok(x),
        _ => Err(missing(entry, value)),
    }
}

fn missing(entry: &Entry, value: ValueId) -> PlanError {
    PlanError::Arguments {
        graph: entry.graph.name.clone(),
        reason: format!("'{}' holds no such elements before a run", entry.graph.value(value).name),
    }
}
