//! Functions of single elements, pairs of elements and halves of rows.
//!
//! A thread has four elements, one 16-byte access to each operand, wherever rows are whole vectors; where only the end of the
//! whole tensor is not, the last vector reaches into the padding of its place.

mod binary;
mod glu;
mod mask;
mod unary;

pub(super) use binary::compile_binary;
pub(super) use glu::{compile_gated, compile_glu};
pub(super) use mask::compile_mask;
pub(super) use unary::{compile_clamp, compile_scale, compile_snake, compile_unary};

/// Threads of a workgroup, each with one element or vector.
const THREADS: u32 = 256;

/// Elements of a vector.
const VECTOR: usize = 4;

/// The type of a thread's elements and how many they are: a vector where every one of `extents` is made of whole ones.
fn width(extents: &[usize]) -> (&'static str, usize) {
    let whole = extents.iter().all(|n| n.is_multiple_of(VECTOR));
    if whole { ("vec4<f32>", VECTOR) } else { ("f32", 1) }
}

/// A call of a function of one element for each element of `v`.
pub(super) fn each(function: &str, width: usize) -> String {
    if width == 1 {
        return format!("{function}(v)");
    }
    format!("vec4({function}(v.x), {function}(v.y), {function}(v.z), {function}(v.w))")
}
