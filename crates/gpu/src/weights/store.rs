//! The prepared weights of a model, by name and use.

use super::layout::{Layout, plan};
use super::matrix;
use super::taps::Kernel;
use crate::backend::{Backend, Usage};
use mynah_device::{DeviceError, Policy, WeightBytes, WeightUse};
use mynah_tensor::{Shape, decode_row};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes uploaded before waiting for them to arrive: what staging memory may take.
const IN_FLIGHT: u64 = 256 << 20;

/// A weight in the layout of its use.
pub(crate) struct Weight<B: Backend> {
    /// Each plane with its length in bytes.
    pub(crate) planes: Vec<(B::Buffer, u64)>,
}

/// Weights by name and use.
type Prepared<B> = HashMap<(String, WeightUse), Arc<Weight<B>>>;

/// Weights shared by the sessions of a model.
pub(crate) struct Store<B: Backend> {
    prepared: Mutex<Prepared<B>>,
    in_flight: Mutex<u64>,
}

impl<B: Backend> Default for Store<B> {
    fn default() -> Self {
        Self { prepared: Mutex::default(), in_flight: Mutex::default() }
    }
}

impl<B: Backend> Store<B> {
    /// Brings a weight to the GPU unless it is there. Returns whether it was new.
    pub(crate) fn prepare(
        &self,
        backend: &B,
        weight: &WeightBytes<'_>,
        use_: WeightUse,
        policy: &Policy,
    ) -> Result<bool, DeviceError> {
        if self.get(weight.name, use_).is_some() {
            return Ok(false);
        }
        let layout = plan(weight.dtype, weight.shape, use_, backend.capabilities(), policy);
        let planes = match layout {
            Layout::Elements => vec![floats(weight)?],
            Layout::Matrix { stored, n, k } => match Kernel::of(weight.shape, use_) {
                Some(kernel) => {
                    let (dtype, bytes) = kernel.rearranged(weight)?;
                    let shape = Shape::from([n, k]);
                    matrix::planes(&WeightBytes { name: weight.name, dtype, shape, bytes: &bytes }, stored)?
                }
                None => matrix::planes(weight, stored)?,
            },
        };
        let mut buffers = Vec::with_capacity(planes.len());
        for plane in planes {
            let what = format!("weight '{}'", weight.name);
            let bytes = (plane.len() as u64).next_multiple_of(4).max(4);
            let buffer = backend.buffer(bytes, Usage::Storage, &what)?;
            backend.write(&buffer, 0, &plane)?;
            self.settle(backend, bytes)?;
            buffers.push((buffer, bytes));
        }
        let key = (weight.name.to_owned(), use_);
        Ok(self.map().insert(key, Arc::new(Weight { planes: buffers })).is_none())
    }

    /// Waits now and then, so that staging memory stays bounded.
    fn settle(&self, backend: &B, bytes: u64) -> Result<(), DeviceError> {
        let mut waiting = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting += bytes;
        if *waiting >= IN_FLIGHT {
            backend.submit(&[])?;
            backend.wait()?;
            *waiting = 0;
        }
        Ok(())
    }

    /// A prepared weight.
    pub(crate) fn get(&self, name: &str, use_: WeightUse) -> Option<Arc<Weight<B>>> {
        self.map().get(&(name.to_owned(), use_)).cloned()
    }

    /// Bytes held by all weights.
    pub(crate) fn bytes(&self) -> u64 {
        self.map().values().flat_map(|w| &w.planes).map(|(_, bytes)| bytes).sum()
    }

    fn map(&self) -> MutexGuard<'_, Prepared<B>> {
        // Entries are inserted whole, so a panic elsewhere leaves nothing half done.
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A weight's elements as f32, all rows.
pub(super) fn floats(weight: &WeightBytes<'_>) -> Result<Vec<u8>, DeviceError> {
    let wrong = |reason: String| DeviceError::Weight { name: weight.name.to_owned(), reason };
    let mut out = vec![0f32; weight.shape.numel()];
    let k = weight.shape.last();
    if k == 0 || out.is_empty() {
        return Ok(Vec::new());
    }
    let row_bytes = weight
        .dtype
        .row_bytes(k)
        .ok_or_else(|| wrong(format!("rows of {k} elements are no whole blocks")))?;
    if weight.bytes.len() != row_bytes * (out.len() / k) {
        return Err(wrong(format!(
            "{} bytes, {} are needed",
            weight.bytes.len(),
            row_bytes * (out.len() / k)
        )));
    }
    for (row, out) in weight.bytes.chunks_exact(row_bytes).zip(out.chunks_exact_mut(k)) {
        decode_row(weight.dtype, row, out).map_err(|e| wrong(e.to_string()))?;
    }
    Ok(bytemuck::cast_slice(&out).to_vec())
}
