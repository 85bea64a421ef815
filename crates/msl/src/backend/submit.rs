//! Runs one command: locks the buffers it names, then launches or copies.

use super::{MslBackend, MslBound, Pipeline};
use crate::library::{Sizes, Slot};
use crate::memory::{Chunk, MslBuffer};
use mynah_device::DeviceError;
use mynah_gpu::{Access, Command};
use std::collections::BTreeMap;
use std::sync::{RwLockReadGuard, RwLockWriteGuard};

/// A buffer held for the time of a dispatch.
enum Held<'a> {
    Read(RwLockReadGuard<'a, Vec<Chunk>>),
    Write(RwLockWriteGuard<'a, Vec<Chunk>>),
}

impl Held<'_> {
    fn start(&mut self) -> *mut u8 {
        match self {
            // The kernel declares the binding read-only.
            Self::Read(guard) => guard.as_ptr().cast_mut().cast(),
            Self::Write(guard) => guard.as_mut_ptr().cast(),
        }
    }
}

impl MslBackend {
    pub(super) fn run(&self, command: &Command<'_, Self>) -> Result<(), DeviceError> {
        match command {
            Command::Dispatch { pipeline, bound, immediates, groups } => {
                self.dispatch(&pipeline.0, bound, immediates, *groups)
            }
            Command::Copy { from, from_offset, to, to_offset, bytes } => {
                self.copy(from, *from_offset, to, *to_offset, *bytes)
            }
        }
    }

    fn dispatch(
        &self,
        pipeline: &Pipeline,
        bound: &MslBound,
        immediates: &[u8],
        groups: [u32; 3],
    ) -> Result<(), DeviceError> {
        let refused = |reason: String| DeviceError::Kernel { node: pipeline.name.clone(), reason };
        let kernel = pipeline.kernel.as_ref().ok_or_else(|| refused("it was translated only".into()))?;
        if immediates.len() != pipeline.immediate_bytes as usize
            || bound.operands.len() != pipeline.bindings.len()
        {
            return Err(refused("operands or immediates of another kernel".into()));
        }
        if groups.iter().any(|&n| n > self.caps.max_groups) {
            return Err(refused(format!("{groups:?} workgroups")));
        }
        // In the order of their addresses, so that two threads can't wait for each other.
        let mut named: BTreeMap<usize, (&MslBuffer, Access)> = BTreeMap::new();
        for (slice, access) in &bound.operands {
            named.insert(slice.buffer.id(), (&slice.buffer, *access));
        }
        let mut held: BTreeMap<usize, Held<'_>> = BTreeMap::new();
        for (id, (buffer, access)) in named {
            held.insert(
                id,
                match access {
                    Access::Read => Held::Read(buffer.read()),
                    Access::ReadWrite => Held::Write(buffer.write()),
                },
            );
        }
        let starts: BTreeMap<usize, *mut u8> =
            held.iter_mut().map(|(id, held)| (*id, held.start())).collect();
        // Aligned as a vector of four in a struct would have to be.
        let mut words = [0_u128; 8];
        bytemuck::cast_slice_mut(&mut words)[..immediates.len()].copy_from_slice(immediates);
        let mut lengths: Vec<u32> = bound.operands.iter().map(|(slice, _)| slice.bytes as u32).collect();
        let mut slots = Vec::new();
        if !immediates.is_empty() {
            slots.push(Slot { data: words.as_mut_ptr().cast(), bytes: immediates.len() as u64 });
        }
        for (slice, _) in &bound.operands {
            let start = starts[&slice.buffer.id()];
            // `bind` found the offset within the buffer.
            slots.push(Slot { data: start.wrapping_add(slice.offset as usize).cast(), bytes: slice.bytes });
        }
        slots.push(Slot { data: lengths.as_mut_ptr().cast(), bytes: 4 * lengths.len() as u64 });
        let sizes = Sizes {
            lanes: self.lanes,
            groups,
            threads: pipeline.threads,
            threadgroup_bytes: pipeline.threadgroup_bytes,
            order: self.order,
        };
        // SAFETY: `bind` checked each slice to lie in its buffer and no buffer to be bound in both ways; the locks held are
        // of the kind the kernel's declaration needs, buffers start at multiples of 256 bytes and offsets are multiples of
        // 32, and the immediates and lengths live on this frame.
        let outcome = unsafe { kernel.launch(&slots, &sizes) };
        drop(held);
        outcome.map_err(refused)
    }

    fn copy(
        &self,
        from: &MslBuffer,
        from_offset: u64,
        to: &MslBuffer,
        to_offset: u64,
        bytes: u64,
    ) -> Result<(), DeviceError> {
        // wgpu refuses these.
        if from.id() == to.id() || [from_offset, to_offset, bytes].iter().any(|n| !n.is_multiple_of(4)) {
            return Err(self.lost("a copy within a buffer, or not of whole words"));
        }
        let outside = || self.lost("a copy past the end of a buffer");
        let source = from.range(from_offset, bytes).ok_or_else(outside)?;
        let target = to.range(to_offset, bytes).ok_or_else(outside)?;
        // Taken first, so that no two locks are held at once here.
        let copied = bytemuck::cast_slice::<_, u8>(&from.read())[source].to_vec();
        bytemuck::cast_slice_mut(&mut to.write())[target].copy_from_slice(&copied);
        Ok(())
    }
}
