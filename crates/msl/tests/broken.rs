//! Kernels on matrix units that are wrong on purpose: the op suite must catch each of them. Adapters with such units are rare where
//! tests run, Metal's are everywhere here.
//!
//! Without clang++ the test says so and passes; with `MYNAH_REQUIRE_MSL=1` that is a failure.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

#[path = "../../gpu/tests/altered/mod.rs"]
mod altered;
mod common;

use altered::{Altered, Edit};
use common::backend;
use mynah_device::Policy;
use mynah_gpu::GpuDevice;
use mynah_lab::{Status, cases, run_case};
use mynah_msl::Arithmetic;

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

#[test]
fn each_is_caught() {
    let all = cases().unwrap();
    for (name, edit) in MISTAKES {
        let Some(inner) = backend(Arithmetic::Strict) else { return };
        let device = GpuDevice::new(Altered::plain(inner).broken(edit));
        let found: Vec<_> = all.iter().filter(|case| case.name.starts_with(name)).collect();
        assert!(!found.is_empty(), "no case '{name}'");
        let failed = |status: Status| match status {
            Status::Failed(reason) => Some(reason),
            _ => None,
        };
        let reasons =
            found.iter().filter_map(|case| failed(run_case(case, &device, &Policy::default()).status));
        let reasons: Vec<String> = reasons.collect();
        assert!(device.backend().rewritten() > 0, "no kernel of {name} has '{}'", edit[0]);
        assert!(!reasons.is_empty(), "{name} passes with '{}' for '{}'", edit[1], edit[0]);
        // It must run and be wrong, not be refused by the compiler.
        assert!(reasons.iter().all(|reason| !reason.contains("': kernel ")), "{name}: {reasons:#?}");
    }
}
