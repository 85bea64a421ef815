//! A planned graph: where every value lives and in which order nodes run.
//!
//! Made by `mynah-plan`, compiled by a [`crate::Session`].

use mynah_graph::{Graph, NodeId, ValueId};

/// Where a value lives during a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the arena: a byte range that no live value shares, except where an op works in place or only renames.
    Arena {
        /// First byte, a multiple of [`Plan::ALIGN`].
        offset: usize,
        /// Length in bytes.
        bytes: usize,
    },
    /// Among the prepared weights, by the value's weight name.
    Weight,
    /// Nowhere: the value is not used by this plan.
    Unused,
}

/// A legal graph with memory and order decided.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The graph after rewrites.
    pub graph: Graph,
    /// Location of each value, indexed by [`ValueId`].
    pub locations: Vec<Location>,
    /// Nodes that launch something, in running order (reshapes only rename and don't appear).
    pub steps: Vec<NodeId>,
    /// Bytes of arena the plan needs.
    pub arena_bytes: usize,
}

impl Plan {
    /// Alignment of every arena offset: whole cache lines, and where every graphics API lets a binding begin.
    pub const ALIGN: usize = 256;

    /// Location of a value.
    pub fn location(&self, value: ValueId) -> Location {
        self.locations.get(value.0 as usize).copied().unwrap_or(Location::Unused)
    }
}
