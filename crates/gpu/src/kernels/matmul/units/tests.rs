//! Every variant is sound WGSL, and which tiles are chosen where.

use super::*;
use crate::kernels::testing::{adapter, translate};
use mynah_graph::{Activation, ElemType, Epilogue, Graph, GraphBuilder, Op, WeightSpec};
use mynah_tensor::{DType, Shape};

fn graph(m: usize, n: usize, k: usize, dtype: DType, epilogue: Epilogue) -> Graph {
    let mut b = GraphBuilder::new("product");
    let x = b.input("x", ElemType::F32, [m, k]);
    let mut operands = vec![x];
    let mut weight = |b: &mut GraphBuilder, name: &str, dims: &[usize], dtype| {
        operands.push(b.weight(&WeightSpec { name: name.into(), dtype, shape: Shape::new(dims).unwrap() }));
    };
    weight(&mut b, "w", &[n, k], dtype);
    if epilogue.bias {
        weight(&mut b, "bias", &[n], DType::F32);
    }
    if epilogue.residual {
        operands.push(b.input("residual", ElemType::F32, [m, n]));
    }
    let y = b.op(Op::MatMul(epilogue), &operands);
    b.output("y", y);
    b.finish().unwrap()
}

const TYPES: [DType; 11] = [
    DType::F32,
    DType::F16,
    DType::BF16,
    DType::Q8_0,
    DType::Q4_0,
    DType::Q4_1,
    DType::Q5_0,
    DType::Q5_1,
    DType::Q4K,
    DType::Q5K,
    DType::Q6K,
];

#[test]
fn every_variant_is_translated() {
    let all = Epilogue { bias: true, activation: Some(Activation::Silu), scale: 0.5, residual: true };
    for caps in [adapter(16, 32, 48 << 10), adapter(8, 32, 32 << 10), adapter(8, 8, 32 << 10)] {
        for dtype in TYPES {
            for epilogue in [Epilogue::default(), all] {
                for [m, n, k] in [[2048, 2048, 1024], [138, 4096, 1024], [138, 1024, 4096], [9, 256, 256]] {
                    let names = translate(&graph(m, n, k, dtype, epilogue), &caps);
                    assert!(names.iter().any(|n| n.contains(" units")), "{names:?}");
                }
            }
        }
    }
}

#[test]
fn small_products_are_split_and_large_ones_packed() {
    let caps = adapter(16, 32, 48 << 10);
    let names = |m, n, k, dtype| translate(&graph(m, n, k, dtype, Epilogue::default()), &caps);
    let large = names(4096, 4096, 4096, DType::Q8_0);
    assert_eq!(large, ["pack x", "pack q8_0", "matmul q8_0 units16 128x128x32/1"]);
    assert_eq!(names(9216, 1024, 4096, DType::F16), ["pack x", "matmul f16 units16 128x128x64/1"]);
    assert_eq!(names(138, 4096, 1024, DType::F16), ["pack x", "matmul f16 units16 48x96x128/1"]);
    assert_eq!(names(138, 1024, 1024, DType::F16), ["pack x", "matmul f16 units16 32x32x128/1"]);
    assert_eq!(
        names(138, 1024, 4096, DType::F16),
        ["pack x", "matmul f16 units16 48x96x128/4", "matmul sum"]
    );
    assert_eq!(names(20, 1024, 4096, DType::F16), ["matmul f16 units16 32x32x128/8", "matmul sum"]);
}

#[test]
fn adapters_whose_subgroups_differ_in_size_have_no_units() {
    let caps = Capabilities { subgroup: Some([32, 64]), ..adapter(16, 32, 48 << 10) };
    let names = translate(&graph(138, 1024, 1024, DType::F16, Epilogue::default()), &caps);
    assert!(names.iter().all(|n| n.contains(" f32 ")), "{names:?}");
}
