//! Tensors that some files have in one piece where others have several: the same bits must come out.

use crate::fixtures::{TOKENS, file, model, model_of, reference, run, tensors, written};
use mynah_device::Policy;
use mynah_models::qwen35::Qwen35Config;
use mynah_tensor::{HostTensor, Shape};

/// A case with some tensors of each layer replaced: `parts` are taken away where a layer has them all, and make one called `whole`.
fn merged(
    case: &str,
    parts: &[&str],
    whole: &str,
    merge: impl Fn(&Qwen35Config, Vec<HostTensor>) -> HostTensor,
) -> usize {
    let config = Qwen35Config::read(&file(case)).unwrap();
    let (mut left, mut count) = (tensors(case), 0);
    for layer in 0..=config.layers.len() {
        let names: Vec<String> = parts.iter().map(|part| format!("blk.{layer}.{part}.weight")).collect();
        let found: Vec<HostTensor> = names
            .iter()
            .filter_map(|name| left.iter().find(|(n, _)| n == name).map(|(_, t)| t.clone()))
            .collect();
        if found.len() == parts.len() {
            left.retain(|(name, _)| !names.contains(name));
            left.push((format!("blk.{layer}.{whole}.weight"), merge(&config, found)));
            count += 1;
        }
    }
    let (tokens, _) = reference(case);
    let wanted = run(&mut model(case), 0, &tokens, &[TOKENS]).unwrap();
    let mut model = model_of(written(&file(case), &[], &left), Policy::exact(), 2, 1);
    assert!(run(&mut model, 0, &tokens, &[100, 1, 49]).unwrap() == wanted, "{case}: {whole}");
    count
}

/// Rows of one after rows of the other.
fn stacked(tensors: &[HostTensor]) -> HostTensor {
    let data: Vec<f32> = tensors.iter().flat_map(HostTensor::to_f32).collect();
    let width = tensors[0].shape().last();
    HostTensor::from_f32([data.len() / width, width], &data).unwrap()
}

#[test]
fn queries_keys_and_values_may_be_one() {
    for case in ["dense", "next"] {
        let count = merged(case, &["attn_q", "attn_k", "attn_v"], "attn_qkv", |_, parts| stacked(&parts));
        assert!(count > 0);
    }
}

#[test]
fn gate_and_up_of_experts_may_be_one() {
    for case in ["experts", "next"] {
        let count = merged(case, &["ffn_gate_exps", "ffn_up_exps"], "ffn_gate_up_exps", |_, parts| {
            let &[experts, rows, width] = parts[0].shape().dims() else { panic!() };
            let [gate, up] = [0, 1].map(|i| parts[i].to_f32());
            let both = gate.chunks(rows * width).zip(up.chunks(rows * width));
            let data: Vec<f32> = both.flat_map(|(gate, up)| [gate, up].concat()).collect();
            HostTensor::from_f32([experts, 2 * rows, width], &data).unwrap()
        });
        assert!(count > 1);
    }
}

#[test]
fn older_files_have_queries_keys_values_and_gates_head_by_head() {
    let count = merged("next", &["attn_qkv", "attn_gate"], "ssm_in", |config, parts| {
        let (d, width) = (config.delta, config.hidden);
        let [qkv, z] = [0, 1].map(|i| parts[i].to_f32());
        let (key, own) = (d.width * width, d.heads / d.key_heads * d.width * width);
        let (keys, values) = (d.key_channels() * width, 2 * d.key_channels() * width);
        let mut data = Vec::new();
        for head in 0..d.key_heads {
            data.extend_from_slice(&qkv[head * key..(head + 1) * key]);
            data.extend_from_slice(&qkv[keys + head * key..keys + (head + 1) * key]);
            data.extend_from_slice(&qkv[values + head * own..values + (head + 1) * own]);
            data.extend_from_slice(&z[head * own..(head + 1) * own]);
        }
        HostTensor::from_f32(Shape::from([data.len() / width, width]), &data).unwrap()
    });
    assert_eq!(count, 2);
}
