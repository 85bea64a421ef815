//! From a graph to something that runs: rewrite → place → plan memory → steps → run.
//!
//! ```text
//! Graph ─► rewrite (named fusions) ─► place (which device runs what) ─► memory (arena offsets) ─► Plan
//!                                                                                      │
//!                              Executor: plan cache by shape bucket ─► Session::run ◄──┘
//! ```
//!
//! Every stage can be printed and every stage returns something that runs. Models use [`Executor`] only.

mod dump;
mod error;
mod executor;
mod memory;
mod place;
pub mod rewrite;
mod segment;
mod source;

pub use dump::{DumpKind, dump_plan, dump_steps};
pub use error::PlanError;
pub use executor::{Executor, Options, PlanId, PlanKey, PlanReport, StateId};
pub use memory::plan_memory;
pub use place::{Placement, place};
pub use source::{FoldedWeights, MemoryWeights};
