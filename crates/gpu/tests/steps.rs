//! How many dispatches a step of Qwen3.5 takes beside what was agreed, for the layers of the 0.8B model: at 3 µs each, they are what
//! a token waits for.
//!
//! Counted for adapters given by their capabilities, so that the figures are the same on every machine. Of the 24 layers four are
//! there, three delta nets and an attention, and a part of the vocabulary: a step of the whole model takes six times what the layers
//! take here. `MYNAH_UPDATE_DISPATCHES=1` writes the file anew.

#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

mod counting;

use counting::{Counting, adapters, agree, line};
use mynah_device::{Device, Policy};
use mynah_gguf::{GgufFile, GgufWriter, Value};
use mynah_gpu::{Capabilities, GpuDevice};
use mynah_models::qwen35::{LoadOptions, Piece, Qwen35, StateLayout, Wanted};
use mynah_plan::Options;
use mynah_tensor::DType;
use std::sync::Arc;

const LAYERS: usize = 4;
const HIDDEN: usize = 1024;
const FEED_FORWARD: usize = 3584;
const VOCABULARY: usize = 4096;
const HEADS: usize = 8;
const KEY_HEADS: usize = 2;
const WIDTH: usize = 256;
const DELTA_HEADS: usize = 16;
const DELTA_WIDTH: usize = 128;
const TAPS: usize = 4;
const EXPERTS: usize = 16;
const EXPERTS_USED: usize = 8;
const EXPERT_WIDTH: usize = 256;

/// A file of zeros in the shape of the 0.8B model, products in Q8_0; or one with routed experts in place of its feed-forward modules.
fn file(routed: bool) -> GgufFile {
    let architecture = if routed { "qwen35moe" } else { "qwen35" };
    let inner = DELTA_HEADS * DELTA_WIDTH;
    let zeros = vec![0u8; 4 * VOCABULARY * HIDDEN];
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", Value::from(architecture.to_owned()));
    for (key, value) in [
        ("block_count", LAYERS),
        ("context_length", 262_144),
        ("embedding_length", HIDDEN),
        ("feed_forward_length", FEED_FORWARD),
        ("attention.head_count", HEADS),
        ("attention.head_count_kv", KEY_HEADS),
        ("attention.key_length", WIDTH),
        ("attention.value_length", WIDTH),
        ("rope.dimension_count", 64),
        ("ssm.conv_kernel", TAPS),
        ("ssm.state_size", DELTA_WIDTH),
        ("ssm.group_count", DELTA_HEADS),
        ("ssm.time_step_rank", DELTA_HEADS),
        ("ssm.inner_size", inner),
        ("expert_count", EXPERTS),
        ("expert_used_count", EXPERTS_USED),
        ("expert_feed_forward_length", EXPERT_WIDTH),
        ("expert_shared_feed_forward_length", EXPERT_WIDTH),
    ] {
        writer.set(format!("{architecture}.{key}"), Value::from(value as u32));
    }
    for (key, value) in [("attention.layer_norm_rms_epsilon", 1e-6f32), ("rope.freq_base", 1e7)] {
        writer.set(format!("{architecture}.{key}"), Value::from(value));
    }
    let mut tensor = |name: String, dims: &[usize]| {
        let dtype = if dims.len() >= 2 && dims[1] > TAPS { DType::Q8_0 } else { DType::F32 };
        let elements: usize = dims.iter().product();
        let bytes = elements / dtype.block_len() * dtype.block_bytes();
        writer.tensor_bytes(&name, dtype, dims, &zeros[..bytes]).unwrap();
    };
    tensor("token_embd.weight".into(), &[VOCABULARY, HIDDEN]);
    tensor("output_norm.weight".into(), &[HIDDEN]);
    for i in 0..LAYERS {
        let products: &[(&str, [usize; 2])] = if (i + 1) % 4 == 0 {
            &[
                ("attn_q", [2 * HEADS * WIDTH, HIDDEN]),
                ("attn_k", [KEY_HEADS * WIDTH, HIDDEN]),
                ("attn_v", [KEY_HEADS * WIDTH, HIDDEN]),
                ("attn_output", [HIDDEN, HEADS * WIDTH]),
            ]
        } else {
            &[
                ("attn_qkv", [3 * inner, HIDDEN]),
                ("attn_gate", [inner, HIDDEN]),
                ("ssm_conv1d", [3 * inner, TAPS]),
                ("ssm_alpha", [DELTA_HEADS, HIDDEN]),
                ("ssm_beta", [DELTA_HEADS, HIDDEN]),
                ("ssm_out", [HIDDEN, inner]),
            ]
        };
        let gains: &[(&str, usize)] = if (i + 1) % 4 == 0 {
            &[("attn_q_norm.weight", WIDTH), ("attn_k_norm.weight", WIDTH)]
        } else {
            &[("ssm_a", DELTA_HEADS), ("ssm_dt.bias", DELTA_HEADS), ("ssm_norm.weight", DELTA_WIDTH)]
        };
        let dense: &[(&str, [usize; 2])] = &[
            ("ffn_gate", [FEED_FORWARD, HIDDEN]),
            ("ffn_up", [FEED_FORWARD, HIDDEN]),
            ("ffn_down", [HIDDEN, FEED_FORWARD]),
        ];
        let shared: &[(&str, [usize; 2])] = &[
            ("ffn_gate_inp", [EXPERTS, HIDDEN]),
            ("ffn_gate_inp_shexp", [1, HIDDEN]),
            ("ffn_gate_shexp", [EXPERT_WIDTH, HIDDEN]),
            ("ffn_up_shexp", [EXPERT_WIDTH, HIDDEN]),
            ("ffn_down_shexp", [HIDDEN, EXPERT_WIDTH]),
        ];
        let stacks: &[(&str, [usize; 3])] = &[
            ("ffn_gate_exps", [EXPERTS, EXPERT_WIDTH, HIDDEN]),
            ("ffn_up_exps", [EXPERTS, EXPERT_WIDTH, HIDDEN]),
            ("ffn_down_exps", [EXPERTS, HIDDEN, EXPERT_WIDTH]),
        ];
        let (feed_forward, stacks) = if routed { (shared, stacks) } else { (dense, &[][..]) };
        for (name, dims) in products.iter().chain(feed_forward) {
            tensor(format!("blk.{i}.{name}.weight"), dims);
        }
        for (name, dims) in stacks {
            tensor(format!("blk.{i}.{name}.weight"), dims);
        }
        for (name, dim) in
            gains.iter().chain(&[("attn_norm.weight", HIDDEN), ("post_attention_norm.weight", HIDDEN)])
        {
            tensor(format!("blk.{i}.{name}"), &[*dim]);
        }
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    GgufFile::from_bytes(bytes).unwrap()
}

/// Steps of `batch` sequences with so many new tokens each after `past` others.
fn count(name: &str, model_name: &str, caps: &Capabilities, file: &Arc<GgufFile>) -> String {
    let device = Arc::new(GpuDevice::new(Counting::new(caps.clone())));
    let layout = StateLayout { page: 64, snapshots: 1, ..StateLayout::default() };
    let executor = Options { strict: true, policy: Policy::default(), ..Options::default() };
    let options = LoadOptions { executor, layout, sequences: 32, pages: 32 * 4 + 130 };
    let shared = Arc::clone(&device) as Arc<dyn Device>;
    let mut model = Qwen35::load(Arc::clone(file), shared, None, options).unwrap();
    let mut text = String::new();
    for (batch, past, new) in [(1, 100, 1), (1, 8191, 1), (32, 100, 1), (1, 0, 512)] {
        let listed = ((past + new) as u32).div_ceil(64);
        let pages: Vec<Vec<u32>> = (0..batch).map(|b| (b * listed..(b + 1) * listed).collect()).collect();
        let tokens = vec![1; new];
        let piece = |row: usize| Piece {
            row,
            pages: &pages[row],
            past,
            snapshot: 0,
            tokens: &tokens,
            wanted: Wanted::Last,
        };
        let pieces: Vec<Piece<'_>> = (0..batch as usize).map(piece).collect();
        device.backend().take();
        model.step(&pieces).unwrap();
        let step = format!("{model_name}{batch}x{past}+{new}");
        text += &line(name, &step, &device.backend().take());
    }
    text
}

#[test]
fn a_step_takes_as_many_dispatches_as_agreed() {
    let (dense, routed) = (Arc::new(file(false)), Arc::new(file(true)));
    let mut found = String::from(
        "# Four layers and the head of Qwen3.5 0.8B, and the same with experts: adapter, sequences, tokens before and new ones of each; dispatches in submissions, and what kernels they are of.\n",
    );
    for (name, caps) in adapters() {
        found += &count(name, "", &caps, &dense);
        found += &count(name, "experts ", &caps, &routed);
    }
    agree("steps.txt", &found);
}
