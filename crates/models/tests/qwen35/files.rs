//! What a file can have wrong, by key or tensor.

use crate::fixtures::{CASES, file};
use mynah_gguf::{GgufFile, GgufWriter, Value};
use mynah_models::ModelError;
use mynah_models::qwen35::{
    DraftDims, ExpertsConfig, FeedForward, Mixer, Qwen35Config, StateLayout, StepDims, draft_graph,
    step_graph,
};

/// A copy of a model with some keys and tensors left out and others set.
fn altered(case: &str, without: &[&str], set: &[(&str, Value)]) -> GgufFile {
    let file = file(case);
    let mut writer = GgufWriter::new();
    for (key, value) in file.metadata().iter() {
        if !without.contains(&key) && !set.iter().any(|(s, _)| *s == key) {
            writer.set(key, value.clone());
        }
    }
    for (key, value) in set {
        writer.set(*key, value.clone());
    }
    for t in file.tensors().iter().filter(|t| !without.contains(&t.name.as_str())) {
        writer.tensor_bytes(&t.name, t.dtype().unwrap(), t.shape.dims(), file.data(t).unwrap()).unwrap();
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    GgufFile::from_bytes(bytes).unwrap()
}

fn refused(case: &str, without: &[&str], set: &[(&str, Value)]) -> ModelError {
    Qwen35Config::read(&altered(case, without, set)).unwrap_err()
}

#[test]
fn dimensions_come_from_the_file() {
    let config = Qwen35Config::read(&file("tied_odd")).unwrap();
    use Mixer::{Attention, Delta};
    assert_eq!(config.layers, [Delta, Attention, Delta, Attention, Delta]);
    assert_eq!((config.hidden, config.feed_forward, config.vocabulary), (48, FeedForward::Dense(80), 131));
    assert_eq!((config.attention.heads, config.attention.key_heads, config.attention.rotary), (6, 2, 12));
    assert_eq!(
        (config.delta.heads, config.delta.key_heads, config.delta.width, config.delta.taps),
        (6, 2, 12, 3)
    );
    assert!(config.tied && !Qwen35Config::read(&file("dense")).unwrap().tied);
    assert_eq!(config.delta.conv_channels(), 2 * 24 + 72);
}

#[test]
fn missing_keys_are_named() {
    let keys = [
        "block_count",
        "context_length",
        "embedding_length",
        "feed_forward_length",
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "attention.value_length",
        "attention.layer_norm_rms_epsilon",
        "rope.dimension_count",
        "rope.freq_base",
        "ssm.conv_kernel",
        "ssm.state_size",
        "ssm.group_count",
        "ssm.time_step_rank",
        "ssm.inner_size",
    ];
    for key in keys {
        let full = format!("qwen35.{key}");
        let error = refused("dense", &[&full], &[]);
        assert!(matches!(&error, ModelError::MissingKey { key } if *key == full), "{key}: {error}");
    }
}

#[test]
fn contradictions_are_named() {
    let cases: [(&str, u32); 16] = [
        ("block_count", 0),
        ("block_count", 5000),
        ("nextn_predict_layers", 4),
        ("embedding_length", 0),
        ("full_attention_interval", 0),
        ("full_attention_interval", 3),
        ("attention.head_count_kv", 3),
        ("attention.value_length", 16),
        ("rope.dimension_count", 9),
        ("rope.dimension_count", 34),
        ("rope.dimension_count", 12),
        ("ssm.time_step_rank", 3),
        ("ssm.inner_size", 65),
        ("ssm.conv_kernel", 1),
        ("ssm.state_size", u32::MAX),
        ("ssm.group_count", 0),
    ];
    for (key, value) in cases {
        let full = format!("qwen35.{key}");
        let error = refused("dense", &[], &[(&full, Value::U32(value))]);
        assert!(matches!(error, ModelError::BadKey { .. }), "{key} = {value}: {error}");
    }
    for key in [
        "embedding_length",
        "attention.head_count",
        "attention.key_length",
        "ssm.group_count",
        "ssm.conv_kernel",
    ] {
        let full = format!("qwen35.{key}");
        let error = refused("dense", &[], &[(&full, Value::U64(u64::MAX))]);
        assert!(matches!(error, ModelError::BadKey { .. } | ModelError::Gguf(_)), "{key}: {error}");
    }
    let (heads, width) = (1 << 7, 1 << 16);
    let states = [
        ("qwen35.ssm.time_step_rank", Value::U32(heads)),
        ("qwen35.ssm.state_size", Value::U32(width)),
        ("qwen35.ssm.inner_size", Value::U32(1 << 23)),
    ];
    let error = refused("dense", &[], &states);
    assert!(error.to_string().contains("ssm.state_size"), "{error}");
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        for key in ["qwen35.rope.freq_base", "qwen35.attention.layer_norm_rms_epsilon"] {
            let error = refused("dense", &[], &[(key, Value::F32(bad))]);
            assert!(matches!(&error, ModelError::BadKey { key: k, .. } if k == key), "{bad}: {error}");
        }
    }
}

#[test]
fn a_list_of_layers_goes_before_the_interval() {
    let list = |list: &[bool]| ("qwen35.attention.recurrent_layers", Value::from(list.to_vec()));
    let right = [true, true, true, false];
    let config =
        Qwen35Config::read(&altered("dense", &["qwen35.full_attention_interval"], &[list(&right)])).unwrap();
    assert_eq!(config, Qwen35Config::read(&file("dense")).unwrap());
    for wrong in [&[true, true, false, false][..], &right[..3]] {
        let error = refused("dense", &[], &[list(wrong)]);
        assert!(error.to_string().contains("attention.recurrent_layers"), "{error}");
    }
    // Without either it is every fourth.
    let bare = altered("dense", &["qwen35.full_attention_interval"], &[]);
    assert_eq!(Qwen35Config::read(&bare).unwrap(), config);
}

#[test]
fn the_predicting_layer_is_not_one_of_the_model() {
    let file = altered(
        "dense",
        &[],
        &[("qwen35.block_count", Value::U32(5)), ("qwen35.nextn_predict_layers", Value::U32(1))],
    );
    let config = Qwen35Config::read(&file).unwrap();
    assert_eq!((config.layers.len(), config.predictors, config.drafts), (4, 1, false));
}

#[test]
fn other_models_are_refused_by_name() {
    for architecture in ["llama", "qwen3moe", "parakeet"] {
        let error = refused("dense", &[], &[("general.architecture", Value::from(architecture))]);
        assert!(error.to_string().contains(architecture), "{error}");
    }
}

/// A file that asks for what isn't there is refused, with the key.
fn unsupported(case: &str, set: &[(&str, Value)], wanted: &str) {
    let error = refused(case, &[], set);
    assert!(matches!(error, ModelError::Unsupported { .. }), "{error}");
    assert_eq!(error.to_string(), format!("{wanted} is not supported"));
}

#[test]
fn rotary_scaling_is_refused_by_its_key() {
    let kind = |kind: &'static str| ("qwen35.rope.scaling.type", Value::from(kind));
    let factor = |n: f32| ("qwen35.rope.scaling.factor", Value::F32(n));
    unsupported("dense", &[kind("yarn")], "'qwen35.rope.scaling.type' = yarn");
    unsupported("dense", &[kind("longrope"), factor(1.0)], "'qwen35.rope.scaling.type' = longrope");
    unsupported("dense", &[kind("linear"), factor(4.0)], "'qwen35.rope.scaling.factor' = 4");
    // A factor alone is linear, by its older name too.
    unsupported("dense", &[factor(0.5)], "'qwen35.rope.scaling.factor' = 0.5");
    unsupported("dense", &[factor(f32::NAN)], "'qwen35.rope.scaling.factor' = NaN");
    unsupported("dense", &[("qwen35.rope.scale_linear", Value::F32(2.0))], "'qwen35.rope.scale_linear' = 2");
    let plain = Qwen35Config::read(&file("dense")).unwrap();
    for same in [vec![kind("none"), factor(4.0)], vec![kind("linear")], vec![factor(1.0)], vec![factor(0.0)]]
    {
        assert_eq!(Qwen35Config::read(&altered("dense", &[], &same)).unwrap(), plain);
    }
}

#[test]
fn routers_of_another_kind_are_refused_by_their_key() {
    let set = |key: &'static str, n: u32| (key, Value::U32(n));
    let (groups, used) = ("qwen35moe.expert_group_count", "qwen35moe.expert_group_used_count");
    let (gating, norm) = ("qwen35moe.expert_gating_func", "qwen35moe.expert_weights_norm");
    unsupported("experts", &[set(groups, 3), set(used, 1)], &format!("'{groups}' = 3"));
    unsupported("experts", &[set(groups, 3)], &format!("'{groups}' = 3"));
    unsupported("experts", &[set(gating, 2)], &format!("'{gating}' = 2"));
    unsupported("experts", &[(norm, Value::Bool(false))], &format!("'{norm}' = false"));
    let plain = Qwen35Config::read(&file("experts")).unwrap();
    for same in [
        vec![set(groups, 0)],
        vec![set(groups, 1), set(used, 1)],
        vec![set(groups, 3), set(used, 3)],
        vec![set(gating, 1), (norm, Value::Bool(true))],
    ] {
        assert_eq!(Qwen35Config::read(&altered("experts", &[], &same)).unwrap(), plain);
    }
}

#[test]
fn experts_have_numbers_that_fit() {
    let config = Qwen35Config::read(&file("experts")).unwrap();
    let experts = ExpertsConfig { count: 6, used: 2, width: 20, shared: 28, scale: 1.0 };
    assert_eq!(
        (config.feed_forward, config.predictors, config.drafts),
        (FeedForward::Routed(experts), 1, true)
    );
    let wrong = [
        ("expert_count", 0),
        ("expert_used_count", 0),
        ("expert_used_count", 7),
        ("expert_feed_forward_length", u32::MAX),
        ("expert_shared_feed_forward_length", u32::MAX),
    ];
    for (key, value) in wrong {
        let full = format!("qwen35moe.{key}");
        let error = refused("experts", &[], &[(&full, Value::U32(value))]);
        assert!(matches!(&error, ModelError::BadKey { key, .. } if *key == full), "{key} = {value}: {error}");
    }
    for key in [
        "expert_count",
        "expert_used_count",
        "expert_feed_forward_length",
        "expert_shared_feed_forward_length",
    ] {
        let full = format!("qwen35moe.{key}");
        let error = refused("experts", &[&full], &[]);
        assert!(matches!(&error, ModelError::MissingKey { key } if *key == full), "{key}: {error}");
    }
    // Without widths of their own: the whole for the shared expert, the share of each used one.
    let widths = ["qwen35moe.expert_feed_forward_length", "qwen35moe.expert_shared_feed_forward_length"];
    let whole = [
        ("qwen35moe.feed_forward_length", Value::U32(40)),
        ("qwen35moe.expert_weights_scale", Value::F32(2.5)),
    ];
    let config = Qwen35Config::read(&altered("experts", &widths, &whole)).unwrap();
    let wanted = ExpertsConfig { shared: 40, scale: 2.5, ..experts };
    assert_eq!(config.feed_forward, FeedForward::Routed(wanted));
}

#[test]
fn the_order_of_value_heads_is_the_architectures() {
    assert!(Qwen35Config::read(&file("next")).unwrap().delta.grouped);
    assert!(!Qwen35Config::read(&file("experts")).unwrap().delta.grouped);
}

#[test]
fn every_tensor_is_needed_and_checked() {
    for case in CASES {
        let whole = file(case);
        let dims = StepDims { batch: 1, tokens: 2, pages: 1, wanted: 1 };
        let config = Qwen35Config::read(&whole).unwrap();
        let behind = format!("blk.{}.", config.layers.len());
        let drafting = DraftDims { batch: 1, tokens: 2, pages: 1, wanted: 1 };
        for tensor in whole.tensors().iter().filter(|t| t.name != "output.weight") {
            let file = altered(case, &[&tensor.name], &[]);
            let built = match tensor.name.starts_with(&behind) {
                // What the model itself does without. The head may be the model's.
                true if tensor.name.ends_with("shared_head_norm.weight") => continue,
                true => Qwen35Config::read(&file)
                    .and_then(|config| draft_graph(&file, &config, StateLayout::default(), &drafting)),
                false => Qwen35Config::read(&file)
                    .and_then(|config| step_graph(&file, &config, StateLayout::default(), &dims)),
            };
            assert!(built.is_err(), "{case} does without {}", tensor.name);
        }
        let architecture = whole.get_str("general.architecture").unwrap().unwrap();
        let feed_forward: &[&str] = match config.feed_forward {
            FeedForward::Dense(_) => &["feed_forward_length"],
            FeedForward::Routed(_) => {
                &["expert_count", "expert_feed_forward_length", "expert_shared_feed_forward_length"]
            }
        };
        for key in ["attention.head_count", "ssm.group_count", "embedding_length"].iter().chain(feed_forward)
        {
            let full = format!("{architecture}.{key}");
            let n = whole.get_usize(&full).unwrap().unwrap() as u32;
            let file = altered(case, &[], &[(&full, Value::U32(2 * n))]);
            let built = Qwen35Config::read(&file)
                .and_then(|config| step_graph(&file, &config, StateLayout::default(), &dims));
            assert!(built.is_err(), "{case} takes twice the {key}");
        }
    }
}
