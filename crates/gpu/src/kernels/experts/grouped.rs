//! Many slots to an expert: they are sorted by expert on the device, and tiles of one expert's slots meet tiles of its rows.
//!
//! How many slots an expert has is known only there, so there are workgroups for as many tiles as there may be: expert e's begin at
//! `⌊slots before its own / tile⌋ + e`, where none of another's can be, and the ones that are too many find no slots.

use super::product::{Finish, Product, scratch};
use crate::kernels::attention::unroll::{count, unroll};
use crate::kernels::common::{GRID, Loads};
use crate::program::{Compiled, Dispatch, Operand};
use mynah_device::DeviceError;

/// Threads along each side of a workgroup.
const SIDE: usize = 16;
/// Rows that a workgroup's threads load at a time, four threads a row.
const LOADED: usize = 64;
/// Columns of sums of a thread.
const WIDE: usize = 4;
/// Threads that sort.
const SORTING: usize = 256;
/// Words about a tile: its expert, its first place in the order, its slots.
const TILE_WORDS: usize = 4;

/// Rows of sums of a thread: tiles as tall as an expert's slots are many on average.
fn tall(slots: usize, experts: usize) -> usize {
    match slots.div_ceil(experts.max(1)) {
        ..=16 => 1,
        17..=32 => 2,
        _ => 4,
    }
}

/// Slots listed by expert, and the tiles that they make.
pub(super) struct Sorted {
    order: Operand,
    tiles: Operand,
    /// Slots of a tile, and tiles that there may be.
    height: usize,
    most: usize,
}

impl Sorted {
    /// Adds the dispatch that lists them.
    pub(super) fn new(product: &Product<'_, '_>, all: &mut Compiled) -> Result<Self, DeviceError> {
        let experts = product.stack.experts;
        let height = SIDE * tall(product.slots, experts);
        let most = product.slots / height + experts;
        let order = scratch(all, product.slots);
        let tiles = scratch(all, TILE_WORDS * most);
        let mut k = product.bind.kernel();
        k.bind("ids", "i32", &product.bind.operand(1)?);
        k.bind("order", "u32", &order).bind("tiles", "vec4<u32>", &tiles);
        k.param("slots", product.slots);
        k.source().constant("EXPERTS", experts as u32);
        k.source().constant("HEIGHT", height as u32);
        k.source().include(GRID);
        let grid = k.grid(experts);
        all.dispatches.push(k.finish(
            "expert_sort",
            include_str!("sort.wgsl"),
            [SORTING as u32, 1, 1],
            grid,
        )?);
        Ok(Self { order, tiles, height, most })
    }

    /// The product of the slots listed.
    pub(super) fn multiply(&self, product: &Product<'_, '_>) -> Result<Dispatch, DeviceError> {
        let Self { order, tiles, height, most } = self;
        let factor = &product.stack.first;
        let width = SIDE * WIDE;
        let aligned = product.k.is_multiple_of(4);
        let columns = product.n.div_ceil(width);
        let mut k = product.bind.kernel();
        k.bind("x", if aligned { "vec4<f32>" } else { "f32" }, &product.x);
        factor.declare(&mut k, Loads::Quads);
        k.bind("order", "u32", order).bind("tiles", "vec4<u32>", tiles);
        product.declare(&mut k)?;
        let source = k.source();
        source.flag("X_UNPADDED", !aligned);
        for (name, value) in
            [("X_ROWS", *height), ("W_ROWS", width), ("K", product.k), ("COLUMNS", columns), ("TILES", *most)]
        {
            source.constant(name, value as u32);
        }
        let symbols = [
            count("T", height / SIDE),
            count("W", WIDE),
            count("S", height.div_ceil(LOADED)),
            count("L", width.div_ceil(LOADED)),
            count("Q", 4),
        ];
        let code = unroll(include_str!("grouped.wgsl"), &symbols);
        let grid = k.grid(most * columns);
        let kind =
            if matches!(product.finish, Finish::Join(..)) { "expert_gate_up" } else { "expert_matmul" };
        let name = format!("{kind} {} {height}x{width}", factor.name());
        k.finish(name, &code, [(SIDE * SIDE) as u32, 1, 1], grid)
    }
}
