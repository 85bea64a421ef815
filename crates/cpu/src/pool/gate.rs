//! The gate through which workers enter a job: one word that holds the job's number, whether it is open, and how
//! many are inside, so that entering and closing can't miss each other.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bits 0–15: workers inside. Bit 16: open. Bits 17–63: number of the job.
pub(super) struct Gate(AtomicU64);

const INSIDE: u64 = 0xffff;
const OPEN: u64 = 1 << 16;
const EPOCH: u32 = 17;

impl Gate {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Opens the gate for the next job. Only the caller whose turn it is does this, on a closed, empty gate.
    pub(super) fn open(&self) {
        let epoch = (self.0.load(Ordering::Relaxed) >> EPOCH) + 1;
        self.0.store(epoch << EPOCH | OPEN, Ordering::SeqCst);
    }

    /// Lets nobody in any more.
    pub(super) fn close(&self) {
        self.0.fetch_and(!OPEN, Ordering::AcqRel);
    }

    /// The number of the open job.
    pub(super) fn open_epoch(&self) -> Option<u64> {
        let state = self.0.load(Ordering::SeqCst);
        (state & OPEN != 0).then_some(state >> EPOCH)
    }

    /// Enters job `epoch` if it is still open.
    pub(super) fn enter(&self, epoch: u64) -> bool {
        let open = |state: u64| state & OPEN != 0 && state >> EPOCH == epoch;
        let enter = |state: u64| open(state).then(|| state + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, enter).is_ok()
    }

    /// Leaves; true for the last one out of a closed gate, whom the caller may be waiting for.
    pub(super) fn leave(&self) -> bool {
        let before = self.0.fetch_sub(1, Ordering::AcqRel);
        before & INSIDE == 1 && before & OPEN == 0
    }

    /// Whether nobody is inside.
    pub(super) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) & INSIDE == 0
    }
}
