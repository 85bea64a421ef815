//! Every stage on the reference's own input.

use crate::fixtures::{
    BINS, CASES, PROMPT, TOKENS, VOCODER_FRAMES, model, noise, reference, relative, voice, weights,
};
use mynah_models::chatterbox::s3gen::Request;

const BOUND: f64 = 1e-5;

fn check(case: &str, name: &str, found: &[f32], wanted: &[f32]) {
    let error = relative(found, wanted);
    assert!(error <= BOUND, "{case}: {name}: {error:e}");
}

#[test]
fn the_encoder_agrees_stage_by_stage() {
    let tokens = PROMPT + TOKENS;
    let at_tokens = ["embed", "lookahead", "block.0", "block.1"].map(|name| (name, tokens));
    let at_frames =
        ["up", "up_embed", "up_block.0", "up_block.1", "after_norm", "mu"].map(|name| (name, 2 * tokens));
    for case in CASES {
        let (mut model, reference, noise) = (model(case), reference(case), noise());
        let voice = voice(&model);
        let tokens = reference.tokens();
        let request = Request { voice: &voice, tokens: &tokens, noise: &noise };
        let stages: Vec<_> = at_tokens.into_iter().chain(at_frames).chain([("spks", 1)]).collect();
        let names: Vec<&str> = stages.iter().map(|s| s.0).collect();
        let found = model.encoder_stages(&request, &names).unwrap();
        for ((name, rows), found) in stages.iter().zip(found) {
            let wanted = reference.array(&format!("flow.{name}"));
            assert_eq!(wanted.len() % rows, 0);
            check(case, name, &found[..wanted.len()], &wanted);
        }
    }
}

#[test]
fn one_evaluation_of_the_estimator_agrees_in_both_rows() {
    let frames = 2 * (PROMPT + TOKENS);
    for (case, rows, steps) in [("mtl", 2, 10), ("turbo", 1, 2)] {
        let (mut model, reference, noise) = (model(case), reference(case), noise());
        let voice = voice(&model);
        let tokens = reference.tokens();
        let request = Request { voice: &voice, tokens: &tokens, noise: &noise };
        let stages = [
            ("down.resnet", "cfm.down.resnet"),
            ("down", "cfm.down"),
            ("mid.0.resnet", "cfm.mid.0.resnet"),
            ("mid.1.resnet", "cfm.mid.1.resnet"),
            ("up", "cfm.up"),
            ("velocity", "cfm.first"),
        ];
        let (found, times) = model.estimator_stages(&request, steps, &stages.map(|s| s.0)).unwrap();
        check(case, "time embeddings", &times, &reference.array("cfm.times"));
        for ((_, name), found) in stages.iter().zip(found) {
            let wanted = reference.array(name);
            let (each, width) = (found.len() / rows, wanted.len() / rows / frames);
            for (row, wanted) in wanted.chunks(frames * width).enumerate() {
                check(case, &format!("{name} {row}"), &found[row * each..][..frames * width], wanted);
            }
        }
    }
}

#[test]
fn solutions_agree_for_any_number_of_steps() {
    for (case, steps) in [("mtl", [None, Some(10), Some(4)]), ("turbo", [None, Some(2), Some(3)])] {
        let (mut model, reference, noise) = (model(case), reference(case), noise());
        let voice = voice(&model);
        let tokens = reference.tokens();
        let request = Request { voice: &voice, tokens: &tokens, noise: &noise };
        for steps in steps {
            let found = model.mel(&request, steps, false).unwrap();
            let n = steps.unwrap_or(model.config().cfm.steps);
            check(case, &format!("{n} steps"), &found, &reference.array(&format!("mel.{n}")));
        }
        let found = model.mel(&request, None, true).unwrap();
        assert_eq!(found.len(), (2 * TOKENS - 6) * BINS);
        check(case, "open", &found, &reference.array("mel.open"));
    }
}

#[test]
fn the_source_agrees_with_pinned_phases() {
    let (mut model, reference, noise) = (model("mtl"), reference("hift"), noise());
    let mel = weights("input/mel", VOCODER_FRAMES * BINS, 2.0, 0.0);
    let wanted = reference.array("hift.f0");
    check("hift", "f0", &model.pitch(&mel).unwrap(), &wanted);
    // Voices and what is none are both there.
    assert!(wanted.iter().any(|&f| f > 10.0) && wanted.iter().any(|&f| f <= 10.0));
    let (source, spectrum) = model.source(&wanted, &noise).unwrap();
    check("hift", "source", &source, &reference.array("hift.source"));
    check("hift", "spectrum", &spectrum, &reference.array("hift.spectrum"));
}

#[test]
fn the_vocoder_agrees_stage_by_stage() {
    let (mut model, reference) = (model("turbo"), reference("hift"));
    let mel = weights("input/mel", VOCODER_FRAMES * BINS, 2.0, 0.0);
    let names = [
        "pre", "up.0", "source.0", "block.0", "up.1", "source.1", "block.4", "up.2", "source.2", "block.8",
        "post", "pcm",
    ];
    let found = model.vocoder_stages(&mel, &reference.array("hift.spectrum"), &names).unwrap();
    for (name, found) in names.iter().zip(found) {
        check("hift", name, &found, &reference.array(&format!("hift.{name}")));
    }
    let found = model.vocode(&mel, &reference.array("hift.source")).unwrap();
    check("hift", "pcm", &found, &reference.array("hift.pcm"));
}
