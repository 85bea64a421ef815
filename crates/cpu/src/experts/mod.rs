//! Routed experts: the router's choice and weights, and the products of tokens with the experts chosen for them.
//!
//! Tokens are sorted by expert, so each expert's weights are read once for all tokens that want it, and those of an expert that
//! nobody wants not at all.

mod assign;
mod choice;
mod down;
mod gate_up;
mod weights;

pub(crate) use choice::compile as compile_choice;
pub(crate) use down::compile as compile_down;
pub(crate) use gate_up::compile as compile_gate_up;
pub(crate) use weights::compile as compile_weights;
