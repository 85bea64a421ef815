//! Greedy transducer decoding with its cursors in a state tensor (see [`mynah_graph::transducer`]).
//!
//! A round of decoding is a dozen small dispatches, each waiting for the one before, so what counts is their number.

mod advance;
mod join;

pub(super) use advance::compile as compile_advance;
pub(super) use join::compile as compile_join;

use crate::program::{Operand, Place};
use crate::shader::Source;
use mynah_graph::transducer::{LIMIT, cursor};

/// A state tensor; its length is known when it is bound.
fn tensor(state: u32) -> Operand {
    Operand { place: Place::State(state), bytes: 4 }
}

/// Declares the columns of a cursor and the largest number there.
fn declare_cursor(source: &mut Source) {
    let columns = [
        ("AT", cursor::AT),
        ("END", cursor::END),
        ("SYMBOLS", cursor::SYMBOLS),
        ("TOKEN", cursor::TOKEN),
        ("PENDING", cursor::PENDING),
        ("LOGGED", cursor::LOGGED),
        ("CURSOR", cursor::LEN),
        ("MOST", LIMIT - 1),
    ];
    for (name, column) in columns {
        source.constant(name, column as u32);
    }
}
