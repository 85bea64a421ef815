//! Kernels that are wrong on purpose: each must be caught, and the right one beside it must run.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

mod common;

use common::backend;
use mynah_device::DeviceError;
use mynah_gpu::{Access, Backend, Command, Shader, Slice, Usage};
use mynah_msl::{Arithmetic, MslBackend, Order};

const HEAD: &str = "\
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct Params { n: u32, }
var<immediate> p: Params;
var<workgroup> part: array<f32, 64>;
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
";

/// Runs a body over `0, 1, …` in two groups of 64 threads and gives `y`, its first 128 elements.
fn run(backend: &MslBackend, body: &str) -> Result<Vec<f32>, DeviceError> {
    let shader = Shader {
        name: "test".into(),
        wgsl: format!("{HEAD}{body}}}\n").into(),
        bindings: vec![Access::Read, Access::ReadWrite],
        immediate_bytes: 4,
        workgroup: [64, 1, 1],
    };
    let pipeline = backend.pipeline(&shader)?;
    let [x, y] = [0, 1].map(|_| backend.buffer(512, Usage::Storage, "test").unwrap());
    let numbers: Vec<f32> = (0..128_u8).map(f32::from).collect();
    backend.write(&x, 0, bytemuck::cast_slice(&numbers))?;
    let slice = |buffer: &_| Slice { buffer: Clone::clone(buffer), offset: 0, bytes: 512 };
    let bound = backend.bind(&pipeline, &vec![slice(&x), slice(&y)])?;
    let immediates = 128_u32.to_le_bytes();
    let dispatch =
        Command::Dispatch { pipeline: &pipeline, bound: &bound, immediates: &immediates, groups: [2, 1, 1] };
    backend.submit(&[dispatch])?;
    Ok(bytemuck::pod_collect_to_vec(&backend.view(&y, 512)?))
}

fn complaint(backend: &MslBackend, body: &str) -> String {
    match run(backend, body) {
        Err(DeviceError::Kernel { reason, .. }) => reason,
        other => panic!("it ran: {other:?}\n{body}"),
    }
}

fn both() -> Option<[MslBackend; 2]> {
    let open = |order| Some(backend(Arithmetic::Strict)?.ordered(order));
    Some([open(Order::Forward)?, open(Order::Backward)?])
}

#[test]
fn a_barrier_that_some_threads_miss() {
    let Some(both) = both() else { return };
    for backend in &both {
        let body =
            "part[lane] = x[lane];\nif lane == 0u {\nworkgroupBarrier();\n}\ny[lane] = part[63u - lane];\n";
        let said = complaint(backend, body);
        assert!(said.contains("threadgroup_barrier") && said.contains("has returned"), "{said}");
        // A whole simdgroup misses it.
        let body = "if subgroup == 1u {\nworkgroupBarrier();\n}\n";
        let said = complaint(backend, body);
        assert!(said.contains("threadgroup_barrier") && said.contains("has returned"), "{said}");
        // Both sides wait, each elsewhere.
        let body = "if lane < 7u {\nworkgroupBarrier();\n} else {\nworkgroupBarrier();\n}\n";
        let said = complaint(backend, body);
        assert!(said.contains("thread 7 of its simdgroup") || said.contains("thread 7 waits"), "{said}");
        // One iteration fewer.
        let body = "for (var i = 0u; i < 4u - (lane & 1u); i++) {\nworkgroupBarrier();\n}\n";
        assert!(complaint(backend, body).contains("has returned"));
    }
}

#[test]
fn a_simdgroup_function_that_some_lanes_miss() {
    let Some(both) = both() else { return };
    for backend in &both {
        let body = "if x[lane] > 3.0 {\ny[lane] = subgroupAdd(x[lane]);\n}\n";
        let said = complaint(backend, body);
        assert!(said.contains("simd_sum") && said.contains("has returned"), "{said}");
        // Simdgroups need not agree.
        let body =
            "var s = 1.0;\nif subgroup == 1u {\ns = subgroupMax(x[lane]);\n}\ny[wid.x * 64u + lane] = s;\n";
        let found = run(backend, body).unwrap();
        assert!(
            found.chunks(32).zip([1.0, 63.0, 1.0, 63.0]).all(|(part, want)| part.iter().all(|&v| v == want))
        );
    }
}

#[test]
fn an_access_outside_of_a_binding_or_an_array() {
    let Some(both) = both() else { return };
    let off_by_one = "let i = wid.x * 64u + lane + 1u;\ny[i] = x[i];\n";
    let bad = [
        (off_by_one, "element 128 of the 128 in buffer 1"),
        (
            "if lane == 5u {\ny[p.n] = 1.0;\n}\n",
            "thread 5 of group (0, 0, 0) reaches element 128 of the 128 in buffer 2",
        ),
        ("part[lane + 1u] = 1.0;\n", "element 64 of an array of 64"),
        ("var own: array<f32, 4>;\nown[lane] = 1.0;\ny[lane] = own[3];\n", "of an array of 4"),
    ];
    for backend in &both {
        for (body, wanted) in bad {
            let said = complaint(backend, body);
            assert!(said.contains(wanted), "{said}");
        }
        // It is the launch that ends, not the machine.
        let found = run(backend, "let i = wid.x * 64u + lane;\ny[i] = x[i];\n").unwrap();
        assert_eq!(found[127], 127.0);
    }
}

#[test]
fn a_missing_barrier_shows_in_one_of_the_two_orders() {
    let Some(both) = both() else { return };
    let neighbour = |barrier: &str| {
        format!(
            "part[lane] = x[lane];\n{barrier}var s = 0.0;\nif lane > 0u {{\ns = part[lane - 1u];\n}}\n\
             y[wid.x * 64u + lane] = s;\n"
        )
    };
    let right: Vec<f32> = (0..128_u8).map(|i| f32::from((i % 64).saturating_sub(1))).collect();
    for backend in &both {
        assert_eq!(run(backend, &neighbour("workgroupBarrier();\n")).unwrap(), right);
    }
    let [forward, backward] = &both;
    let without = neighbour("");
    // Threadgroup memory starts as NaN, which is what the later thread's neighbour has not written yet.
    assert_eq!(run(forward, &without).unwrap(), right);
    assert!(run(backward, &without).unwrap()[1].is_nan());
}

#[test]
fn a_buffer_bound_in_both_ways_is_refused() {
    let Some([backend, _]) = both() else { return };
    let shader = Shader {
        name: "test".into(),
        wgsl: format!("{HEAD}y[lane] = x[lane];\n}}\n").into(),
        bindings: vec![Access::Read, Access::ReadWrite],
        immediate_bytes: 4,
        workgroup: [64, 1, 1],
    };
    let pipeline = backend.pipeline(&shader).unwrap();
    let buffer = backend.buffer(1024, Usage::Storage, "test").unwrap();
    let bind = |offset, bytes| {
        let slice = |offset, bytes| Slice { buffer: buffer.clone(), offset, bytes };
        backend.bind(&pipeline, &vec![slice(0, 256), slice(offset, bytes)]).unwrap_err().to_string()
    };
    assert!(bind(512, 256).contains("both ways"));
    assert!(bind(16, 256).contains("from byte 16"));
    assert!(bind(768, 512).contains("of 1024"));
}
