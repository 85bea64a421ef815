//! Routed experts: the router's choice and weights, and the products of tokens with the experts chosen for them.
//!
//! ```text
//! few slots to an expert    few      a row of a token meets the rows of its experts, which are read as they come
//! many                      grouped  slots are sorted by expert, then tiles of each expert's slots meet its rows
//! ```
//!
//! A *slot* is a place of the ids: a token with one of its experts.

mod choice;
mod few;
mod grouped;
mod product;
mod weights;

pub(super) use choice::compile as compile_choice;
pub(super) use product::{compile_down, compile_gate_up};
pub(super) use weights::compile as compile_weights;

use super::guard;
use crate::check::Limit;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::RouterScore;

/// What a router makes of a logit, as the shaders call it.
fn score_name(score: RouterScore) -> &'static str {
    match score {
        RouterScore::Softmax => "softmax_score",
        RouterScore::Sigmoid => "sigmoid",
        RouterScore::SqrtSoftplus => "root_softplus",
    }
}

/// Has the ids of operand 1 looked at: by the host where the caller gives them, by a dispatch before the others where a kernel computed
/// them, and by nobody where a router chose them.
fn check_ids(bind: &Bind<'_>, experts: usize, compiled: &mut Compiled) -> Result<(), DeviceError> {
    if bind.chosen_among(1)?.is_some_and(|among| among <= experts) {
        return Ok(());
    }
    match bind.check(1, "expert", Limit::Fixed(experts), false)? {
        Some(check) => compiled.checks.push(check),
        None => compiled.dispatches.insert(0, guard::compile(bind, 1, experts)?),
    }
    Ok(())
}
