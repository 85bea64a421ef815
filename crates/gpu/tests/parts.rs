//! Weights too large for one binding of the adapter: products and tables are cut into parts, and give what they gave whole.
//!
//! Real weights reach the limits of real adapters (128 MiB where nothing more is promised) only at sizes that tests can't afford, so
//! the limit is brought down to the suite's.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

mod altered;

use altered::Altered;
use mynah_device::Policy;
use mynah_gpu::{Capabilities, GpuDevice, WgpuBackend, list};
use mynah_lab::{OpCase, Report, Status, cases, run_case};

/// Bytes of a binding, and ops with how many of their cases must run in parts then.
const LIMITS: [(u64, &[(&str, usize)]); 2] =
    [(256 << 10, &[("matmul", 10), ("gather", 1)]), (96 << 10, &[("expert_gate_up", 2), ("expert_down", 1)])];

/// Whether a weight needs more than one part.
fn large(case: &OpCase, limit: u64) -> bool {
    let bytes = |spec: &mynah_graph::WeightSpec| spec.dtype.row_bytes(spec.shape.numel()).unwrap_or(0) as u64;
    let mut inputs = case.graph.nodes().iter().flat_map(|node| &node.inputs);
    inputs.any(|&value| case.graph.weight(value).is_some_and(|spec| bytes(spec) > limit))
}

#[test]
fn large_weights_are_bound_in_parts() {
    let all = cases().unwrap();
    let adapters = list();
    if adapters.is_empty() {
        assert!(std::env::var_os("MYNAH_REQUIRE_GPU").is_none_or(|v| v != "1"), "no GPU adapter was found");
        eprintln!("NO GPU ADAPTER WAS FOUND: nothing was tested");
    }
    for (info, (limit, ops)) in adapters.iter().flat_map(|info| LIMITS.map(|of| (info, of))) {
        let wanted = |case: &&OpCase| ops.iter().any(|(op, _)| *op == case.op) && large(case, limit);
        let suite: Vec<&OpCase> = all.iter().filter(wanted).collect();
        let adapter = Altered::roomy(WgpuBackend::open(info.choice).unwrap());
        let device = GpuDevice::new(adapter.capable(|caps| Capabilities { max_binding: limit, ..caps }));
        for policy in [Policy::exact(), Policy::default()] {
            let results = suite.iter().map(|case| run_case(case, &device, &policy)).collect();
            let report =
                Report { title: format!("bindings of {limit} bytes, {:?}", policy.precision), results };
            eprintln!("{report}");
            let failures: Vec<_> = report.failures().map(|(r, why)| format!("{}: {why}", r.name)).collect();
            assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
            // Where activations are too large as well, the op is refused; that must not be the rule.
            for (op, least) in ops {
                let of = report.results.iter().filter(|r| r.op == *op);
                let passed = of.filter(|r| matches!(r.status, Status::Passed)).count();
                assert!(passed >= *least, "{op}: only {passed} cases were run in parts");
            }
        }
    }
}
