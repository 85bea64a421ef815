//! What the shim does for a kernel, against values worked out here: simdgroup functions, matrices, half precision, packed bytes,
//! atomics.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

mod common;

use common::backend;
use mynah_gpu::{Access, Backend, Command, Shader, Slice, Usage};
use mynah_msl::{Arithmetic, MslBackend};

/// Runs a kernel of one group over `x` and gives as many words of `y` as `x` has.
fn run(backend: &MslBackend, enables: &str, globals: &str, threads: u32, body: &str, x: &[u32]) -> Vec<u32> {
    let wgsl = format!(
        "{enables}@group(0) @binding(0) var<storage, read> x: array<u32>;\n\
         @group(0) @binding(1) var<storage, read_write> y: array<u32>;\n{globals}\
         @compute @workgroup_size({threads})\nfn main(@builtin(local_invocation_index) i: u32,\n\
         @builtin(subgroup_invocation_id) lane: u32, @builtin(subgroup_size) size: u32) {{\n{body}}}\n"
    );
    let shader = Shader {
        name: "test".into(),
        wgsl: wgsl.into(),
        bindings: vec![Access::Read, Access::ReadWrite],
        immediate_bytes: 0,
        workgroup: [threads, 1, 1],
    };
    let pipeline = backend.pipeline(&shader).unwrap();
    let bytes = 4 * x.len() as u64;
    let [input, output] = [0, 1].map(|_| backend.buffer(bytes, Usage::Storage, "test").unwrap());
    backend.write(&input, 0, bytemuck::cast_slice(x)).unwrap();
    backend.clear(&output, bytes).unwrap();
    let slices = [input, output.clone()].map(|buffer| Slice { buffer, offset: 0, bytes }).to_vec();
    let bound = backend.bind(&pipeline, &slices).unwrap();
    let dispatch =
        Command::Dispatch { pipeline: &pipeline, bound: &bound, immediates: &[], groups: [1, 1, 1] };
    backend.submit(&[dispatch]).unwrap();
    bytemuck::pod_collect_to_vec(&backend.view(&output, bytes).unwrap())
}

fn floats(words: &[u32]) -> Vec<f32> {
    words.iter().map(|w| f32::from_bits(*w)).collect()
}

#[test]
fn simdgroup_functions_under_several_widths() {
    let Some(_) = backend(Arithmetic::Strict) else { return };
    let x: Vec<u32> = (0..50).map(|i| i * i % 23 + 1).collect();
    for lanes in [1, 4, 8, 32, 64] {
        let backend = backend(Arithmetic::Strict).unwrap().lanes(lanes);
        let group = |i: usize| &x[i / lanes as usize * lanes as usize..];
        let group = |i: usize| &group(i)[..group(i).len().min(lanes as usize)];
        let expect = |body: &str, wanted: &dyn Fn(usize, usize) -> u32| {
            let found = run(&backend, "", "", 50, body, &x);
            let wanted: Vec<u32> = (0..50).map(|i| wanted(i, i % lanes as usize)).collect();
            assert_eq!(found, wanted, "{lanes} lanes: {body}");
        };
        expect("y[i] = subgroupAdd(x[i]);\n", &|i, _| group(i).iter().sum());
        expect("y[i] = subgroupMax(x[i]) + subgroupMin(x[i]);\n", &|i, _| {
            group(i).iter().max().unwrap() + group(i).iter().min().unwrap()
        });
        expect("y[i] = subgroupExclusiveAdd(x[i]);\n", &|i, lane| group(i)[..lane].iter().sum());
        expect("y[i] = subgroupInclusiveAdd(x[i]);\n", &|i, lane| group(i)[..=lane].iter().sum());
        expect("y[i] = subgroupBroadcastFirst(x[i]);\n", &|i, _| group(i)[0]);
        expect("y[i] = subgroupShuffle(x[i], 0u) + subgroupXor(x[i]);\n", &|i, _| {
            group(i)[0] + group(i).iter().fold(0, |a, b| a ^ b)
        });
        expect(
            "let d = subgroupShuffleDown(x[i], 1u);\ny[i] = select(d, 0u, i == 49u || lane + 1u == size);\n",
            &|i, lane| group(i).get(lane + 1).copied().unwrap_or(0),
        );
        expect("y[i] = subgroupBallot(x[i] > 9u).x;\n", &|i, _| {
            let bits = group(i).iter().take(32).enumerate();
            bits.map(|(k, v)| u32::from(*v > 9) << k).sum()
        });
        expect("y[i] = u32(subgroupAny(x[i] > 9u)) + 2u * u32(subgroupAll(x[i] > 9u));\n", &|i, _| {
            u32::from(group(i).iter().any(|v| *v > 9)) + 2 * u32::from(group(i).iter().all(|v| *v > 9))
        });
    }
}

#[test]
fn matrices() {
    let Some(backend) = backend(Arithmetic::Strict) else { return };
    let enables = "enable f16;\nenable wgpu_cooperative_matrix;\n";
    let globals = "var<workgroup> a: array<f16, 64>;\nvar<workgroup> b: array<f16, 64>;\nvar<workgroup> c: array<f32, 64>;\n";
    let value = |k: u32| f64::from(k * 7 % 11) - 5.0;
    for (load_b, store, transposed_b, transposed_c) in [
        ("coopLoadT", "coopStoreT", false, false),
        ("coopLoad", "coopStoreT", true, false),
        ("coopLoadT", "coopStore", false, true),
    ] {
        let body = format!(
            "for (var k = i; k < 64u; k += 32u) {{\na[k] = f16(f32(k * 7u % 11u) - 5.0);\n\
             b[k] = f16(f32(k * 5u % 13u) - 6.0);\nc[k] = f32(k);\n}}\nworkgroupBarrier();\n\
             let left = coopLoadT<coop_mat8x8<f16, A>>(&a[0], 8u);\n\
             let right = {load_b}<coop_mat8x8<f16, B>>(&b[0], 8u);\n\
             var sum = coopLoadT<coop_mat8x8<f32, C>>(&c[0], 8u);\n\
             sum = coopMultiplyAdd(left, right, sum);\nworkgroupBarrier();\n{store}(sum, &c[0], 8u);\n\
             workgroupBarrier();\nfor (var k = i; k < 64u; k += 32u) {{\ny[k] = bitcast<u32>(c[k]);\n}}\n"
        );
        let found = floats(&run(&backend, enables, globals, 32, &body, &[0; 64]));
        for row in 0..8 {
            for column in 0..8 {
                let right = |k: u32| {
                    f64::from(if transposed_b { column * 8 + k } else { k * 8 + column } * 5 % 13) - 6.0
                };
                let sum: f64 = (0..8).map(|k| value(row * 8 + k) * right(k)).sum();
                let at = if transposed_c { column * 8 + row } else { row * 8 + column };
                assert_eq!(
                    f64::from(found[at as usize]),
                    sum + f64::from(row * 8 + column),
                    "{load_b} {store}"
                );
            }
        }
    }
}

#[test]
fn half_precision_rounds_each_operation() {
    let Some(backend) = backend(Arithmetic::Strict) else { return };
    // 2048 + 1 is a tie in half precision, and goes to 2048 each time; in single the sum would be 2050.
    let body = "let one = f16(x[0]);\nvar s = f16(x[1]);\ns = (s + one) + one;\ny[0] = u32(s);\n\
                let h = unpack2x16float(x[2]);\ny[1] = bitcast<u32>(h.y);\ny[2] = pack2x16float(h.yx);\n\
                y[3] = bitcast<u32>(f32(vec2<f16>(h).x * 3.0h));\n";
    let found = run(&backend, "enable f16;\n", "", 1, body, &[1, 2048, 0x4200_3c01, 0]);
    assert_eq!(found[0], 2048);
    assert_eq!(f32::from_bits(found[1]), 3.0);
    assert_eq!(found[2], 0x3c01_4200);
    // 3 · 1.0009765625 = 3.0029296875, between 3.001953125 and 3.00390625: to the even one.
    assert_eq!(f32::from_bits(found[3]), 3.003_906_3);
}

#[test]
fn packed_bytes_bits_and_constants() {
    let Some(backend) = backend(Arithmetic::Strict) else { return };
    let body = "let q = unpack4xI8(x[0]);\ny[0] = u32(q.x + 2 * q.y + 3 * q.z + 4 * q.w);\n\
                let u = unpack4xU8(x[0]);\ny[1] = dot(u, vec4<u32>(1u, 2u, 3u, 4u));\n\
                y[2] = u32(dot4I8Packed(x[0], x[1]));\ny[3] = extractBits(x[0], 4u, 8u);\n\
                y[4] = countOneBits(x[0]) + firstLeadingBit(x[1]);\ny[5] = insertBits(x[0], 5u, 8u, 4u);\n\
                y[6] = bitcast<u32>(1.0 / 3.0 * f32(x[2]));\ny[7] = u32(-7 / i32(x[2])) + (x[1] >> (x[2] & 31u));\n";
    let found = run(&backend, "", "", 1, body, &[0x80ff_7f01, 0x01fe_0304, 2, 0, 0, 0, 0, 0]);
    let (q, u) = ([1, 127, -1, -128_i32], [1, 127, 255, 128_u32]);
    assert_eq!(found[0] as i32, (1..).zip(q).map(|(k, v)| k * v).sum::<i32>());
    assert_eq!(found[1], (1..).zip(u).map(|(k, v)| k * v).sum::<u32>());
    assert_eq!(found[2] as i32, 4 + 127 * 3 + 2 - 128);
    assert_eq!(found[3], 0xf0);
    assert_eq!(found[4], 0x80ff_7f01_u32.count_ones() + 24);
    assert_eq!(found[5], 0x80ff_7501);
    // A literal is single precision: 1/3 in double would round to another product.
    assert_eq!(f32::from_bits(found[6]), (1.0_f32 / 3.0) * 2.0);
    assert_eq!(found[7], (-3_i32 as u32).wrapping_add(0x01fe_0304 >> 2));
}

#[test]
fn atomics_and_vectors_of_conditions() {
    let Some(backend) = backend(Arithmetic::Strict) else { return };
    let globals = "var<workgroup> n: atomic<u32>;\nvar<workgroup> most: atomic<i32>;\n";
    let body = "if i == 0u {\natomicStore(&n, 0u);\natomicStore(&most, -100);\n}\nworkgroupBarrier();\n\
                atomicAdd(&n, x[i]);\natomicMax(&most, i32(x[i]) - 50);\nworkgroupBarrier();\n\
                let v = vec4<f32>(f32(x[i]), 1.0, 2.0, 3.0);\nlet s = select(vec4(0.0), v.wzyx, v > vec4(1.5));\n\
                y[i] = atomicLoad(&n) + u32(atomicLoad(&most)) + u32(s.x + s.z * 10.0 + s.w * 100.0)\n\
                + u32(any(v == vec4(3.0))) * 1000u;\n";
    let x: Vec<u32> = (0..40).collect();
    let found = run(&backend, "", globals, 40, body, &x);
    let sum: u32 = x.iter().sum();
    for (i, v) in x.iter().enumerate() {
        let s = if *v > 1 { 3 } else { 0 } + 10 + 100 * v;
        assert_eq!(found[i], sum.wrapping_add(-11_i32 as u32).wrapping_add(s + 1000), "{i}");
    }
}
