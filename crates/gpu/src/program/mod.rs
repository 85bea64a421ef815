//! A plan as dispatches: kernels bound to their memory, replayed in one submission.

mod bind;
mod dispatch;
pub(crate) mod halves;
mod results;
mod run;
mod siblings;
mod together;

pub(crate) use bind::{Bind, Matrix, Operand};
pub(crate) use dispatch::{Compiled, Dispatch, Joins, Kernel, Place};
pub(crate) use results::Results;
pub(crate) use run::{Memory, Program, Step};
