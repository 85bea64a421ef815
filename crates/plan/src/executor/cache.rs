//! Plans kept by graph and shape bucket, the least recently used one evicted first.

use super::PlanReport;
use super::values::Values;
use crate::error::PlanError;
use mynah_device::{Plan, ProgramId};
use mynah_graph::{Graph, ValueId};

/// What a plan is kept under: which graph of the model, at which shape bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanKey {
    /// The graph, unique in the model.
    pub graph: &'static str,
    /// The extents that vary, for example batch and frames; unused ones are zero.
    pub dims: [usize; 4],
}

/// A plan of one executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanId(u64);

/// A compiled part of a graph.
pub(super) struct Part {
    pub(super) session: usize,
    pub(super) program: ProgramId,
    pub(super) plan: Plan,
    /// The whole graph's values this part reads and makes.
    pub(super) inputs: Vec<ValueId>,
    pub(super) outputs: Vec<ValueId>,
}

/// A planned graph.
pub(super) struct Entry {
    pub(super) graph: Graph,
    pub(super) parts: Vec<Part>,
    pub(super) report: PlanReport,
    /// Values that crossed between devices in the last run; `None` for a graph that stays whole.
    pub(super) values: Option<Values>,
}

impl Entry {
    /// Index and value of a named output.
    pub(super) fn output(&self, name: &str) -> Result<(usize, ValueId), PlanError> {
        let found = self.graph.outputs().iter().position(|(n, _)| n == name);
        let index = found
            .ok_or_else(|| PlanError::NoOutput { graph: self.graph.name.clone(), name: name.to_owned() })?;
        Ok((index, self.graph.outputs()[index].1))
    }
}

/// The plans of an executor.
pub(super) struct Cache {
    capacity: usize,
    next: u64,
    /// Most recently used last.
    entries: Vec<(PlanKey, PlanId, Entry)>,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), next: 0, entries: Vec::new() }
    }

    /// The plan of a key, marked as used.
    pub(super) fn find(&mut self, key: &PlanKey) -> Option<PlanId> {
        let at = self.entries.iter().position(|(k, ..)| k == key)?;
        let entry = self.entries.remove(at);
        let id = entry.1;
        self.entries.push(entry);
        Some(id)
    }

    /// Adds a plan; the second value is the one that had to go.
    pub(super) fn insert(&mut self, key: PlanKey, entry: Entry) -> (PlanId, Option<Entry>) {
        let evicted = (self.entries.len() >= self.capacity).then(|| self.entries.remove(0).2);
        let id = PlanId(self.next);
        self.next += 1;
        self.entries.push((key, id, entry));
        (id, evicted)
    }

    pub(super) fn entry_mut(&mut self, id: PlanId) -> Result<&mut Entry, PlanError> {
        let found = self.entries.iter_mut().find(|(_, i, _)| *i == id);
        found.map(|(.., entry)| entry).ok_or(PlanError::NoPlan { id: id.0 })
    }
}
