//! Looking ahead gives the tokens of going frame by frame, for every head, number of rows and neighbourhood; and so does looping
//! on the device.

use super::{Frames, Transducer, on_device};
use crate::parakeet::{Decoded, Head, Keep, LoadOptions, Parakeet, RoundDims, transducer_graph};
use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::Policy;
use mynah_gguf::GgufFile;
use mynah_plan::{Options, PlanKey};
use mynah_tensor::Rng;
use std::path::PathBuf;
use std::sync::Arc;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parakeet")
}

fn model(case: &str) -> Parakeet {
    model_under(case, Policy::default())
}

fn model_under(case: &str, policy: Policy) -> Parakeet {
    let file = GgufFile::open(fixtures().join(case).join("model.gguf")).unwrap();
    let device = CpuDevice::new(CpuOptions { threads: Some(1), simd: None }).unwrap();
    let options =
        LoadOptions { executor: Options { policy, ..Options::default() }, ..LoadOptions::default() };
    Parakeet::load(Arc::new(file), Arc::new(device), None, options).unwrap()
}

fn clip(name: &str) -> Vec<f32> {
    let path = fixtures().join("clips").join(format!("{name}.wav"));
    mynah_audio::AudioStream::open(path).unwrap().read_all().unwrap()
}

/// Tokens of clips decoded together with a number of rows.
fn decode(model: &mut Parakeet, clips: &[Frames<'_>], rows: usize) -> Vec<Vec<Decoded>> {
    let head = model.config().transducer.clone().unwrap();
    let (file, config) = (Arc::clone(&model.file), model.config.clone());
    let (executor, kept) = (&mut model.executor, &mut None);
    Transducer { file: &file, config: &config, head: &head, executor, rows, kept }.on_host(clips).unwrap()
}

#[test]
fn any_number_of_rows_gives_the_tokens_of_one() {
    for (case, head) in [("tdt", Head::Tdt), ("rnnt", Head::Rnnt), ("odd_shapes", Head::Tdt)] {
        let mut model = model(case);
        let Ok(head) = model.head(Some(head)).or_else(|_| model.head(Some(Head::Rnnt))) else { continue };
        let samples = [clip("long15"), clip("mod7")];
        let mut frames = Vec::new();
        for samples in &samples {
            let encoded = model.encode(&[samples], &[head], Keep::Heads).unwrap();
            let joint = model.config().transducer.as_ref().unwrap().joint;
            frames.push(encoded.projected.unwrap()[..encoded.lengths[0] * joint].to_vec());
        }
        let clips = [0, 1, 0, 1, 1].map(|i: usize| Frames { projected: &frames[i], first: 3 * i });
        let alone: Vec<_> = clips.iter().flat_map(|clip| decode(&mut model, &[*clip], 1)).collect();
        assert!(alone[0].len() > 20, "{case}: {} tokens prove little", alone[0].len());
        for rows in [1, 2, 3, 4, 7, 16, 1000] {
            let found: Vec<_> = clips.iter().flat_map(|clip| decode(&mut model, &[*clip], rows)).collect();
            assert_eq!(found, alone, "{case}: {rows} rows, one clip");
            assert_eq!(decode(&mut model, &clips, rows), alone, "{case}: {rows} rows, together");
        }
    }
}

/// Asserts that the device's loop gives what the host's gives; confidences are computed in other ways, and rounded.
fn assert_same_loops(model: &mut Parakeet, clips: &[Frames<'_>], what: &str) -> usize {
    let wanted = decode(model, clips, 4);
    let head = model.config().transducer.clone().unwrap();
    let (file, config) = (Arc::clone(&model.file), model.config.clone());
    let (executor, kept) = (&mut model.executor, &mut model.kept);
    let mut transducer = Transducer { file: &file, config: &config, head: &head, executor, rows: 4, kept };
    let found = on_device::greedy(&mut transducer, clips).unwrap().unwrap();
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (found, wanted) in found.iter().zip(&wanted) {
        let plain = |tokens: &[Decoded]| {
            tokens.iter().map(|t| (t.id, t.frame, t.duration_frames)).collect::<Vec<_>>()
        };
        assert_eq!(plain(found), plain(wanted), "{what}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found.confidence - wanted.confidence).abs() < 1e-6, "{what}: {found:?}, {wanted:?}");
        }
    }
    wanted.iter().map(Vec::len).sum()
}

#[test]
fn the_loop_on_the_device_gives_the_tokens_of_the_host() {
    let cases = [
        "tdt",
        "rnnt",
        "odd_shapes",
        "hybrid_tdt_ctc",
        "hybrid_rnnt_ctc",
        "tdt_ctc_local",
        "tdt_local_uneven",
    ];
    let names = ["long15", "mod0", "mod1", "mod7", "tenth", "hop"];
    for policy in [Policy::exact(), Policy::default()] {
        for case in cases {
            let mut model = model_under(case, policy.clone());
            let head = model.config().heads_available()[0];
            let joint = model.config().transducer.as_ref().unwrap().joint;
            let mut frames = Vec::new();
            for name in names {
                let encoded = model.encode(&[&clip(name)], &[head], Keep::Heads).unwrap();
                frames.push(encoded.projected.unwrap()[..encoded.lengths[0] * joint].to_vec());
            }
            let all: Vec<_> = [0, 3, 0, 3, 3, 1, 2, 4, 5]
                .map(|i: usize| Frames { projected: &frames[i], first: 3 * i })
                .to_vec();
            assert!(assert_same_loops(&mut model, &all[..1], case) > 20, "{case}");
            assert!(assert_same_loops(&mut model, &all, case) > 60, "{case}");
        }
    }
}

#[test]
fn frames_that_make_no_sense_give_the_same_tokens_too() {
    let mut rng = Rng::new(3);
    for case in ["tdt", "rnnt", "odd_shapes"] {
        let mut model = model_under(case, Policy::exact());
        let joint = model.config().transducer.as_ref().unwrap().joint;
        let mut tokens = 0;
        for round in 0..12 {
            let deviation = [0.3, 1.0, 4.0, 30.0][round % 4];
            let frames: Vec<Vec<f32>> = (0..1 + round % 5)
                .map(|_| (0..joint * rng.below(40)).map(|_| deviation * rng.normal()).collect())
                .collect();
            let clips: Vec<_> = frames.iter().map(|f| Frames { projected: f, first: 7 }).collect();
            tokens += assert_same_loops(&mut model, &clips, &format!("{case}, round {round}"));
        }
        assert!(tokens > 100, "{case}: {tokens} tokens prove little");
    }
}

#[test]
fn nothing_to_decode_gives_nothing() {
    let mut model = model("tdt");
    assert_eq!(assert_same_loops(&mut model, &[], "no clip"), 0);
    assert_eq!(assert_same_loops(&mut model, &[Frames { projected: &[], first: 0 }], "no frame"), 0);
}

/// What a round costs on a GPU is the number of its steps.
#[test]
fn a_round_is_few_steps() {
    let mut model = model("tdt");
    let (file, config) = (Arc::clone(&model.file), model.config.clone());
    let head = config.transducer.clone().unwrap();
    let dims = RoundDims { clips: 1, ahead: 8, entries: 64 };
    let key = PlanKey { graph: "transducer", dims: [0; 4] };
    let plan = model.executor.plan(key, || transducer_graph(&file, &config, &head, dims)).unwrap();
    assert_eq!(model.executor.report(plan).unwrap().steps, 7 + 4 * head.layers);
}
