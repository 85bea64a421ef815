//! State tensors in the GPU's memory.

use crate::backend::{Backend, Command, Usage};
use mynah_device::{DeviceError, StateHandle};
use std::collections::HashMap;

/// One tensor.
pub(crate) struct State<B: Backend> {
    pub(crate) buffer: B::Buffer,
    pub(crate) rows: usize,
    /// Elements of a row.
    pub(crate) row: usize,
}

impl<B: Backend> State<B> {
    pub(crate) fn bytes(&self) -> u64 {
        4 * (self.rows * self.row) as u64
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
        row: usize,
        name: &str,
    ) -> Result<(), DeviceError> {
        let buffer = zeros(backend, rows, row, &format!("state '{name}'"))?;
        self.all.insert(id, State { buffer, rows, row });
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
        let (row, bytes) = (state.row, state.bytes());
        if rows <= state.rows {
            return Ok(false);
        }
        let buffer = zeros(backend, rows, row, "a state that grows")?;
        if bytes > 0 {
            let copy =
                Command::Copy { from: &state.buffer, from_offset: 0, to: &buffer, to_offset: 0, bytes };
            backend.submit(&[copy])?;
        }
        self.all.insert(handle.0, State { buffer, rows, row });
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
        Ok(bytemuck::pod_collect_to_vec::<u8, f32>(&backend.view(&read, bytes)?))
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
        backend.write(&state.buffer, 0, bytemuck::cast_slice(contents))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.all.values().map(State::bytes).sum()
    }
}

/// A buffer of so many rows of zeros.
fn zeros<B: Backend>(backend: &B, rows: usize, row: usize, what: &str) -> Result<B::Buffer, DeviceError> {
    let bytes = rows.checked_mul(row).and_then(|n| n.checked_mul(4)).filter(|&n| n as u64 <= u64::MAX / 2);
    let bytes = bytes.ok_or_else(|| DeviceError::OutOfMemory {
        device: backend.name().to_owned(),
        what: what.to_owned(),
        wanted: usize::MAX,
    })?;
    let buffer = backend.buffer(bytes as u64, Usage::Storage, what)?;
    backend.clear(&buffer, bytes as u64)?;
    Ok(buffer)
}
