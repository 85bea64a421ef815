//! Features, subsampling, every block, the encoder and the CTC head.

use crate::fixtures::{
    CASES, CLIPS, NEMO_IS_OFF, Reference, SHORT, clip, comparable, model, model_with, reference, root,
};
use mynah_device::Policy;
use mynah_gguf::GgufFile;
use mynah_graph::interp::{self, Env, Tensor64};
use mynah_models::parakeet::{EncoderDims, Head, Keep, encoder_graph, position_table};

/// Largest difference over the largest magnitude of the reference.
fn relative(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let scale = wanted.iter().fold(0f32, |m, x| m.max(x.abs())).max(1e-6);
    found.iter().zip(wanted).fold(0f32, |m, (f, w)| {
        assert!(f.is_finite(), "{f} is not finite");
        m.max((f - w).abs())
    }) / scale
}

#[test]
fn features_are_exact_to_a_hundred_thousandth() {
    for (case, mels) in [("ctc", 80), ("tdt", 128)] {
        let model = model(case);
        for name in SHORT {
            let file = GgufFile::open(root().join(format!("mel/{mels}.{name}.ref.gguf"))).unwrap();
            let wanted = Reference { file }.array("mel.exact").unwrap();
            let features = model.features(&clip(name));
            assert_eq!(features.valid * mels, wanted.len(), "{name}");
            for (f, w) in features.data.iter().zip(&wanted) {
                assert!((f - w).abs() <= 1e-5, "{name}, {mels} mels: {f} is not {w}");
            }
            assert!(features.data[wanted.len()..].iter().all(|&x| x == 0.0), "the last frame is not valid");
        }
    }
}

#[test]
fn every_stage_agrees_with_nemo() {
    for case in comparable() {
        let mut model = model(case);
        let heads = model.config().heads_available();
        for name in SHORT {
            let reference = reference(case, name).unwrap();
            let features = model.features(&clip(name));
            let subsampled = model.subsample(&features).unwrap();
            let factor = if model.config().xscaling { (model.config().d_model as f32).sqrt() } else { 1.0 };
            let unscaled: Vec<f32> = subsampled.iter().map(|x| x / factor).collect();
            let error = relative(&unscaled, &reference.array("subsampling").unwrap());
            assert!(error <= 1e-4, "{case}/{name}: subsampling is off by {error}");

            let encoded = model.encode_frames(&[subsampled], &heads, Keep::Layers).unwrap();
            let valid = encoded.lengths[0] * model.config().d_model;
            for (i, layer) in encoded.layers.iter().enumerate() {
                let error = relative(&layer[..valid], &reference.array(&format!("layer.{i}")).unwrap());
                assert!(error <= 1e-4, "{case}/{name}: layer {i} is off by {error}");
            }
            let error = relative(&encoded.encoded[..valid], &reference.array("encoder").unwrap());
            assert!(error <= 1e-4, "{case}/{name}: the encoder is off by {error}");
            if let (Some(found), Some(wanted)) = (&encoded.ctc, reference.array("ctc.log_probs")) {
                let error = relative(&found[..wanted.len()], &wanted);
                assert!(error <= 1e-4, "{case}/{name}: CTC is off by {error}");
            }
        }
    }
}

#[test]
fn long_and_silent_clips_agree_with_nemo() {
    for case in comparable() {
        let mut model = model(case);
        let (d, head) = (model.config().d_model, model.head(None).unwrap());
        for name in ["long15", "tile70", "zeros"] {
            let Some(reference) = reference(case, name) else { continue };
            let encoded = model.encode(&[&clip(name)], &[head], Keep::Encoded).unwrap();
            assert_eq!(encoded.lengths[0], reference.count("ref.encoder_frames"), "{case}/{name}");
            let valid = &encoded.encoded[..encoded.lengths[0] * d];
            let error = match reference.array("encoder.rows") {
                Some(wanted) => {
                    let stride = reference.count("ref.row_stride");
                    let rows: Vec<f32> = valid.chunks(d).step_by(stride).flatten().copied().collect();
                    relative(&rows, &wanted)
                }
                None => relative(valid, &reference.array("encoder").unwrap()),
            };
            assert!(error <= 1e-4, "{case}/{name}: the encoder is off by {error}");
        }
    }
}

#[test]
fn a_batch_gives_the_bytes_of_single_clips() {
    let names = ["mod0", "hop", "mod7", "tenth", "mod1"];
    for case in CASES {
        for policy in [Policy::exact(), Policy::default()] {
            let mut model = model_with(case, policy, 1);
            let heads = model.config().heads_available();
            let d = model.config().d_model;
            let clips: Vec<Vec<f32>> = names.iter().map(|n| clip(n)).collect();
            let borrowed: Vec<&[f32]> = clips.iter().map(Vec::as_slice).collect();
            let batch = model.encode(&borrowed, &heads, Keep::Encoded).unwrap();
            for (i, samples) in borrowed.iter().enumerate() {
                let single = model.encode(&[samples], &heads, Keep::Encoded).unwrap();
                let valid = single.lengths[0] * d;
                assert_eq!(batch.lengths[i], single.lengths[0]);
                let row = &batch.encoded[i * batch.frames * d..][..valid];
                assert!(row == &single.encoded[..valid], "{case}/{}", names[i]);
            }
            for head in heads {
                let together = model.decode(&batch, head).unwrap();
                for (i, samples) in borrowed.iter().enumerate() {
                    let single = model.encode(&[samples], &[head], Keep::Encoded).unwrap();
                    assert_eq!(model.decode(&single, head).unwrap()[0], together[i], "{case}/{}", names[i]);
                }
            }
        }
    }
}

#[test]
fn thread_counts_and_repetition_change_no_byte() {
    let samples = clip("long15");
    for case in ["hybrid_tdt_ctc", "tdt_ctc_local"] {
        for policy in [Policy::exact(), Policy::default()] {
            let first =
                model_with(case, policy.clone(), 1).encode(&[&samples], &[Head::Tdt], Keep::Encoded).unwrap();
            for threads in [2, 3] {
                let mut model = model_with(case, policy.clone(), threads);
                for _ in 0..3 {
                    let again = model.encode(&[&samples], &[Head::Tdt], Keep::Encoded).unwrap();
                    assert!(again.encoded == first.encoded, "{case}, {threads} threads");
                    assert!(again.projected == first.projected, "{case}, {threads} threads");
                }
            }
        }
    }
}

#[test]
fn clips_without_a_frame_give_nothing() {
    for case in CASES {
        let mut model = model(case);
        let head = model.head(None).unwrap();
        for samples in [&[][..], &[0.5], &[0.1; 159]] {
            assert!(model.recognize(&[samples], head).unwrap()[0].is_empty());
        }
    }
}

#[test]
fn an_uneven_window_follows_the_formula() {
    let mut model = model(NEMO_IS_OFF);
    let features = model.features(&clip("mod1"));
    let frames = model.subsample(&features).unwrap();
    let config = model.config().clone();
    let encoded = model.encode_frames(std::slice::from_ref(&frames), &[], Keep::Encoded).unwrap();
    let valid = encoded.lengths[0];

    let file = GgufFile::open(root().join(NEMO_IS_OFF).join("model.gguf")).unwrap();
    let dims = EncoderDims {
        batch: 1,
        frames: valid,
        window: config.window,
        ctc: false,
        transducer: false,
        keep: Keep::Encoded,
    };
    let graph = encoder_graph(&file, &config, &dims).unwrap();
    let f64s = |shape, data: &[f32]| Tensor64 { shape, data: data.iter().map(|&x| f64::from(x)).collect() };
    let shape = |i: usize| graph.shape(graph.inputs()[i]);
    let inputs = vec![
        f64s(shape(0), &frames),
        f64s(shape(1), &[valid as f32]),
        f64s(shape(2), &position_table(&dims, config.d_model)),
    ];
    let weights = |spec: &mynah_graph::WeightSpec| {
        let tensor = file.host_tensor(file.tensor(&spec.name)?).ok()?;
        Some(f64s(spec.shape, &tensor.to_f32()))
    };
    let mut env = Env { inputs, weights: &weights, slots: vec![], states: vec![] };
    let wanted = interp::run(&graph, &mut env).unwrap().remove(0).to_f32();
    let error = relative(&encoded.encoded[..valid * config.d_model], &wanted);
    assert!(error <= 1e-5, "off the interpreter by {error}");
}

#[test]
fn every_clip_is_used_by_a_case() {
    for name in CLIPS {
        assert!(CASES.iter().any(|c| reference(c, name).is_some()), "{name}");
    }
}
