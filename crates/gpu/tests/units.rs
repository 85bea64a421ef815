//! Products on matrix units where there are none: the lanes of a subgroup share the sums out among themselves.
//!
//! A stand-in for the adapter claims to have the units and puts plain functions for the instructions into each kernel, so
//! that the op suite judges all that surrounds them: tiles, ends of rows, split sums, factors of rows, epilogues.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

use mynah_device::{DeviceError, DeviceReport, Policy};
use mynah_gpu::{
    Backend, Bind, Capabilities, Command, GpuDevice, MatrixShape, Shader, Usage, WgpuBackend, list,
};
use mynah_lab::{Report, cases, run_case};
use std::time::Duration;

struct Emulated {
    inner: WgpuBackend,
    caps: Capabilities,
    size: u32,
}

impl Emulated {
    fn new(inner: WgpuBackend, size: u32) -> Self {
        let matrix = vec![MatrixShape { m: size, n: size, k: size }];
        let caps = Capabilities { matrix, subgroup: Some([32; 2]), ..inner.capabilities().clone() };
        Self { inner, caps, size }
    }

    fn rewrite(&self, shader: &Shader) -> Shader {
        if !shader.wgsl.contains("coopMultiplyAdd") {
            return shader.clone();
        }
        let matrix = format!("coop_mat{0}x{0}", self.size);
        let mut text = shader.wgsl.to_string();
        for (from, to) in [
            ("enable wgpu_cooperative_matrix;".to_owned(), ""),
            (format!("coopLoadT<{matrix}<f16, A>>(&tiles["), "emulated_factor("),
            (format!("coopLoad<{matrix}<f16, B>>(&tiles["), "emulated_factor("),
            (format!("coopLoadT<{matrix}<f32, C>>(&stage["), "emulated_sum("),
            ("coopStoreT(".to_owned(), "emulated_store("),
            ("&stage[".to_owned(), ""),
            ("], pitch)".to_owned(), ", pitch)"),
            ("], width)".to_owned(), ", width)"),
            ("coopMultiplyAdd(".to_owned(), "emulated_product("),
        ] {
            text = text.replace(&from, to);
        }
        // Subgroups are made up, so that there are 32 lanes whatever the adapter has.
        for builtin in
            ["@builtin(subgroup_id) subgroup: u32,", "@builtin(subgroup_invocation_id) place: u32,"]
        {
            text = text.replace(builtin, "");
        }
        let lanes = "let subgroup = lane / LANES;\n    let place = lane % LANES;\n    own_place = place;\n";
        text = text.replace("let first_row = wid.y", &format!("{lanes}    let first_row = wid.y"));
        let vectors = text.contains("tiles: array<vec4<f16>");
        let [x, w] = if vectors { ["x + k / 4u][k % 4u", "w + k / 4u][k % 4u"] } else { ["x + k", "w + k"] };
        text.push_str(&EMULATION.replace("x + K", x).replace("w + K", w));
        Shader { wgsl: text.into(), ..shader.clone() }
    }
}

/// Factors stay in workgroup memory until they are multiplied; each lane has a share of the sums.
const EMULATION: &str = "
const SHARE: u32 = SIZE * SIZE / LANES;
var<private> own_place: u32;
struct Factor { at: u32, pitch: u32 }
struct Sums { v: array<f32, SHARE> }
fn emulated_factor(at: u32, pitch: u32) -> Factor { return Factor(at, pitch); }
fn emulated_sum(at: u32, pitch: u32) -> Sums {
    var m: Sums;
    for (var i = 0u; i < SHARE; i++) {
        let e = own_place * SHARE + i;
        m.v[i] = stage[at + e / SIZE * pitch + e % SIZE];
    }
    return m;
}
fn emulated_store(m: Sums, at: u32, pitch: u32) {
    var copy = m;
    for (var i = 0u; i < SHARE; i++) {
        let e = own_place * SHARE + i;
        stage[at + e / SIZE * pitch + e % SIZE] = copy.v[i];
    }
}
fn emulated_product(a: Factor, b: Factor, c: Sums) -> Sums {
    var m = c;
    for (var i = 0u; i < SHARE; i++) {
        let e = own_place * SHARE + i;
        let x = a.at + e / SIZE * a.pitch;
        let w = b.at + e % SIZE * b.pitch;
        for (var k = 0u; k < SIZE; k++) { m.v[i] += f32(tiles[x + K]) * f32(tiles[w + K]); }
    }
    return m;
}
";

impl Backend for Emulated {
    type Buffer = <WgpuBackend as Backend>::Buffer;
    type View = <WgpuBackend as Backend>::View;
    type Pipeline = <WgpuBackend as Backend>::Pipeline;
    type Bound = <WgpuBackend as Backend>::Bound;

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn report(&self) -> DeviceReport {
        self.inner.report()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.caps
    }

    fn buffer(&self, bytes: u64, usage: Usage, what: &str) -> Result<Self::Buffer, DeviceError> {
        self.inner.buffer(bytes, usage, what)
    }

    fn write(&self, buffer: &Self::Buffer, offset: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        self.inner.write(buffer, offset, bytes)
    }

    fn clear(&self, buffer: &Self::Buffer, bytes: u64) -> Result<(), DeviceError> {
        self.inner.clear(buffer, bytes)
    }

    fn pipeline(&self, shader: &Shader) -> Result<Self::Pipeline, DeviceError> {
        self.inner.pipeline(&self.rewrite(shader))
    }

    fn bind(
        &self,
        pipeline: &Self::Pipeline,
        operands: &Bind<Self::Buffer>,
    ) -> Result<Self::Bound, DeviceError> {
        self.inner.bind(pipeline, operands)
    }

    fn submit(&self, commands: &[Command<'_, Self>]) -> Result<(), DeviceError> {
        self.inner.submit(&commands.iter().map(passed_on).collect::<Vec<_>>())
    }

    fn submit_timed(&self, commands: &[Command<'_, Self>]) -> Result<Vec<Duration>, DeviceError> {
        self.inner.submit_timed(&commands.iter().map(passed_on).collect::<Vec<_>>())
    }

    fn view(&self, buffer: &Self::Buffer, bytes: u64) -> Result<Self::View, DeviceError> {
        self.inner.view(buffer, bytes)
    }

    fn wait(&self) -> Result<(), DeviceError> {
        self.inner.wait()
    }
}

fn passed_on<'a>(command: &Command<'a, Emulated>) -> Command<'a, WgpuBackend> {
    match *command {
        Command::Dispatch { pipeline, bound, immediates, groups } => {
            Command::Dispatch { pipeline, bound, immediates, groups }
        }
        Command::Copy { from, from_offset, to, to_offset, bytes } => {
            Command::Copy { from, from_offset, to, to_offset, bytes }
        }
    }
}

/// Products with more rows than the kernels for few take: a computed factor, every part of an epilogue, split sums of a weight
/// whose rows have factors; products among other ops.
const CASES: [&str; 5] = [
    "matmul/computed-weight/17x64*23",
    "matmul/epilogue/2x11x96*37/Q8_0+bias+silu*0.5+residual",
    "matmul/0.6b-ff2-slice/17x4096*64/Q4_K",
    // Values kept as halves between a norm, products and attention.
    "composite/attention/F16",
    "composite/read-twice",
];

fn check(size: u32) {
    let mut products = cases().unwrap();
    products.retain(|case| CASES.iter().any(|name| case.name == *name));
    assert_eq!(products.len(), CASES.len(), "the suite has other names now");
    for info in list() {
        let adapter = WgpuBackend::open(info.choice).unwrap();
        let caps = adapter.capabilities();
        if !caps.f16 {
            eprintln!("{}: no f16, nothing was tested", info.choice);
            continue;
        }
        let device = GpuDevice::new(Emulated::new(adapter, size));
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
