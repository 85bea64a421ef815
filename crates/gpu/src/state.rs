//! State tensors in the GPU's memory.

use crate::backend::{Backend, Command, Usage};
use mynah_device::{DeviceError, StateHandle};
use mynah_graph::{StateDecl, StateElem};
use std::collections::HashMap;

/// One tensor.
pub(crate) struct State<B: Backend> {
    pub(crate) buffer: B::Buffer,
    pub(crate) rows: usize,
    /// Elements of a row.
    pub(crate) row: usize,
    /// How they are stored.
    pub(crate) elem: StateElem,
}

impl<B: Backend> State<B> {
    pub(crate) fn bytes(&self) -> u64 {
        (self.elem.bytes() * self.rows * self.row) as u64
    }
}

/// Those of a session.
pub(crate) struct States<B: Backend> {
    all: HashMap<u32, State<B>>,
}

impl<B: Backend> Default for States<B> {
    fn default() -> Self {
        Self { all: HashMap::new() }
    }
}

impl<B: Backend> States<B> {
    /// Makes one of zeros under a number that none has had.
    pub(crate) fn create(
        &mut self,
        backend: &B,
        id: u32,
        rows: usize,
        decl: &StateDecl,
    ) -> Result<(), DeviceError> {
        let buffer = zeros(backend, rows, decl.row_bytes(), &format!("state '{}'", decl.name))?;
        self.all.insert(id, State { buffer, rows, row: decl.row.numel(), elem: decl.elem });
        Ok(())
    }

    /// Makes one longer, if it isn't as long; says whether it has another buffer now.
    pub(crate) fn grow(
        &mut self,
        backend: &B,
        handle: StateHandle,
        rows: usize,
    ) -> Result<bool, DeviceError> {
        let state = self.known(handle)?;
        let (row, elem, bytes) = (state.row, state.elem, state.bytes());
        if rows <= state.rows {
            return Ok(false);
        }
        let buffer = zeros(backend, rows, elem.bytes() * row, "a state that grows")?;
        if bytes > 0 {
            let copy =
                Command::Copy { from: &state.buffer, from_offset: 0, to: &buffer, to_offset: 0, bytes };
            backend.submit(&[copy])?;
        }
        self.all.insert(handle.0, State { buffer, rows, row, elem });
        Ok(true)
    }

    pub(crate) fn get(&self, handle: StateHandle) -> Option<&State<B>> {
        self.all.get(&handle.0)
    }

    pub(crate) fn remove(&mut self, handle: StateHandle) {
        self.all.remove(&handle.0);
    }

    fn known(&self, handle: StateHandle) -> Result<&State<B>, DeviceError> {
        self.get(handle).ok_or_else(|| DeviceError::Arguments {
            graph: "state".to_owned(),
            reason: format!("there is no state tensor {}", handle.0),
        })
    }

    /// Copies one out.
    pub(crate) fn snapshot(&self, backend: &B, handle: StateHandle) -> Result<Vec<f32>, DeviceError> {
        let state = self.known(handle)?;
        let bytes = state.bytes();
        let read = backend.buffer(bytes, Usage::Readback, "a snapshot")?;
        if bytes > 0 {
            let copy = Command::Copy { from: &state.buffer, from_offset: 0, to: &read, to_offset: 0, bytes };
            backend.submit(&[copy])?;
        }
        Ok(state.elem.decode(&backend.view(&read, bytes)?))
    }

    /// Copies a snapshot back.
    pub(crate) fn restore(
        &self,
        backend: &B,
        handle: StateHandle,
        contents: &[f32],
    ) -> Result<(), DeviceError> {
        let state = self.known(handle)?;
        let len = state.rows * state.row;
        if contents.len() != len {
            let reason = format!("a snapshot of {} elements for a state tensor of {len}", contents.len());
            return Err(DeviceError::Arguments { graph: "state".to_owned(), reason });
        }
        backend.write(&state.buffer, 0, &state.elem.encode(contents))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.all.values().map(State::bytes).sum()
    }
}

/// A buffer of so many rows of zeros, each of `row` bytes.
fn zeros<B: Backend>(backend: &B, rows: usize, row: usize, what: &str) -> Result<B::Buffer, DeviceError> {
    let bytes = rows.checked_mul(row).filter(|&n| n as u64 <= u64::MAX / 2);
    let bytes = bytes.ok_or_else(|| DeviceError::OutOfMemory {
        device: backend.name().to_owned(),
        what: what.to_owned(),
        wanted: usize::MAX,
    })?;
    let buffer = backend.buffer(bytes as u64, Usage::Storage, what)?;
    backend.clear(&buffer, bytes as u64)?;
    Ok(buffer)
}
