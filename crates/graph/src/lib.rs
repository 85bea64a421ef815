//! The one intermediate representation of Mynah.
//!
//! A model family writes its forward pass as a [`Graph`] of [`Op`]s with a [`GraphBuilder`]; the text reads like
//! the paper. Every op has a shape rule ([`shape`]) and a plain f64 meaning ([`interp`], the reference interpreter
//! every device is measured against). The graph goes on to `mynah-plan`, which rewrites it, places it on devices
//! and turns it into a list of steps.

mod build;
mod decoder;
mod dump;
mod error;
mod experts;
mod heads;
pub mod interp;
mod ir;
mod op;
mod prologue;
pub mod shape;
mod state;
pub mod transducer;
mod vocoder;

pub use build::GraphBuilder;
pub use decoder::{CausalAttention, CausalConv1d, Rope, RopeScaling};
pub use error::GraphError;
pub use experts::{ExpertChoice, ExpertGateUp, ExpertWeights, RouterScore};
pub use heads::{AttentionHeads, DeltaHeads, Heads};
pub use ir::{ElemType, Graph, Node, NodeId, SlotId, StateId, Value, ValueId, ValueSource, WeightSpec};
pub use op::{Activation, BinaryOp, Conv2d, Epilogue, GatedDeltaNet, Op, RelPosAttention, Start};
pub use prologue::Prologue;
pub use state::{StateDecl, StateElem, round_to_halves};
pub use transducer::{TransducerAdvance, TransducerJoin};
pub use vocoder::{Attention, Conv1d, ConvTranspose1d, InverseStft};
