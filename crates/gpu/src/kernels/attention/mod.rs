//! Attention over whole sequences, with relative positions and without.

mod full;
mod rel_pos;
pub(super) mod unroll;

pub(super) use full::compile as compile_full;
pub(super) use rel_pos::compile;

use crate::caps::Capabilities;

/// Bytes of workgroup memory that tiles may take. More than 16 KiB keep other workgroups off a core with 32; where there is plenty,
/// staging more hides more.
pub(super) fn staging_bytes(caps: &Capabilities) -> usize {
    let have = caps.workgroup_bytes as usize;
    if have >= 48 << 10 { 32 << 10 } else { have.min(16 << 10) }
}
