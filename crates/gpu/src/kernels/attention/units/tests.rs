//! Every variant is sound WGSL, and which tiles are chosen where.

#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

use super::*;
use crate::kernels::testing::{adapter, translate};
use mynah_graph::{Attention, ElemType, Graph, GraphBuilder, Op, RelPosAttention, WeightSpec};
use mynah_tensor::{DType, Shape};

/// Full attention of `[batch, time, heads, width]`, or of so many queries to the keys.
fn full([batch, queries, keys, heads, width]: [usize; 5]) -> Graph {
    let mut b = GraphBuilder::new("attention");
    let q = b.input("q", ElemType::F32, [batch, queries, heads, width]);
    let [k, v] = ["k", "v"].map(|name| b.input(name, ElemType::F32, [batch, keys, heads, width]));
    let lengths = b.input("lengths", ElemType::I32, [batch]);
    let y = b.op(Op::Attention(Attention { scale: 0.125 }), &[q, k, v, lengths]);
    b.output("y", y);
    b.finish().unwrap()
}

fn relative([batch, time, heads, width]: [usize; 4], window: Option<[usize; 2]>) -> Graph {
    let mut b = GraphBuilder::new("attention");
    let [q, k, v] = ["q", "k", "v"].map(|name| b.input(name, ElemType::F32, [batch, time, heads * width]));
    let table = b.input("table", ElemType::F32, [2 * time - 1, heads * width]);
    let shape = Shape::new(&[heads, width]).unwrap();
    let [u, w] = ["u", "w"].map(|name| b.weight(&WeightSpec { name: name.into(), dtype: DType::F32, shape }));
    let lengths = b.input("lengths", ElemType::I32, [batch]);
    let heads = RelPosAttention { heads, scale: 0.125, first_offset: time as i64 - 1, window };
    let y = b.op(Op::RelPosAttention(heads), &[q, k, v, table, u, w, lengths]);
    b.output("y", y);
    b.finish().unwrap()
}

fn sequences(width: usize, positions: bool) -> Sequences {
    let positions = positions.then_some(Positions { rows: 275, first_offset: 137, window: None });
    Sequences { batch: 1, queries: 138, keys: 138, heads: 8, width, scale: 1.0, halves: false, positions }
}

#[test]
fn every_variant_is_translated() {
    for caps in [adapter(16, 32, 48 << 10), adapter(8, 32, 32 << 10)] {
        let units = Units::of(&caps).unwrap();
        for width in [32, 64, 128, 256] {
            for positions in [false, true] {
                for geometry in GEOMETRIES {
                    let tile = Tile { units, sequences: sequences(width, positions), geometry };
                    if !tile.fits(&caps) {
                        continue;
                    }
                    // The adapter has just the memory that this tile asks for, or what another takes.
                    let caps = Capabilities { workgroup_bytes: tile.bytes() as u32, ..caps.clone() };
                    let graph = if positions {
                        relative([1, 138, 8, width], Some([7, 3]))
                    } else {
                        full([1, 138, 138, 8, width])
                    };
                    let names = translate(&graph, &caps);
                    assert!(names.iter().any(|n| n.contains("/units")), "{names:?}");
                }
            }
        }
    }
}

#[test]
fn tiles_are_chosen_by_how_many_there_are() {
    let nvidia = adapter(16, 32, 48 << 10);
    let name = |batch: usize, time: usize, heads: usize, width: usize, positions: bool, halves: bool| {
        let sequences = sequences(width, positions);
        let sequences = Sequences { batch, queries: time, keys: time, heads, halves, ..sequences };
        Tile::choose(&nvidia, sequences).unwrap().name()
    };
    assert_eq!(name(2, 780, 8, 64, false, true), "attention/units16 64x32/2x2");
    assert_eq!(name(1, 37, 20, 64, false, true), "attention/units16 16x64/1x4");
    // What is fetched as floats takes more registers.
    assert_eq!(name(1, 138, 8, 128, true, true), "rel_pos_attention/units16 16x32/1x2");
    assert_eq!(name(1, 138, 8, 128, true, false), "rel_pos_attention/units16 32x32/2x2");
    assert_eq!(name(64, 138, 8, 128, true, true), "rel_pos_attention/units16 32x32/2x2");
}

#[test]
fn what_is_not_whole_matrices_stays_in_f32() {
    let caps = adapter(16, 32, 48 << 10);
    for width in [1, 4, 17, 24, 40, 397] {
        let names = translate(&full([1, 19, 19, 2, width]), &caps);
        assert!(names.iter().all(|n| !n.contains("/units")), "{width}: {names:?}");
    }
    let differing = Capabilities { subgroup: Some([32, 64]), ..caps };
    assert!(translate(&full([1, 19, 19, 2, 64]), &differing).iter().all(|n| !n.contains("/units")));
}
