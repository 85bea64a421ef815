//! Results where the device left them: memory of the host that it writes to, lent instead of copied. Logits of a large vocabulary are a
//! megabyte for each token.

use super::WgpuBackend;
use crate::backend::Backend;
use mynah_device::DeviceError;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// A mapped buffer, given back to the device when dropped.
pub struct View {
    buffer: wgpu::Buffer,
    /// None of an empty one, which is never mapped.
    mapped: Option<wgpu::BufferView>,
}

impl View {
    /// Waits for everything submitted and maps the first `bytes` bytes.
    pub(super) fn new(backend: &WgpuBackend, buffer: &wgpu::Buffer, bytes: u64) -> Result<Self, DeviceError> {
        let mut view = Self { buffer: buffer.clone(), mapped: None };
        if bytes == 0 {
            return backend.sound().map(|()| view);
        }
        let outcome = Arc::new(Mutex::new(None));
        let told = Arc::clone(&outcome);
        buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |result| {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        backend.wait()?;
        let lost = |reason: String| DeviceError::Lost { device: backend.name.clone(), reason };
        match outcome.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(Ok(())) => {}
            Some(Err(e)) => return Err(lost(e.to_string())),
            None => return Err(lost("it did not answer".into())),
        }
        view.mapped = Some(buffer.get_mapped_range(0..bytes).map_err(|e| lost(e.to_string()))?);
        Ok(view)
    }
}

impl Deref for View {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.mapped.as_deref().unwrap_or(&[])
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(mapped) = self.mapped.take() {
            drop(mapped);
            self.buffer.unmap();
        }
    }
}
