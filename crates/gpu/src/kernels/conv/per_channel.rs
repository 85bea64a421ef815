//! Convolutions in which an output channel reads one input channel: depthwise ones, and the first of a subsampling, whose
//! input is a single channel.
//!
//! A thread has a channel and a few pixels of a line; it keeps the channel's taps in registers, and every pixel of the input
//! that more than one of its outputs needs is read once. The taps of a workgroup's channels lie behind each other, so they come
//! through workgroup memory in whole runs.

use super::geometry::Geometry;
use super::{THREADS, epilogue};
use crate::kernels::common::GRID;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::Conv2d;
use std::fmt::Write as _;

/// Taps beyond which registers don't suffice.
pub(super) const MOST_TAPS: usize = 25;
/// Most channels of a workgroup.
const LANES: usize = 64;
/// Pixels of a line that a thread has.
const PIXELS: usize = 4;
/// Workgroups that keep a large adapter busy.
const BUSY: usize = 512;
/// Groups of pixels that a thread takes one after the other where enough workgroups remain.
const REPEATS: usize = 2;

pub(super) fn compile(bind: &Bind<'_>, c: &Conv2d, g: &Geometry) -> Result<Compiled, DeviceError> {
    let lanes = g.channels_out.next_power_of_two().min(LANES);
    let rows = THREADS as usize / lanes;
    let blocks = g.channels_out.div_ceil(lanes);
    let line_units = g.width_out.div_ceil(PIXELS);
    let units = g.batch * g.height_out * line_units;
    let repeats = if units.div_ceil(rows) * blocks >= BUSY * REPEATS { REPEATS } else { 1 };
    let mut k = bind.kernel();
    k.bind("x", "f32", &bind.operand(0)?).bind("w", "f32", &bind.operand(1)?);
    k.bind("y", "f32", &bind.target()?);
    k.param("blocks", blocks).param("units", units).param("line_units", line_units);
    g.params(&mut k, c);
    epilogue::attach(&mut k, bind, &c.epilogue)?;
    let source = k.source();
    source.constant("TAPS", g.taps() as u32);
    source.constant("PIXELS", PIXELS as u32);
    source.constant("REPEATS", repeats as u32);
    source.define("TAKE_TAPS", take_taps(g.taps()));
    source.define("LINES", lines(g.kernel, c.stride));
    source.define("STORE", store());
    source.include(GRID);
    let groups = k.grid(units.div_ceil(rows * repeats) * blocks);
    let (code, size) = (include_str!("per_channel.wgsl"), [lanes as u32, rows as u32, 1]);
    Ok(Compiled::one(k.finish("conv2d per channel", code, size, groups)?))
}

/// Writing to a String can't fail, here and below.
fn take_taps(taps: usize) -> String {
    let mut code = String::new();
    for tap in 0..taps {
        let _ = writeln!(code, "let w{tap} = taps[lane.x * TAPS_PITCH + {tap}u];");
    }
    code
}

/// For each line of the kernel: the pixels of the input that the outputs need, then the products.
fn lines(kernel: [usize; 2], stride: [usize; 2]) -> String {
    let mut code = String::new();
    for ky in 0..kernel[0] {
        let _ = writeln!(code, "{{ let line = row + {ky}u - p.pad_top; if line < p.height {{");
        let _ = writeln!(code, "let origin = start + line * p.width * p.channels_in;");
        for column in 0..(PIXELS - 1) * stride[1] + kernel[1] {
            // A stride longer than the kernel leaves columns out.
            if column % stride[1] < kernel[1] || column >= (PIXELS - 1) * stride[1] {
                let _ = writeln!(code, "let c{column} = pixel(origin, column + {column}u);");
            }
        }
        for (kx, pixel) in (0..kernel[1]).flat_map(|kx| (0..PIXELS).map(move |pixel| (kx, pixel))) {
            let (tap, column) = (ky * kernel[1] + kx, pixel * stride[1] + kx);
            let _ = writeln!(code, "sum{pixel} += w{tap} * c{column};");
        }
        code.push_str("} }\n");
    }
    code
}

fn store() -> String {
    let mut code = String::new();
    for pixel in 0..PIXELS {
        let _ = writeln!(code, "if {pixel}u < count {{ let at = to + {pixel}u * p.channels_out;");
        let _ = writeln!(code, "y[at] = finish(sum{pixel}, at, channel); }}");
    }
    code
}
