//! Products on matrix units where there are none: the lanes of a subgroup share the sums out among themselves.
//!
//! The adapter is said to have the units, and plain functions are put for the instructions into each kernel, so
//! that the op suite judges all that surrounds them: tiles, ends of rows, split sums, factors of rows, epilogues; the stage and the
//! softmax of attention.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

mod altered;

use altered::Altered;
use mynah_device::Policy;
use mynah_gpu::{Backend, Capabilities, GpuDevice, MatrixShape, Shader, WgpuBackend, list};
use mynah_lab::{Report, cases, run_case};

/// An adapter that claims to have units of `size` and subgroups of 32.
fn with_units(inner: WgpuBackend, size: u32) -> Altered<WgpuBackend> {
    let matrix = vec![MatrixShape { m: size, n: size, k: size }];
    Altered::plain(inner)
        .capable(|caps| Capabilities { matrix, subgroup: Some([32; 2]), ..caps })
        .rewriting(move |shader| emulated(shader, size))
}

/// A kernel with functions for the instructions of units of `size`.
fn emulated(shader: &Shader, size: u32) -> Option<Shader> {
    if !shader.wgsl.contains("coopMultiplyAdd") {
        return None;
    }
    let matrix = format!("coop_mat{size}x{size}");
    let mut text = shader.wgsl.to_string();
    for (from, to) in [
        ("enable wgpu_cooperative_matrix;".to_owned(), ""),
        (format!("coopLoadT<{matrix}<f16, A>>(&tiles["), "emulated_rows("),
        (format!("coopLoad<{matrix}<f16, B>>(&tiles["), "emulated_factor(true, "),
        (format!("coopLoadT<{matrix}<f16, B>>(&tiles["), "emulated_factor(false, "),
        (format!("coopLoadT<{matrix}<f32, C>>(&stage["), "emulated_sum("),
        ("coopStoreT(".to_owned(), "emulated_store("),
        ("&stage[".to_owned(), ""),
        ("], pitch)".to_owned(), ", pitch)"),
        ("], width)".to_owned(), ", width)"),
        ("], weight_pitch)".to_owned(), ", weight_pitch)"),
        ("], stage_pitch)".to_owned(), ", stage_pitch)"),
        ("coopMultiplyAdd(".to_owned(), "emulated_product("),
    ] {
        text = text.replace(&from, to);
    }
    // Subgroups are made up, so that there are 32 lanes whatever the adapter has.
    for builtin in ["@builtin(subgroup_id) subgroup: u32,", "@builtin(subgroup_invocation_id) place: u32,"] {
        text = text.replace(builtin, "");
    }
    let lanes = "let subgroup = lane / LANES;\n    let place = lane % LANES;\n    own_place = place;\n";
    for first in ["let first_row = wid.y", "let first = wid.x"] {
        text = text.replace(first, &format!("{lanes}    {first}"));
    }
    let element = |array: &str, vector: &str| {
        let wide = text.contains(&format!("{array}: array<{vector}"));
        if wide { format!("{array}[at + c / 4u][c % 4u]") } else { format!("{array}[at + c]") }
    };
    let (tile, stage) = (element("tiles", "vec4<f16>"), element("stage", "vec4<f32>"));
    text.push_str(&EMULATION.replace("TILE_ELEMENT", &tile).replace("STAGE_ELEMENT", &stage));
    Some(Shader { wgsl: text.into(), ..shader.clone() })
}

/// Left factors are copied whole by every lane, right ones stay in workgroup memory until they are multiplied; each lane has a share
/// of the sums.
const EMULATION: &str = "
const SHARE: u32 = SIZE * SIZE / LANES;
var<private> own_place: u32;
struct Rows { v: array<f16, SIZE * SIZE> }
struct Factor { columns: bool, at: u32, pitch: u32 }
struct Sums { v: array<f32, SHARE> }
fn tile_element(at: u32, c: u32) -> f16 { return TILE_ELEMENT; }
fn emulated_rows(at: u32, pitch: u32) -> Rows {
    var m: Rows;
    for (var e = 0u; e < SIZE * SIZE; e++) { m.v[e] = tile_element(at + e / SIZE * pitch, e % SIZE); }
    return m;
}
fn emulated_factor(columns: bool, at: u32, pitch: u32) -> Factor { return Factor(columns, at, pitch); }
fn emulated_sum(start: u32, pitch: u32) -> Sums {
    var m: Sums;
    for (var i = 0u; i < SHARE; i++) {
        let e = own_place * SHARE + i;
        let at = start + e / SIZE * pitch;
        let c = e % SIZE;
        m.v[i] = STAGE_ELEMENT;
    }
    return m;
}
fn emulated_store(m: Sums, start: u32, pitch: u32) {
    var copy = m;
    for (var i = 0u; i < SHARE; i++) {
        let e = own_place * SHARE + i;
        let at = start + e / SIZE * pitch;
        let c = e % SIZE;
        STAGE_ELEMENT = copy.v[i];
    }
}
fn emulated_product(a: Rows, b: Factor, c: Sums) -> Sums {
    var rows = a;
    var m = c;
    for (var i = 0u; i < SHARE; i++) {
        let e = own_place * SHARE + i;
        for (var k = 0u; k < SIZE; k++) {
            let row = select(k, e % SIZE, b.columns);
            let column = select(e % SIZE, k, b.columns);
            m.v[i] += f32(rows.v[e / SIZE * SIZE + k]) * f32(tile_element(b.at + row * b.pitch, column));
        }
    }
    return m;
}
";

/// Products with more rows than the kernels for few take: a computed factor, every part of an epilogue, split sums of a weight
/// whose rows have factors; products among other ops.
const CASES: [&str; 8] = [
    "matmul/computed-weight/17x64*23",
    "matmul/epilogue/2x11x96*37/Q8_0+bias+silu*0.5+residual",
    "matmul/0.6b-ff2-slice/17x4096*64/Q4_K",
    // Values kept as halves between a norm, products and attention.
    "composite/attention/F16",
    "composite/read-twice",
    "composite/full-attention",
    // Results scaled anew, lengths, positions.
    "attention/wide-sharp/",
    "rel_pos_attention/bucket/",
];

fn check(size: u32) {
    let mut products = cases().unwrap();
    products.retain(|case| CASES.iter().any(|name| case.name.starts_with(name)));
    assert_eq!(products.len(), CASES.len(), "the suite has other names now");
    for info in list() {
        let adapter = WgpuBackend::open(info.choice).unwrap();
        let caps = adapter.capabilities();
        if !caps.f16 {
            eprintln!("{}: no f16, nothing was tested", info.choice);
            continue;
        }
        let device = GpuDevice::new(with_units(adapter, size));
        let policy = Policy::default();
        let results = products.iter().map(|case| run_case(case, &device, &policy)).collect();
        let report = Report { title: format!("emulated units of {size}"), results };
        eprintln!("{report}");
        let failures: Vec<_> = report.failures().map(|(r, reason)| format!("{}: {reason}", r.name)).collect();
        assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
        // With units the products must differ from those in f32, or they weren't used.
        let rounded = report.results.iter().filter_map(|r| r.error.as_ref()).any(|e| e.nmse > 1e-10);
        assert!(rounded, "no product was rounded to f16");
    }
}

#[test]
#[ignore = "drivers without units take minutes to compile the emulation"]
fn units_of_8() {
    check(8);
}

#[test]
#[ignore = "drivers without units take minutes to compile the emulation"]
fn units_of_16() {
    check(16);
}
