//! Files as converters and quantisers write them, and files that are broken.

use crate::fixtures::{
    BINS, CASES, Tensor, built_in, cosine, cpu, file, keys, model_on, noise, reference, relative, tensors,
    voice, weights, written,
};
use mynah_device::Policy;
use mynah_gguf::{GgufFile, Value};
use mynah_models::ModelError;
use mynah_models::chatterbox::noise::Philox;
use mynah_models::chatterbox::s3gen::{
    ConfigWarning, LoadOptions, MAX_TOKENS, Request, S3Gen, S3GenConfig, S3GenError, S3Voice, Variant,
    estimate,
};
use mynah_tensor::{DType, HostTensor};
use std::sync::Arc;

fn all(case: &str) -> Vec<Tensor> {
    [tensors(case), built_in(case)].concat()
}

/// A case's file with tensors put in place of others.
fn changed(case: &str, change: impl Fn(&str, HostTensor) -> Option<HostTensor>) -> Arc<GgufFile> {
    let tensors: Vec<Tensor> =
        all(case).into_iter().filter_map(|(name, t)| change(&name, t).map(|t| (name, t))).collect();
    written(&keys(case), &tensors)
}

fn mel_of(file: Arc<GgufFile>, case: &str) -> Vec<f32> {
    let mut model = model_on(file, cpu(2), Policy::exact());
    let voice = voice(&model);
    let tokens = reference(case).tokens();
    model.mel(&Request { voice: &voice, tokens: &tokens, noise: &noise() }, None, false).unwrap()
}

#[test]
fn any_type_on_any_tensor_loads() {
    let bounds = [(DType::F16, 0.9999), (DType::Q8_0, 0.999), (DType::Q5_0, 0.97), (DType::Q4_0, 0.9)];
    for (dtype, bound) in bounds {
        for case in CASES {
            let file = changed(case, |name, t| {
                let whole = t.shape().last().is_multiple_of(32) || dtype == DType::F16;
                let integers = name.ends_with("prompt_token");
                Some(if whole && !integers { t.to_dtype(dtype).unwrap() } else { t })
            });
            let steps = S3GenConfig::read(&file).unwrap().cfm.steps;
            let likeness = cosine(&mel_of(file, case), &reference(case).array(&format!("mel.{steps}")));
            assert!(likeness >= bound, "{case} in {dtype}: {likeness}");
        }
    }
}

#[test]
fn a_quantised_speaker_projection_is_read_as_what_it_is() {
    let quantised = changed("mtl", |name, t| {
        let speaker = name == "flow/spk_embed_affine/w";
        Some(if speaker { t.to_dtype(DType::Q4_0).unwrap() } else { t })
    });
    let likeness = cosine(&mel_of(quantised, "mtl"), &reference("mtl").array("mel.10"));
    assert!(likeness > 0.999, "{likeness}");
}

#[test]
fn misreadings_move_the_speech() {
    let reverse = |t: HostTensor| {
        let mut x = t.to_f32();
        x.reverse();
        HostTensor::from_f32(t.shape(), &x).unwrap()
    };
    let names = [
        "flow/encoder/block0/attn/pos_bias_u",
        "flow/encoder/block1/attn/pos_bias_v",
        "flow/encoder/up_block1/attn/pos/w",
        "flow/encoder/pre_lookahead/conv1/w",
        "flow/encoder/up_layer/conv/w",
        "flow/encoder/up_embed/norm/w",
        "flow/spk_embed_affine/b",
        "cfm/time_mlp/linear_1/weight",
        "cfm/mid_blocks/1/0/mlp/1/weight",
        "cfm/mid_blocks/0/0/res_conv/weight",
        "cfm/up_blocks/0/2/weight",
        "cfm/down_blocks/0/1/1/norm3/bias",
    ];
    for case in CASES {
        let steps = S3GenConfig::read(&file(case)).unwrap().cfm.steps;
        let wanted = reference(case).array(&format!("mel.{steps}"));
        for wrong in names {
            let file = changed(case, |name, t| Some(if name == wrong { reverse(t) } else { t }));
            // Ten times what a stage may be off.
            let moved = relative(&mel_of(file, case), &wanted);
            assert!(moved > 1e-4, "{case}: {wrong} could be misread: {moved:e}");
        }
    }
}

#[test]
fn files_of_old_converters_are_known_by_their_tensors() {
    for (case, variant) in [("turbo", Variant::Turbo), ("mtl", Variant::Multilingual)] {
        let old: Vec<_> = keys(case).into_iter().filter(|(k, _)| *k == "general.architecture").collect();
        let config = S3GenConfig::read(&written(&old, &all(case))).unwrap();
        assert_eq!(config.variant, variant);
        assert_eq!(config.warnings.len(), 2);
        let ConfigWarning::NoVariant { key, .. } = &config.warnings[0];
        assert_eq!(*key, "s3gen.variant");
        assert!(config.warnings[1].to_string().contains("'s3gen.meanflow'"));
        assert!(S3GenConfig::read(&file(case)).unwrap().warnings.is_empty());
        let [steps, guidance] = if variant == Variant::Turbo { [2.0, 0.0] } else { [10.0, 0.7] };
        assert_eq!((config.cfm.steps as f32, config.cfm.guidance), (steps, guidance));
    }
}

#[test]
fn keys_that_contradict_tensors_are_refused() {
    let wrong = [
        ("s3gen.variant", Value::from("turbo")),
        ("s3gen.variant", Value::from(1_u32)),
        ("s3gen.meanflow", Value::from(true)),
        ("s3gen.n_timesteps", Value::from(0_u32)),
        ("s3gen.n_timesteps", Value::from(1_000_000_u32)),
        ("s3gen.cfg_rate", Value::from(f32::NAN)),
        ("s3gen.layer_norm_eps", Value::from(-1.0_f32)),
        ("s3gen.encoder.n_blocks", Value::from(6_u32)),
        ("s3gen.encoder.attention_heads", Value::from(8_u32)),
        ("s3gen.speech_vocab_size", Value::from(6561_u32)),
    ];
    for (key, value) in wrong {
        let mut keys = keys("mtl");
        keys.retain(|(k, _)| *k != key);
        keys.push((key, value.clone()));
        assert!(S3GenConfig::read(&written(&keys, &all("mtl"))).is_err(), "{key} = {value:?}");
    }
    let mut keys = keys("mtl");
    keys[0].1 = Value::from("chatterbox");
    let found = S3GenConfig::read(&written(&keys, &all("mtl")));
    assert!(matches!(found, Err(ModelError::Family { .. })));
}

#[test]
fn missing_and_misshapen_tensors_are_named_and_nothing_panics() {
    let tokens = [1, 2, 3, 4];
    let alike = |name: &str| name.contains("resblocks/") && !name.contains("resblocks/0/");
    for (name, t) in tensors("turbo") {
        // Without its mixer the file is another variant.
        if name == "cfm/time_embed_mixer/weight" || alike(&name) {
            continue;
        }
        let without = changed("turbo", |n, t| (n != name).then_some(t));
        let flat = HostTensor::from_f32([1], &[0.5]).unwrap();
        let misshapen = changed("turbo", |n, t| Some(if n == name { flat.clone() } else { t }));
        for (file, fatal) in [(without, true), (misshapen, t.shape().numel() > 1)] {
            let speak = |file: Arc<GgufFile>| -> Result<(), S3GenError> {
                let mut model = S3Gen::load(file, cpu(1), None, LoadOptions::default())?;
                let voice = model.built_in_voice()?;
                model.synthesize(&voice, &tokens, &Philox::new(0), Some(1)).map(|_| ())
            };
            // A module may do without its bias, and a block, a convolution or harmonics less are another model.
            let optional = name.ends_with("/b") || name.ends_with("/bias") || fewer(&name);
            assert!(speak(file).is_err() || optional || !fatal, "{name}");
        }
    }
}

/// Tensors by whose presence blocks are counted, and one whose length is the number of harmonics.
fn fewer(name: &str) -> bool {
    name.ends_with("norm_mha/w")
        || name.ends_with("norm1/weight")
        || name.contains("condnet")
        || name.contains("block1/block/0/weight")
        || name.contains("convs1/")
        || name.ends_with("l_linear/weight")
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut model = model_on(file("turbo"), cpu(1), Policy::exact());
    let voice = voice(&model);
    let noise = Philox::new(0);
    let mut speak = |tokens: &[u32], steps| model.synthesize(&voice, tokens, &noise, steps).map(|_| ());
    assert!(matches!(speak(&[], None), Err(S3GenError::NoTokens)));
    assert!(matches!(
        speak(&[1, 120], None),
        Err(S3GenError::Token { index: 1, token: 120, vocabulary: 120 })
    ));
    assert!(matches!(speak(&[1], Some(0)), Err(S3GenError::Steps { .. })));
    assert!(matches!(speak(&[1], Some(1001)), Err(S3GenError::Steps { .. })));
    assert!(matches!(speak(&vec![1; MAX_TOKENS], None), Err(S3GenError::TooLong { .. })));
    let short = mynah_models::chatterbox::noise::RecordedNoise::default();
    assert!(matches!(model.synthesize(&voice, &[1], &short, None), Err(S3GenError::Noise(_))));
}

#[test]
fn voices_are_checked_and_clipped() {
    let config = S3GenConfig::read(&file("mtl")).unwrap();
    let embedding = weights("embedding", 192, 1.0, 0.0);
    let new = |tokens: usize, mel: usize, embedding: &[f32]| {
        S3Voice::new(&config, vec![3; tokens], vec![0.5; mel], embedding.to_vec())
    };
    let voice = new(10, 7 * BINS, &embedding).unwrap();
    assert_eq!((voice.prompt_tokens().len(), voice.prompt_mel().len()), (3, 6 * BINS));
    let voice = new(2, 7 * BINS, &embedding).unwrap();
    assert_eq!((voice.prompt_tokens().len(), voice.prompt_mel().len()), (2, 4 * BINS));
    for wrong in [new(2, 81, &embedding), new(2, 80, &[1.0; 191]), new(2, 80, &[f32::NAN; 192])] {
        assert!(matches!(wrong, Err(S3GenError::Voice { .. })));
    }
    let unknown = S3Voice::new(&config, vec![120], vec![0.0; 160], embedding);
    assert!(matches!(unknown, Err(S3GenError::Token { .. })));
    let silent = model_on(written(&keys("mtl"), &tensors("mtl")), cpu(1), Policy::exact());
    assert!(matches!(silent.built_in_voice(), Err(S3GenError::NoVoice)));
}

#[test]
fn memory_is_known_beforehand_and_grows_with_what_is_spoken() {
    let (file, device) = (file("mtl"), cpu(1));
    let config = S3GenConfig::read(&file).unwrap();
    let of = |batch, tokens| estimate(&file, &config, device.as_ref(), batch, tokens).unwrap();
    let (short, long, both) = (of(1, 32), of(1, 320), of(2, 320));
    assert!(short.total() < long.total() && long.total() < both.total());
    assert_eq!(short.weights, both.weights);
    let mut model = model_on(Arc::clone(&file), Arc::clone(&device), Policy::exact());
    let voice = voice(&model);
    model.synthesize(&voice, &[1; 25], &Philox::new(0), None).unwrap();
    let used = (model.executor().memory() + model.pitch_executor().memory()) as u64;
    let promised = short.weights + short.arenas + short.states;
    assert!(used < 2 * promised && promised < 3 * used, "{used} bytes used, {promised} promised");
}
