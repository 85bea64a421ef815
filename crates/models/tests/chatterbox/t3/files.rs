//! What a file can lack, and what it can have wrong.

use crate::fixtures::{altered, file, model_of};
use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::Policy;
use mynah_gguf::{GgufFile, Value};
use mynah_models::ModelError;
use mynah_models::chatterbox::t3::{Backbone, Lengths, LoadOptions, Sampling, T3, T3Config, T3Voice};
use std::sync::Arc;

fn load(file: &Arc<GgufFile>) -> Result<T3, ModelError> {
    let device = CpuDevice::new(CpuOptions { threads: Some(1), simd: None }).unwrap();
    T3::load(Arc::clone(file), Arc::new(device), None, LoadOptions::default())
}

#[test]
fn every_dimension_is_read() {
    let config = T3Config::read(&file("english")).unwrap();
    assert_eq!((config.hidden, config.layers, config.feed_forward), (48, 2, 80));
    assert_eq!((config.heads, config.key_heads, config.head_width), (4, 2, 12));
    assert_eq!((config.text_vocabulary, config.speech_vocabulary, config.speaker), (51, 75, 24));
    assert_eq!((config.start_speech, config.stop_speech, config.prompt), (73, 74, 9));
    let llama = config.llama().unwrap();
    assert_eq!((llama.text_positions, llama.speech_positions, llama.queries), (42, 104, 7));
    assert_eq!((llama.start_text, llama.stop_text, llama.emotion), (17, 0, true));
    assert_eq!(llama.rope.scaling.unwrap().original, 64.0);
    let config = T3Config::read(&file("nano")).unwrap();
    assert_eq!((config.hidden, config.layers, config.feed_forward, config.head_width), (36, 2, 144, 12));
    assert_eq!(config.backbone, Backbone::Gpt2 { positions: 160 });
}

#[test]
fn what_old_files_lack_is_what_all_have() {
    let keys: Vec<String> = file("turbo")
        .metadata()
        .iter()
        .map(|(key, _)| key.to_owned())
        .filter(|k| k.starts_with("chatterbox."))
        .collect();
    let kept = ["chatterbox.start_speech_token", "chatterbox.stop_speech_token"];
    let without: Vec<&str> = keys.iter().map(String::as_str).filter(|k| !kept.contains(k)).collect();
    let bare = altered("turbo", &without, &[], |_| None);
    let config = T3Config::read(&bare).unwrap();
    // No variant is Turbo, and heads are 64 wide.
    assert_eq!((config.backbone, config.heads), (Backbone::Gpt2 { positions: 160 }, 1));
    assert_eq!((config.prompt, config.eps), (375, 1e-5));
    load(&bare).unwrap();
    let without = [
        "chatterbox.rope_theta",
        "chatterbox.rope.scaling_type",
        "chatterbox.rope.scaling_factor",
        "chatterbox.rope.low_freq_factor",
        "chatterbox.rope.high_freq_factor",
        "chatterbox.rope.original_max_position",
    ];
    let llama = *T3Config::read(&altered("mtl", &without, &[], |_| None)).unwrap().llama().unwrap();
    let scaling = llama.rope.scaling.unwrap();
    assert_eq!((llama.rope.theta, scaling.factor, scaling.original), (5e5, 8.0, 8192.0));
    // As i32, which a requantiser makes of them.
    let set = [("chatterbox.n_head", Value::I32(4)), ("chatterbox.start_text_token", Value::I32(17))];
    let read = |file: &GgufFile| T3Config::read(file).unwrap();
    assert_eq!(read(&altered("mtl", &[], &set, |_| None)), read(&file("mtl")));
}

#[test]
fn defaults_are_those_of_the_model() {
    let of = |case: &str| Sampling::of(&T3Config::read(&file(case)).unwrap());
    let multilingual = of("mtl");
    assert_eq!(
        (multilingual.repetition_penalty, multilingual.cfg_weight, multilingual.min_p),
        (2.0, 0.5, 0.05)
    );
    assert_eq!((multilingual.top_p, multilingual.temperature), (1.0, 0.8));
    let turbo = of("turbo");
    assert_eq!(
        (turbo.repetition_penalty, turbo.top_k, turbo.top_p, turbo.cfg_weight),
        (1.2, 1000, 0.95, 0.0)
    );
    let mut english = T3Config::read(&file("english")).unwrap();
    english.text_vocabulary = 704;
    assert_eq!(Sampling::of(&english).repetition_penalty, 1.2);
    // Silence is a token of the real codebook.
    let mut turbo = T3Config::read(&file("turbo")).unwrap();
    assert_eq!(turbo.silence(), None);
    turbo.start_speech = 6561;
    assert_eq!(turbo.silence(), Some(4299));
    english.start_speech = 6561;
    assert_eq!(english.silence(), None);
}

#[test]
fn contradictions_are_named() {
    for (key, value) in [
        ("chatterbox.n_layer", Value::U32(4)),
        ("chatterbox.block_count", Value::U32(2)),
        ("chatterbox.n_embd", Value::U32(32)),
        ("chatterbox.text_vocab_size", Value::U32(71)),
        ("chatterbox.speech_vocab_size", Value::U32(8194)),
        ("chatterbox.speaker_embed_size", Value::U32(256)),
        ("chatterbox.intermediate_size", Value::U32(64)),
        ("chatterbox.attention.head_count", Value::U32(0)),
        ("chatterbox.n_kv_head", Value::U32(3)),
        ("chatterbox.head_dim", Value::U32(15)),
        ("chatterbox.head_dim", Value::U32(u32::MAX)),
        ("chatterbox.start_speech_token", Value::U32(90)),
        ("chatterbox.stop_text_token", Value::U32(70)),
        ("chatterbox.perceiver_num_heads", Value::U32(3)),
        ("chatterbox.perceiver_query_tokens", Value::U32(32)),
        ("chatterbox.rms_norm_eps", Value::F32(f32::NAN)),
        ("chatterbox.rope_theta", Value::F32(0.0)),
        ("chatterbox.rope.high_freq_factor", Value::F32(1.0)),
    ] {
        let found = load(&altered("mtl", &[], &[(key, value)], |_| None)).err().unwrap();
        assert!(matches!(&found, ModelError::BadKey { key: k, .. } if k == key), "{key}: {found}");
    }
    // Sound by itself, but not with the tensors.
    for (key, value) in [("chatterbox.head_dim", 8), ("chatterbox.n_kv_head", 2)] {
        let found = load(&altered("mtl", &[], &[(key, Value::U32(value))], |_| None)).err().unwrap();
        assert!(matches!(found, ModelError::TensorShape { .. }), "{key}: {found}");
    }
    for (key, value) in [("chatterbox.variant", "t3_other"), ("chatterbox.rope.scaling_type", "yarn")] {
        let found =
            load(&altered("mtl", &[], &[(key, Value::from(value.to_owned()))], |_| None)).err().unwrap();
        assert!(matches!(found, ModelError::Unsupported { .. }), "{key}: {found}");
    }
    let found = load(&altered("mtl", &[], &[("chatterbox.variant", Value::U32(1))], |_| None)).err().unwrap();
    assert!(matches!(found, ModelError::Gguf(_)), "{found}");
    let other = Value::from("chatterbox-s3gen".to_owned());
    let found = load(&altered("mtl", &[], &[("general.architecture", other)], |_| None)).err().unwrap();
    assert!(matches!(found, ModelError::Family { .. }), "{found}");
}

#[test]
fn a_tensor_that_is_missing_is_named_before_anything_runs() {
    for case in ["mtl", "turbo"] {
        let whole = file(case);
        let unread = [
            "chatterbox/text_head",
            "chatterbox/builtin/",
            "chatterbox/emotion_adv_fc",
            "chatterbox/speech_head_bias",
        ];
        for info in whole.tensors().iter().filter(|t| !unread.iter().any(|prefix| t.name.starts_with(prefix)))
        {
            let found = load(&altered(case, &[&info.name], &[], |_| None)).err();
            let found = found.unwrap_or_else(|| panic!("{} may be missing", info.name));
            let named = match &found {
                ModelError::MissingTensor { .. } => true,
                // The last layer without its norm is a layer less.
                ModelError::BadKey { key, .. } => key.ends_with("block_count") || key.ends_with("n_layer"),
                _ => false,
            };
            assert!(named, "{}: {found}", info.name);
        }
    }
}

#[test]
fn a_file_may_have_no_voice_or_emotion() {
    let names = ["chatterbox/builtin/speaker_emb", "chatterbox/builtin/cond_prompt_speech_tokens"];
    assert_eq!(T3Voice::builtin(&altered("mtl", &names[..1], &[], |_| None)).unwrap(), None);
    let without = T3Voice::builtin(&altered("mtl", &names[1..], &[], |_| None)).unwrap().unwrap();
    assert!(without.prompt_tokens.is_empty());
    let calm = altered("mtl", &["chatterbox/emotion_adv_fc/w"], &[], |_| None);
    let mut model = model_of(calm, Policy::exact(), 1);
    assert!(!model.config().llama().unwrap().emotion);
    let conditioning = model.condition(&T3Voice::builtin(&file("mtl")).unwrap().unwrap()).unwrap();
    let (sequence, logits) = model.start(&conditioning, &[3, 4], true, false).unwrap();
    assert_eq!((sequence.len(), logits.len()), (1 + 5 + 4 + 2, 180));
    model.finish(sequence);
}

#[test]
fn memory_is_known_before_anything_is_loaded() {
    let device = CpuDevice::new(CpuOptions { threads: Some(1), simd: None }).unwrap();
    let lengths = Lengths { requests: 2, guided: true, text: 20, speech: 60 };
    for (case, batch, each) in [("mtl", 4, 2 * 3 * 64), ("english", 4, 2 * 2 * 24), ("turbo", 2, 2 * 3 * 64)]
    {
        let (file, config) = (file(case), T3Config::read(&file(case)).unwrap());
        let of = |policy| T3::estimate(&file, &device, &policy, &lengths).unwrap();
        let found = of(Policy::exact());
        assert_eq!((lengths.batch(&config), found.token, found.sequence), (batch, 4 * each, 0), "{case}");
        assert_eq!(of(Policy::default()).token, 2 * each, "a cache of halves");
        let bytes = |name: &str| file.tensor(name).map_or(0, |t| t.nbytes as u64);
        let all: u64 = file.tensors().iter().map(|t| t.nbytes as u64).sum();
        let rest = [
            "chatterbox/text_head",
            "chatterbox/builtin/speaker_emb",
            "chatterbox/builtin/cond_prompt_speech_tokens",
        ];
        assert_eq!(found.weights, all - rest.iter().map(|name| bytes(name)).sum::<u64>());
        assert!(found.activations > 0);
        assert!(lengths.rows(&config) > 80);
    }
}
