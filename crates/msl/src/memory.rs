//! Buffers: host memory behind a lock, so that two sessions may run at a time.

use bytemuck::{Pod, Zeroable};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Bytes of a fresh buffer: not a number in any type, because its contents are undefined.
const FRESH: u8 = 0xff;

/// As wgpu pads buffers: kernels bind whole vectors of 16 bytes, which may reach past the last element.
const PADDING: usize = 256;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(256))]
pub(crate) struct Chunk([u8; PADDING]);

/// Memory of the machine; clones share it.
#[derive(Clone, Debug)]
pub struct MslBuffer {
    memory: Arc<RwLock<Vec<Chunk>>>,
    bytes: u64,
}

impl std::fmt::Debug for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chunk")
    }
}

impl MslBuffer {
    /// `None` where memory doesn't hold it.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        let chunks = usize::try_from(bytes.max(4)).ok()?.div_ceil(PADDING);
        let mut memory = Vec::new();
        memory.try_reserve_exact(chunks).ok()?;
        memory.resize(chunks, Chunk([FRESH; PADDING]));
        Some(Self { memory: Arc::new(RwLock::new(memory)), bytes: (chunks * PADDING) as u64 })
    }

    /// Length in bytes, with what was added to fill the last 256.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The same for clones, different for others; an order in which buffers are locked.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.memory).addr()
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Vec<Chunk>> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Vec<Chunk>> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where `offset .. offset + bytes` lies, `None` outside of the buffer.
    pub(crate) fn range(&self, offset: u64, bytes: u64) -> Option<std::ops::Range<usize>> {
        let end = offset.checked_add(bytes).filter(|end| *end <= self.bytes)?;
        Some(usize::try_from(offset).ok()?..usize::try_from(end).ok()?)
    }
}
