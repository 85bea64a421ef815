//! Kernels that are wrong on purpose: the op suite must catch each of them, by its values or by what stands around them.
//!
//! Without an adapter the tests say so and pass; with `MYNAH_REQUIRE_GPU=1` that is a failure.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, where a panic is a failure")]

mod altered;

use altered::{Altered, Edit};
use mynah_device::{DeviceError, Policy};
use mynah_gpu::{Backend, GpuDevice, Usage, WgpuBackend, list, open};
use mynah_lab::{OpCase, Status, cases, run_case, run_planned};
use std::sync::Arc;

/// An op, a part of its kernel and what stands there instead.
const MISTAKES: [(&str, Edit); 42] = [
    ("argmax", ["value > best.top", "value >= best.top"]),
    ("mask_rows", ["i32(row) < lengths", "i32(row) <= lengths"]),
    ("lstm_cell", ["tanh_safe(new_cell)", "new_cell"]),
    ("softmax", ["exp_down(d) / all.y", "exp_down(d)"]),
    // The fourth digit of a constant.
    ("gelu_tanh", ["0.044715", "0.0448"]),
    ("gather", ["clamp(ids[row], 0,", "clamp(ids[row], 1,"]),
    ("state_scatter", ["row < p.count", "row + 1u < p.count"]),
    ("gated_delta_net", ["exp(g[gate_at])", "1.0"]),
    // A snapshot that is not gone back to, inputs that stay, a token that is left as it was.
    ("causal_conv1d", ["- i32(left_out)", ""]),
    ("causal_conv1d", ["if first == 0u && length > 0u", "if first == 1u"]),
    ("causal_conv1d", ["max(first, length)", "max(first, length + 1u)"]),
    // A key of the future, a part that counts for too much, values that don't reach the cache.
    ("causal_attention", ["min(end, seen0)", "end"]),
    ("causal_attention", ["factors[part] *", ""]),
    ("causal_attention", ["values[at + c] = x", "values[at] = x"]),
    ("state_numbers", ["+ p.column", ""]),
    ("lstm_step", ["live[n / h] != 0", "true"]),
    ("transducer_join", ["frame < u32(end)", "frame <= u32(end)"]),
    // Of equal labels the last, a token too many at a frame, a log without a ring, a blank that stays.
    ("transducer_advance", ["b.index < a.index", "b.index > a.index"]),
    ("transducer_advance", ["symbols >= MAX_SYMBOLS", "symbols > MAX_SYMBOLS"]),
    ("transducer_advance", ["logged % p.entries", "0u"]),
    ("transducer_advance", ["on = max(on, 1u)", "on = max(on, 0u)"]),
    // Of equal experts the last, sums that count for too much, the gate's rows once more, another slot's gate, all slots alike.
    ("expert_choice", ["places < vec4(expert)", "places > vec4(expert)"]),
    ("expert_weights", ["sum < p.least", "sum > p.least"]),
    ("expert_gate_up", ["MATRIX_b +", "MATRIX +"]),
    ("expert_gate_up", ["gates[at]", "gates[0]"]),
    ("expert_down", ["weights[slot + j] *", ""]),
    ("expert_down", ["weights[slot + i / ROW_VECTORS]", "weights[slot]"]),
    ("conv1d", ["tap * DILATION", "tap"]),
    ("conv_transpose1d", ["TAPS - 1u - quad / TAP_QUADS", "quad / TAP_QUADS"]),
    ("conv_transpose1d", ["- CUT", ""]),
    ("attention", ["p.queries == p.keys", "p.queries != p.keys"]),
    ("snake", ["s * s", "s"]),
    ("segment_mean", ["f32(end - first)", "f32(p.len)"]),
    ("inverse_stft", ["weight += hann * hann", "weight += hann"]),
    ("repeat_rows", ["i / p.width / p.times * p.width + ", ""]),
    ("sin", ["(n & 1) == 1", "(n & 1) == 2"]),
    ("cos", ["(first << shift) |", "first |"]),
    ("mish", ["e + 2.0", "e + 1.0"]),
    // The last element is not written.
    ("mul", ["i < p.len", "i + 1u < p.len"]),
    ("permute", ["i < p.len", "i + 1u < p.len"]),
    // One element is written behind the last.
    ("glu", ["i < p.len", "i <= p.len"]),
    ("state_append", ["i < p.len", "i <= p.len"]),
];

/// Mistakes in kernels that only a planner puts in place of the ops that models write.
const MISTAKES_IN_FUSED: [(&str, Edit); 12] = [
    ("delta-heads", ["inverseSqrt(sum_of_lanes(k_square)", "inverseSqrt(sum_of_lanes(q_square)"]),
    ("delta-heads", ["* rates[head]", ""]),
    ("delta-heads", ["earlier < SNAPSHOTS", "earlier < 1u"]),
    ("delta-heads", ["channels[2u * SIZE + row]", "channels[SIZE + row]"]),
    ("delta-heads", ["i32(0u + length)", "i32(1u + length)"]),
    ("attention-heads", ["-sine, c < TURNED", "-sine, c > TURNED"]),
    // The gate of the query before, the key of another token's length.
    ("attention-heads", ["2u * at + 1u", "2u * at"]),
    ("attention-heads", ["key_units[key0 - past]", "key_units[0]"]),
    ("prologue/rms-norm", ["* g0_0;", ";"]),
    ("prologue/rms-norm", ["+ p.eps", "+ 1e-2"]),
    ("prologue/layer-norm", ["+ shift[at]", "+ shift[0]"]),
    ("prologue/gated", ["gate[row * p.x_stride + at]", "gate[at]"]),
];

fn of_op(all: &[OpCase], op: &str) -> Vec<OpCase> {
    all.iter().filter(|case| case.op == op).cloned().collect()
}

#[test]
fn each_is_caught() {
    let all = cases().unwrap();
    let found = list();
    if found.is_empty() {
        assert!(std::env::var_os("MYNAH_REQUIRE_GPU").is_none_or(|v| v != "1"), "no GPU adapter was found");
        eprintln!("NO GPU ADAPTER WAS FOUND: nothing was tested");
    }
    for info in found {
        for (op, edit) in MISTAKES {
            let adapter = WgpuBackend::open(info.choice).unwrap();
            let device = GpuDevice::new(Altered::roomy(adapter).broken(edit));
            let run = |case: &OpCase| run_case(case, &device, &Policy::exact()).status;
            let results: Vec<Status> = of_op(&all, op).iter().map(run).collect();
            assert!(device.backend().rewritten() > 0, "no kernel of {op} has '{}'", edit[0]);
            let reasons: Vec<&String> = results
                .iter()
                .filter_map(|status| match status {
                    Status::Failed(reason) => Some(reason),
                    _ => None,
                })
                .collect();
            assert!(!reasons.is_empty(), "{op} passes with '{}' for '{}'", edit[1], edit[0]);
            // It must run and be wrong, not be refused by the compiler.
            assert!(reasons.iter().all(|reason| !reason.contains("': kernel ")), "{op}: {reasons:#?}");
        }
    }
}

#[test]
fn each_in_fused_ops_is_caught() {
    let all = cases().unwrap();
    for info in list() {
        for (name, edit) in MISTAKES_IN_FUSED {
            let adapter = WgpuBackend::open(info.choice).unwrap();
            let device = Arc::new(GpuDevice::new(Altered::roomy(adapter).broken(edit)));
            let cases = all.iter().filter(|case| case.name.contains(name));
            let failed = cases.filter(|case| {
                matches!(run_planned(case, device.clone(), &Policy::exact()).status, Status::Failed(_))
            });
            // The planner leaves ops as they are where the adapter has too few bindings for the kernel.
            let failed = failed.count();
            assert!(failed > 0 || device.backend().rewritten() == 0, "{name} passes with '{}'", edit[1]);
            let able = device.backend().capabilities();
            assert!(device.backend().rewritten() > 0 || able.max_bindings < 11 || able.subgroup.is_none());
        }
    }
}

#[test]
fn memory_that_can_not_be_had_is_an_error_with_numbers() {
    for info in list() {
        let device = open(info.choice).unwrap();
        let most = device.backend().capabilities().max_buffer;
        let Err(error) = device.backend().buffer(most + 4, Usage::Storage, "the arena") else {
            panic!("{}: a buffer larger than the largest", info.choice)
        };
        assert!(matches!(error, DeviceError::OutOfMemory { wanted, .. } if wanted as u64 == most + 4));
        assert!(error.to_string().contains(&(most + 4).to_string()), "{error}");
        // The device is as good as before.
        device.backend().buffer(256, Usage::Storage, "a little").unwrap();
    }
}
