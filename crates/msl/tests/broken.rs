//! Kernels on matrix units that are wrong on purpose: the op suite must catch each of them. Adapters with such units are rare where
//! tests run, Metal's are everywhere here.
//!
//! Without clang++ the test says so and passes; with `MYNAH_REQUIRE_MSL=1` that is a failure.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

mod common;

use common::backend;
use mynah_device::{DeviceError, DeviceReport, Policy};
use mynah_gpu::{Backend, Bind, Capabilities, Command, GpuDevice, Shader, Usage};
use mynah_lab::{Status, cases, run_case};
use mynah_msl::{Arithmetic, MslBackend};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A part of a text and what stands there instead.
type Edit = [&'static str; 2];

/// A case, a part of its kernel and what stands there instead.
const MISTAKES: [(&str, Edit); 8] = [
    // Sums and results that stay as they were when the largest score has grown, or take another row's factor.
    ("attention/wide-sharp/", ["sum *= shrink", "sum *= 1.0"]),
    ("attention/wide-sharp/", ["if anew != 0u", "if anew == 2u"]),
    ("attention/wide-sharp/", ["i / OWN_PITCH", "0u"]),
    // Keys and values past the length.
    ("attention/hidden/", ["< vec4<u32>(length)", "<= vec4<u32>(length)"]),
    ("attention/hidden/", ["words_v(next_v0), keys + key_row0 < length", "words_v(next_v0), true"]),
    // The positions of another query, a window that is too wide, one bias for both.
    ("rel_pos_attention/nothing-first/", ["- row % SIZE", ""]),
    ("rel_pos_attention/local-batch/", ["query + p.right", "query + p.right + 1u"]),
    ("rel_pos_attention/nothing-first/", ["v_bias[", "u_bias["]),
];

/// Metal's translation of kernels that were edited.
struct Altered {
    inner: MslBackend,
    edit: Edit,
    edited: AtomicUsize,
}

fn passed_on<'a>(command: &Command<'a, Altered>) -> Command<'a, MslBackend> {
    match *command {
        Command::Dispatch { pipeline, bound, immediates, groups } => {
            Command::Dispatch { pipeline, bound, immediates, groups }
        }
        Command::Copy { from, from_offset, to, to_offset, bytes } => {
            Command::Copy { from, from_offset, to, to_offset, bytes }
        }
    }
}

impl Backend for Altered {
    type Buffer = <MslBackend as Backend>::Buffer;
    type Pipeline = <MslBackend as Backend>::Pipeline;
    type Bound = <MslBackend as Backend>::Bound;
    type View = <MslBackend as Backend>::View;
    type Ahead = ();

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn report(&self) -> DeviceReport {
        self.inner.report()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
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
        let [from, to] = self.edit;
        self.edited.fetch_add(usize::from(shader.wgsl.contains(from)), Ordering::Relaxed);
        self.inner.pipeline(&Shader { wgsl: shader.wgsl.replace(from, to).into(), ..shader.clone() })
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

#[test]
fn each_is_caught() {
    let all = cases().unwrap();
    for (name, edit) in MISTAKES {
        let Some(inner) = backend(Arithmetic::Strict) else { return };
        let device = GpuDevice::new(Altered { inner, edit, edited: AtomicUsize::new(0) });
        let found: Vec<_> = all.iter().filter(|case| case.name.starts_with(name)).collect();
        assert!(!found.is_empty(), "no case '{name}'");
        let failed = |status: Status| match status {
            Status::Failed(reason) => Some(reason),
            _ => None,
        };
        let reasons =
            found.iter().filter_map(|case| failed(run_case(case, &device, &Policy::default()).status));
        let reasons: Vec<String> = reasons.collect();
        assert!(device.backend().edited.load(Ordering::Relaxed) > 0, "no kernel of {name} has '{}'", edit[0]);
        assert!(!reasons.is_empty(), "{name} passes with '{}' for '{}'", edit[1], edit[0]);
        // It must run and be wrong, not be refused by the compiler.
        assert!(reasons.iter().all(|reason| !reason.contains("': kernel ")), "{name}: {reasons:#?}");
    }
}
