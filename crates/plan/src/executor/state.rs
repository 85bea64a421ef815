//! State tensors of an executor: each exists on every session that is open, and is used on one.

use crate::error::PlanError;
use crate::place::Placement;
use mynah_device::{DeviceError, Session, StateHandle};
use mynah_graph::{Graph, StateDecl};

/// A state tensor of an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateId(u32);

/// All of them; a freed slot is used again.
#[derive(Default)]
pub(super) struct States {
    tensors: Vec<Option<Vec<StateHandle>>>,
}

impl States {
    pub(super) fn create(
        &mut self,
        sessions: &mut [Box<dyn Session>],
        decl: &StateDecl,
        rows: usize,
    ) -> Result<StateId, PlanError> {
        let handles = sessions.iter_mut().map(|s| s.create_state(decl, rows)).collect::<Result<_, _>>()?;
        let free = self.tensors.iter().position(Option::is_none);
        let at = free.unwrap_or_else(|| {
            self.tensors.push(None);
            self.tensors.len() - 1
        });
        self.tensors[at] = Some(handles);
        Ok(StateId(at as u32))
    }

    pub(super) fn grow(
        &self,
        sessions: &mut [Box<dyn Session>],
        state: StateId,
        rows: usize,
    ) -> Result<(), PlanError> {
        for (i, session) in sessions.iter_mut().enumerate() {
            // A session opened later has none of the states made before it.
            if i == 0 || self.has(state, i) {
                session.grow_state(self.handle(state, i, "grow")?, rows)?;
            }
        }
        Ok(())
    }

    fn has(&self, state: StateId, session: usize) -> bool {
        let handles = self.tensors.get(state.0 as usize).and_then(Option::as_ref);
        handles.is_some_and(|h| session < h.len())
    }

    pub(super) fn remove(&mut self, sessions: &mut [Box<dyn Session>], state: StateId) {
        let handles = self.tensors.get_mut(state.0 as usize).and_then(Option::take).unwrap_or_default();
        for (session, handle) in sessions.iter_mut().zip(handles) {
            session.drop_state(handle);
        }
    }

    /// The handles on one session of the states a run is given.
    pub(super) fn handles(
        &self,
        states: &[StateId],
        session: usize,
        graph: &str,
    ) -> Result<Vec<StateHandle>, PlanError> {
        states.iter().map(|s| self.handle(*s, session, graph)).collect()
    }

    fn handle(&self, state: StateId, session: usize, graph: &str) -> Result<StateHandle, PlanError> {
        let handles = self.tensors.get(state.0 as usize).and_then(Option::as_ref);
        handles.and_then(|h| h.get(session)).copied().ok_or_else(|| PlanError::Arguments {
            graph: graph.to_owned(),
            reason: format!("there is no state {}", state.0),
        })
    }

    pub(super) fn snapshot(
        &self,
        sessions: &mut [Box<dyn Session>],
        state: StateId,
    ) -> Result<Vec<f32>, PlanError> {
        let handle = self.handle(state, 0, "snapshot")?;
        Ok(sessions[0].snapshot(handle)?)
    }

    pub(super) fn restore(
        &self,
        sessions: &mut [Box<dyn Session>],
        state: StateId,
        contents: &[f32],
    ) -> Result<(), PlanError> {
        let handle = self.handle(state, 0, "restore")?;
        Ok(sessions[0].restore(handle, contents)?)
    }
}

/// A state tensor lives on the chosen device: a graph that would touch one on the fallback is refused.
pub(super) fn check_split(graph: &Graph, placement: &Placement) -> Result<(), PlanError> {
    for (range, elsewhere) in &placement.segments {
        let node = graph.nodes()[range.clone()].iter().find(|n| n.op.uses_state());
        if let (true, Some(node)) = (*elsewhere, node) {
            let reason = "the chosen device can't access its own state tensors".to_owned();
            return Err(
                DeviceError::Unsupported(mynah_device::Unsupported { op: node.op.name(), reason }).into()
            );
        }
    }
    Ok(())
}
