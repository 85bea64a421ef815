//! Greedy transducer decoding with its cursors in a state tensor: the joint's hidden layer for a window of frames, and the
//! walk along the window.

mod advance;
mod join;

pub(crate) use advance::compile as compile_advance;
pub(crate) use join::compile as compile_join;

use crate::program::Fault;
use mynah_graph::transducer::LIMIT;

/// A number of a cursor as an index below `limit`.
fn cursor_number(found: f32, limit: usize) -> Result<usize, Fault> {
    let limit = limit.min(LIMIT);
    let whole = found.fract() == 0.0 && found.abs() < LIMIT as f32;
    let out_of_range = Fault::OutOfRange { what: "cursor", found: found as i64, limit };
    if whole { Fault::check("cursor", found as i64, limit) } else { Err(out_of_range) }
}
