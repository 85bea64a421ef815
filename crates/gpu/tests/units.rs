//! Products on matrix units where there are none: every lane of a subgroup works out whole matrices by itself.
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
        let caps = Capabilities { matrix, ..inner.capabilities().clone() };
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
            (format!("coopLoadT<{matrix}<f16, A>>(&xs["), "emulated_x("),
            (format!("coopLoad<{matrix}<f16, B>>(&ws["), "emulated_w("),
            (format!("coopLoadT<{matrix}<f32, C>>(&stage["), "emulated_sum("),
            ("coopStoreT(".to_owned(), "emulated_store("),
            ("&stage[".to_owned(), ""),
            ("], pitch)".to_owned(), ", pitch)"),
            ("], width)".to_owned(), ", width)"),
            ("coopMultiplyAdd(".to_owned(), "emulated_product("),
        ] {
            text = text.replace(&from, to);
        }
        let element = if text.contains("array<vec4<f16>, X_ROWS") {
            "at + c / 4u + r * pitch][c % 4u"
        } else {
            "at + c + r * pitch"
        };
        text.push_str(&EMULATION.replace("ELEMENT", element));
        Shader { wgsl: text.into(), ..shader.clone() }
    }
}

const EMULATION: &str = "
struct Emulated { v: array<f32, SIZE * SIZE> }
fn emulated_x(at: u32, pitch: u32) -> Emulated {
    var m: Emulated;
    for (var r = 0u; r < SIZE; r++) { for (var c = 0u; c < SIZE; c++) { m.v[r * SIZE + c] = f32(xs[ELEMENT]); } }
    return m;
}
fn emulated_w(at: u32, pitch: u32) -> Emulated {
    var m: Emulated;
    for (var r = 0u; r < SIZE; r++) { for (var c = 0u; c < SIZE; c++) { m.v[c * SIZE + r] = f32(ws[ELEMENT]); } }
    return m;
}
fn emulated_sum(at: u32, pitch: u32) -> Emulated {
    var m: Emulated;
    for (var r = 0u; r < SIZE; r++) { for (var c = 0u; c < SIZE; c++) { m.v[r * SIZE + c] = stage[at + r * pitch + c]; } }
    return m;
}
fn emulated_store(m: Emulated, at: u32, pitch: u32) {
    var copy = m;
    for (var r = 0u; r < SIZE; r++) { for (var c = 0u; c < SIZE; c++) { stage[at + r * pitch + c] = copy.v[r * SIZE + c]; } }
}
fn emulated_product(a: Emulated, b: Emulated, c: Emulated) -> Emulated {
    var x = a;
    var y = b;
    var m = c;
    for (var i = 0u; i < SIZE; i++) {
        for (var j = 0u; j < SIZE; j++) {
            for (var k = 0u; k < SIZE; k++) { m.v[i * SIZE + j] += x.v[i * SIZE + k] * y.v[k * SIZE + j]; }
        }
    }
    return m;
}
";

impl Backend for Emulated {
    type Buffer = <WgpuBackend as Backend>::Buffer;
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

    fn read(
        &self,
        buffer: &Self::Buffer,
        bytes: u64,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), DeviceError> {
        self.inner.read(buffer, bytes, take)
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

/// Products with more rows than the kernels for few take: types stored in each way, split sums, every part of an epilogue, ends
/// of rows. Emulation takes seconds for each, most of them to compile.
const CASES: [&str; 9] = [
    "0.6b-ff-slice/1x33x1024*256/F16",
    "0.6b-ff-slice/1x33x1024*256/BF16",
    "0.6b-ff-slice/1x33x1024*256/Q8_0",
    "0.6b-ff-slice/1x33x1024*256/Q6_K",
    "0.6b-ff2-slice/17x4096*64/Q4_K",
    "epilogue/2x11x96*37/F32+bias+silu*0.5+residual",
    "0.6b-attention/1x138x1024*128/F32",
    "short-inner/9x32*33/Q5_0",
    "computed-weight/17x64*23",
];

fn check(size: u32) {
    let mut products = cases().unwrap();
    products.retain(|case| CASES.iter().any(|name| case.name == format!("matmul/{name}")));
    assert_eq!(products.len(), CASES.len(), "the suite has other names now");
    for info in list() {
        let adapter = WgpuBackend::open(info.choice).unwrap();
        let caps = adapter.capabilities();
        if !caps.f16 || caps.subgroup.is_none_or(|[min, max]| min != max || max > 32) {
            eprintln!("{}: no f16, or subgroups that differ in size; nothing was tested", info.choice);
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
fn units_of_8() {
    check(8);
}

#[test]
fn units_of_16() {
    check(16);
}
