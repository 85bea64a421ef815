//! Ops that move elements: copies, permutations, slices, joins, rows of tables.
//!
//! Elements are moved as words, whatever they stand for, four at a time wherever all runs are whole vectors.

mod concat;
mod gather;
mod permute;
mod repeat;
mod rows;

pub(super) use concat::compile_concat;
pub(super) use gather::compile_gather;
pub(super) use permute::compile_permute;
pub(super) use repeat::compile_repeat;
pub(super) use rows::{compile_copy, compile_slice};

/// Threads of a workgroup, each with one word or vector.
const THREADS: u32 = 256;

/// Words of a vector.
const VECTOR: usize = 4;

/// The type of a thread's words and how many they are: a vector where every one of `extents` is made of whole ones.
fn width(extents: impl IntoIterator<Item = usize>) -> (&'static str, usize) {
    let whole = extents.into_iter().all(|n| n.is_multiple_of(VECTOR));
    if whole { ("vec4<u32>", VECTOR) } else { ("u32", 1) }
}
