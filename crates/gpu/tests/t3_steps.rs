//! How many dispatches a step of Chatterbox's T3 takes beside what was agreed, for layers of Multilingual and of Turbo: at 25 steps a
//! second of speech, they are what speech waits for.
//!
//! Counted for adapters given by their capabilities, so that the figures are the same on every machine. Two layers of the thirty and
//! of the twenty-four are there. `MYNAH_UPDATE_DISPATCHES=1` writes the file anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod counting;

use counting::{Counting, adapters, agree, line};
use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::{Device, Policy};
use mynah_gguf::{GgufFile, GgufWriter, Value};
use mynah_gpu::{Capabilities, GpuDevice};
use mynah_models::chatterbox::t3::{Conditioning, LoadOptions, Sequence, T3, T3Voice};
use mynah_plan::Options;
use mynah_tensor::DType;
use std::sync::Arc;

const LAYERS: usize = 2;
const HIDDEN: usize = 1024;
const FEED_FORWARD: usize = 4096;
const SPEAKER: usize = 256;

/// A file of zeros in the shape of a model, products in Q8_0.
fn file(llama: bool) -> Arc<GgufFile> {
    let (text, speech) = if llama { (2454, 8194) } else { (4096, 6563) };
    let zeros = vec![0u8; 4 * speech * HIDDEN];
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", Value::from("chatterbox".to_owned()));
    let variant = if llama { "t3_mtl" } else { "t3_turbo" };
    writer.set("chatterbox.variant", Value::from(variant.to_owned()));
    let mut tensor = |name: String, dims: &[usize]| {
        let product = name.ends_with("/w") && name.starts_with("model/") || name.ends_with("speech_head");
        let dtype = if product { DType::Q8_0 } else { DType::F32 };
        let bytes = dims.iter().product::<usize>() / dtype.block_len() * dtype.block_bytes();
        writer.tensor_bytes(&name, dtype, dims, &zeros[..bytes]).unwrap();
    };
    let mut part = |name: &str, dims: &[usize]| tensor(format!("chatterbox/{name}"), dims);
    part("text_emb", &[text, HIDDEN]);
    part("speech_emb", &[speech, HIDDEN]);
    part("speech_head", &[speech, HIDDEN]);
    part("cond_spkr/w", &[HIDDEN, SPEAKER]);
    part("cond_spkr/b", &[HIDDEN]);
    if llama {
        part("text_pos_emb", &[2050, HIDDEN]);
        part("speech_pos_emb", &[4100, HIDDEN]);
        part("emotion_adv_fc/w", &[HIDDEN, 1]);
        part("perceiver/pre_attention_query", &[1, 32, HIDDEN]);
        for name in ["g", "b"] {
            part(&format!("perceiver/attn/norm/{name}"), &[HIDDEN]);
        }
        for name in ["to_q", "to_k", "to_v", "proj_out"] {
            part(&format!("perceiver/attn/{name}/w"), &[HIDDEN, HIDDEN]);
            part(&format!("perceiver/attn/{name}/b"), &[HIDDEN]);
        }
        tensor("model/norm/g".into(), &[HIDDEN]);
    } else {
        part("speech_head_bias", &[speech]);
        tensor("model/wpe".into(), &[4000, HIDDEN]);
        tensor("model/ln_f/g".into(), &[HIDDEN]);
        tensor("model/ln_f/b".into(), &[HIDDEN]);
    }
    for i in 0..LAYERS {
        let mut part = |name: &str, dims: &[usize]| tensor(format!("model/h{i}/{name}"), dims);
        if llama {
            part("ln_attn/g", &[HIDDEN]);
            part("ln_mlp/g", &[HIDDEN]);
            for name in ["q", "k", "v", "o"] {
                part(&format!("attn/{name}/w"), &[HIDDEN, HIDDEN]);
            }
            part("mlp/gate/w", &[FEED_FORWARD, HIDDEN]);
            part("mlp/up/w", &[FEED_FORWARD, HIDDEN]);
            part("mlp/down/w", &[HIDDEN, FEED_FORWARD]);
            continue;
        }
        for name in ["ln_1/g", "ln_1/b", "ln_2/g", "ln_2/b"] {
            part(name, &[HIDDEN]);
        }
        for (name, [n, k]) in [
            ("attn/c_attn", [3 * HIDDEN, HIDDEN]),
            ("attn/c_proj", [HIDDEN, HIDDEN]),
            ("mlp/c_fc", [FEED_FORWARD, HIDDEN]),
            ("mlp/c_proj", [HIDDEN, FEED_FORWARD]),
        ] {
            part(&format!("{name}/w"), &[n, k]);
            part(&format!("{name}/b"), &[n]);
        }
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    Arc::new(GgufFile::from_bytes(bytes).unwrap())
}

fn load(file: &Arc<GgufFile>, device: Arc<dyn Device>) -> T3 {
    let executor = Options { strict: true, policy: Policy::default(), ..Options::default() };
    T3::load(Arc::clone(file), device, None, LoadOptions { executor, ..LoadOptions::default() }).unwrap()
}

/// The beginning of a guided sequence of a text of 90 tokens, then steps of one request, of one without guidance, and of four.
fn count(name: &str, caps: &Capabilities, file: &Arc<GgufFile>, voice: &Conditioning) -> String {
    let device = Arc::new(GpuDevice::new(Counting::new(caps.clone())));
    let mut model = load(file, Arc::clone(&device) as Arc<dyn Device>);
    let text = vec![1; 90];
    let mut begin = |guided: bool| model.start(voice, &text, guided, false).unwrap().0;
    let first = begin(true);
    let mut counted = line(name, &format!("start of {}", first.rows()), &device.backend().take());
    let rest = [begin(true), begin(true), begin(true), begin(false)];
    let mut sequences: Vec<Sequence> = [first].into_iter().chain(rest).collect();
    for which in [0..1, 4..5, 0..4] {
        let mut next: Vec<(&mut Sequence, i32)> = sequences[which].iter_mut().map(|s| (s, 1)).collect();
        let rows: usize = next.iter().map(|(sequence, _)| sequence.rows()).sum();
        device.backend().take();
        model.advance(&mut next).unwrap();
        counted += &line(name, &format!("step of {rows}"), &device.backend().take());
    }
    counted
}

#[test]
fn a_step_takes_as_many_dispatches_as_agreed() {
    let mut found = String::from(
        "# Two layers and the head of Chatterbox's T3: model, adapter, rows; dispatches in submissions, and what kernels they are of.\n",
    );
    for (model, llama) in [("multilingual", true), ("turbo", false)] {
        let file = file(llama);
        let mut cpu = load(&file, Arc::new(CpuDevice::new(CpuOptions::default()).unwrap()));
        let voice =
            T3Voice { speaker_embedding: vec![0.0; SPEAKER], prompt_tokens: vec![1; 150], exaggeration: 0.5 };
        let voice = cpu.condition(&voice).unwrap();
        for (name, caps) in adapters() {
            found += &count(&format!("{model} {name}"), &caps, &file, &voice);
        }
    }
    agree("t3_steps.txt", &found);
}
