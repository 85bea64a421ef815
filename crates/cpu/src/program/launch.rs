//! What a kernel is handed at run time.

use super::{Operand, Target};
use crate::memory::{Input, Output, Scratch};
use crate::pool::{Panicked, Pool};
use crate::program::bind::Place;
use half::f16;
use mynah_graph::StateElem;

/// Why a step failed; the session adds the node's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An id, length, row or slot is out of range.
    OutOfRange {
        /// What was indexed.
        what: &'static str,
        /// The value found.
        found: i64,
        /// One past the largest legal value.
        limit: usize,
    },
    /// A row is named twice where each may be named once.
    Twice {
        /// What was indexed.
        what: &'static str,
        /// The value found again.
        found: i64,
    },
    /// A kernel's task panicked.
    Panicked(Panicked),
}

impl From<Panicked> for Fault {
    fn from(panicked: Panicked) -> Self {
        Self::Panicked(panicked)
    }
}

impl Fault {
    /// `found` as an index below `limit`.
    pub(crate) fn check(what: &'static str, found: i64, limit: usize) -> Result<usize, Self> {
        usize::try_from(found).ok().filter(|&i| i < limit).ok_or(Self::OutOfRange { what, found, limit })
    }
}

/// A state tensor during a run.
#[derive(Clone, Copy)]
pub(crate) struct StateView<'a> {
    /// All rows of one that stores floats, else nothing. Ops that take no other find them here: the shape rules see to that.
    pub(crate) data: Output<'a, f32>,
    /// All rows of one that stores halves, else nothing.
    pub(crate) halves: Output<'a, f16>,
    /// Which of the two it is.
    pub(crate) elem: StateElem,
    /// Number of rows.
    pub(crate) rows: usize,
    /// Elements of a row.
    pub(crate) row: usize,
}

/// Memory, threads and runtime scalars of one run.
pub(crate) struct Launch<'a> {
    pub(super) arena: Output<'a, u8>,
    pub(super) scratch: Scratch<'a>,
    pub(super) pool: &'a Pool,
    pub(super) slots: &'a [i64],
    pub(super) states: &'a [StateView<'a>],
}

impl<'a> Launch<'a> {
    /// The threads.
    pub(crate) fn pool(&self) -> &'a Pool {
        self.pool
    }

    /// The scratch memory, at least as large as the kernel said.
    pub(crate) fn scratch(&self) -> &Scratch<'a> {
        &self.scratch
    }

    /// An operand's floats, when the kernel doesn't work in place on it.
    pub(crate) fn read<'s>(&'s self, operand: &'s Operand) -> &'s [f32] {
        assert!(!operand.in_place, "an operand written in place is read through a view");
        let view = self.view(operand);
        // SAFETY: binding made sure that the step's output doesn't overlap this operand, and nothing else is
        // written while the step runs.
        unsafe { view.slice(0..view.len()) }
    }

    /// An operand's integers.
    pub(crate) fn read_i32<'s>(&'s self, operand: &'s Operand) -> &'s [i32] {
        bytemuck::cast_slice(self.read(operand))
    }

    /// An operand's floats, possibly those that are being written.
    pub(crate) fn view<'s>(&'s self, operand: &'s Operand) -> Input<'s, f32> {
        match &operand.place {
            Place::Arena(offset) => {
                let end = self.arena.at(offset + 4 * operand.len);
                // SAFETY: binding checked the range against the arena; offsets are multiples of a cache line.
                unsafe { Input::new(end.cast::<f32>().sub(operand.len), operand.len) }
            }
            // SAFETY: the slice is borrowed as long as the view.
            Place::Elements(elements) => unsafe { Input::new(elements.as_f32().as_ptr(), operand.len) },
        }
    }

    /// The output's floats (or integers, four bytes as well).
    pub(crate) fn output(&self, target: &Target) -> Output<'a, f32> {
        let end = self.arena.at(target.offset + 4 * target.len);
        // SAFETY: as for `view`.
        unsafe { Output::new(end.cast::<f32>().sub(target.len), target.len) }
    }

    /// A runtime scalar.
    pub(crate) fn slot(&self, slot: u32) -> i64 {
        self.slots[slot as usize]
    }

    /// A state tensor.
    pub(crate) fn state(&self, state: u32) -> StateView<'a> {
        self.states[state as usize]
    }
}
