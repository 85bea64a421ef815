//! Convolutions with many channels: a matrix product of gathered pixels with the kernel, by tiles in workgroup memory.
//!
//! The terms of a sum are taken tap by tap and within a tap channel by channel, so that a pixel's channels are read in runs.

use super::geometry::Geometry;
use super::{THREADS, epilogue};
use crate::kernels::common::GRID;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::Conv2d;
use std::fmt::Write as _;

/// Sums shorter than this fill no tile.
pub(super) const LEAST_TERMS: usize = 16;
/// Groups of fewer output channels leave most of a tile empty.
pub(super) const LEAST_CHANNELS: usize = 16;
/// Pixels and channels of a tile.
const TILE: usize = 64;
/// Pixels and channels of a thread.
const EACH: usize = 4;

pub(super) fn compile(bind: &Bind<'_>, c: &Conv2d, g: &Geometry) -> Result<Compiled, DeviceError> {
    let tiles = [g.pixels().div_ceil(TILE), g.group_out().div_ceil(TILE)];
    let count = tiles[0] * tiles[1] * g.groups;
    let mut k = bind.kernel();
    k.bind("x", "f32", &bind.operand(0)?).bind("w", "f32", &bind.operand(1)?);
    k.bind("y", "f32", &bind.target()?);
    k.param("count", count).param("tiles", tiles[1]).param("pixels", g.pixels());
    k.param("group_in", g.group_in).param("terms", g.terms());
    g.params(&mut k, c);
    epilogue::attach(&mut k, bind, &c.epilogue)?;
    let source = k.source();
    source.constant("TAPS", g.taps() as u32);
    source.constant("KERNEL_X", g.kernel[1] as u32);
    source.define("PLACES", places());
    source.define("SUMS", sums());
    source.define("GATHER", gather());
    source.define("PRODUCTS", products());
    source.define("STORE", store());
    source.include(GRID);
    let groups = k.grid(count);
    Ok(Compiled::one(k.finish("conv2d tiled", include_str!("tiled.wgsl"), [THREADS, 1, 1], groups)?))
}

/// The pixels that a thread gathers. Writing to a String can't fail, here and below.
fn places() -> String {
    let mut code = String::new();
    for i in 0..EACH {
        let _ = writeln!(code, "let place{i} = place(first_pixel + across + {}u);", i * TILE / EACH);
    }
    code
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..EACH).flat_map(|i| (0..EACH).map(move |j| (i, j)))
}

fn sums() -> String {
    let mut code = String::new();
    for (i, j) in pairs() {
        let _ = writeln!(code, "var sum{i}{j} = 0.0;");
    }
    code
}

fn gather() -> String {
    let mut code = String::new();
    for i in 0..EACH {
        let offset = i * TILE / EACH;
        let _ = writeln!(code, "pixels[slot + {offset}u] = element(place{i}, tap, ci, alive);");
        let _ = writeln!(
            code,
            "kernels[slot + {offset}u] = weight(across + {offset}u, group, block, tap, ci, alive);"
        );
    }
    code
}

fn products() -> String {
    let mut code = String::new();
    for i in 0..EACH {
        let offset = i * TILE / EACH;
        let _ = writeln!(code, "let a{i} = pixels[k * PITCH + down + {offset}u];");
        let _ = writeln!(code, "let b{i} = kernels[k * PITCH + along + {offset}u];");
    }
    for (i, j) in pairs() {
        let _ = writeln!(code, "sum{i}{j} += a{i} * b{j};");
    }
    code
}

fn store() -> String {
    let mut code = String::new();
    for (i, j) in pairs() {
        let (down, along) = (i * TILE / EACH, j * TILE / EACH);
        let _ = writeln!(
            code,
            "store(sum{i}{j}, first_pixel + down + {down}u, block + along + {along}u, group);"
        );
    }
    code
}
