//! Rotary position embedding.
//!
//! Positions go to hundreds of thousands, where an angle in f32 is off by a hundredth of a turn. So angles are counted in turns, as
//! 64-bit fractions: the product with the position wraps around by itself, and its first 32 bits are all that is needed. Sine and
//! cosine are polynomials, since those of a shading language may be as coarse as 2⁻¹¹.

use super::common::{DIRECTION, GRID};
use crate::program::{Bind, Compiled, Kernel};
use mynah_device::DeviceError;
use mynah_graph::Rope;
use std::f64::consts::TAU;
use std::fmt::Write as _;

/// Threads of a workgroup, each with a pair of channels.
const THREADS: usize = 256;
/// Pairs whose frequencies are written into a kernel's text.
const MOST: usize = 256;

/// What pair `i` turns by from one position to the next, in 2⁻⁶⁴ of a turn.
fn turn(rope: &Rope, i: usize) -> u64 {
    let turns = rope.frequency(i) / TAU;
    // Only a base or a factor below 1 gives whole turns, and those change nothing.
    let fraction = turns - turns.floor();
    (fraction * 18_446_744_073_709_551_616.0) as u64
}

/// Whether the frequencies can be written down.
pub(super) fn check(bind: &Bind<'_>, rope: &Rope) -> Result<(), DeviceError> {
    let half = rope.dims / 2;
    if half > MOST || !rope.is_sound() {
        return Err(
            bind.unsupported(format!("{half} pairs of channels, base {}, {:?}", rope.theta, rope.scaling))
        );
    }
    Ok(())
}

/// Gives a kernel the function `turned_by(pair, position)`.
pub(super) fn declare_turns(k: &mut Kernel<'_, '_>, rope: &Rope) {
    let half = rope.dims / 2;
    let mut table = format!("const TURNS = array<vec2<u32>, {}>(", half.max(1));
    for i in 0..half.max(1) {
        let turn = if half == 0 { 0 } else { turn(rope, i) };
        // Writing to a String can't fail.
        let _ = write!(table, "vec2<u32>({}u, {}u),", turn >> 32, turn & 0xffff_ffff);
    }
    table.push_str(");");
    k.source().define("TABLE", table);
    k.source().include(DIRECTION);
    k.source().include(include_str!("turn.wgsl"));
}

/// `x [B, T, H, D]`, `positions [B, T]` → the same with the first channels of each head turned.
pub(super) fn compile(bind: &Bind<'_>, rope: &Rope) -> Result<Compiled, DeviceError> {
    let shape = bind.out_shape();
    let &[_, _, heads, width] = shape.dims() else {
        return Err(bind.unsupported("an operand of another rank".into()));
    };
    let half = rope.dims / 2;
    check(bind, rope)?;
    // Channels that don't turn come in pairs as well, the last of an odd number alone.
    let pairs = half + (width - rope.dims).div_ceil(2);
    let count = shape.numel() / width.max(1) * pairs;
    let mut k = bind.kernel();
    k.bind("x", "f32", &bind.operand(0)?).bind("positions", "i32", &bind.operand(1)?);
    k.bind("y", "f32", &bind.target()?);
    k.param("count", count).param("pairs", pairs).param("heads", heads).param("width", width);
    k.param("half", half);
    declare_turns(&mut k, rope);
    k.source().include(GRID);
    let groups = k.grid(count.div_ceil(THREADS));
    Ok(Compiled::one(k.finish("rope", include_str!("rope.wgsl"), [THREADS as u32, 1, 1], groups)?))
}

#[cfg(test)]
mod tests {
    use super::{Rope, TAU, turn};

    #[test]
    fn turns_are_those_of_the_angles() {
        let rope = Rope::new(64, 1e7);
        for i in [0, 1, 17, 31] {
            let angle = turn(&rope, i) as f64 / 18_446_744_073_709_551_616.0 * TAU;
            let wanted = 1e7f64.powf(-2.0 * i as f64 / 64.0);
            assert!((angle - wanted).abs() <= 1e-15, "pair {i}: {angle}, not {wanted}");
        }
    }
}
