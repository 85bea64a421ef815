//! The library on the oracle's tiny models: the same words whether alone, in a batch, in pieces or side by side.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use mynah::{
    AudioStream, Batch, Options, PieceConfig, Precision, TranscribeOptions, Transcriber, Transcript,
};
use std::path::PathBuf;

fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parakeet").join(path)
}

fn ears(case: &str) -> Transcriber {
    let options = Options { precision: Precision::Exact, ..Options::default() };
    Transcriber::open(fixture(&format!("{case}/model.gguf")), &options).unwrap()
}

fn clip(name: &str) -> AudioStream {
    AudioStream::open(fixture(&format!("clips/{name}.wav"))).unwrap()
}

fn hear(ears: &mut Transcriber, name: &str, options: &TranscribeOptions) -> Transcript {
    ears.transcribe(clip(name), options, &mut |_| {}).unwrap()
}

#[test]
fn a_clip_gives_nemos_text() {
    let mut ears = ears("tdt");
    let transcript = hear(&mut ears, "mod1", &TranscribeOptions::default());
    let reference = mynah_gguf::GgufFile::open(fixture("tdt/mod1.ref.gguf")).unwrap();
    // NeMo keeps the second space that a lone `▁` piece makes.
    let wanted: Vec<&str> = reference.get_str("tdt.text").unwrap().unwrap().split_whitespace().collect();
    assert_eq!(transcript.text, wanted.join(" "));
    assert!((transcript.duration - 2.015).abs() < 1e-9);
    assert!(!transcript.words.is_empty() && transcript.words.iter().all(|w| w.end >= w.start));
}

#[test]
fn a_batch_gives_what_single_clips_give_and_bad_input_fails_alone() {
    let names = ["mod0", "long15", "hop", "mod7", "tenth"];
    for case in ["tdt", "ctc", "hybrid_rnnt_ctc"] {
        let mut ears = ears(case);
        let alone: Vec<Transcript> =
            names.iter().map(|n| hear(&mut ears, n, &TranscribeOptions::default())).collect();
        for batch in [0, 1, 2, 8] {
            let options = TranscribeOptions { batch, ..TranscribeOptions::default() };
            let bad = ("bad", AudioStream::from_bytes(b"not audio at all".to_vec()));
            let good = names.iter().map(|n| (*n, Ok(clip(n))));
            let mut inputs = good.chain(std::iter::once(bad));
            let (mut heard, mut failed) = (Vec::new(), Vec::new());
            Batch { transcriber: &mut ears, options: &options }
                .run(&mut inputs, &mut |_| {}, &mut |done| match done.result {
                    Ok(t) => heard.push((done.key, t)),
                    Err(_) => failed.push(done.key),
                })
                .unwrap();
            assert_eq!(failed, ["bad"]);
            heard.sort_by_key(|(name, _)| names.iter().position(|n| n == name));
            let heard: Vec<Transcript> = heard.into_iter().map(|(_, t)| t).collect();
            assert!(heard == alone, "{case}, batch of {batch}");
        }
    }
}

#[test]
fn pieces_cover_a_long_clip_and_progress_reaches_its_end() {
    let mut ears = ears("tdt");
    let pieces = PieceConfig { max_seconds: Some(5.0), ..PieceConfig::default() };
    let options = TranscribeOptions { pieces, batch: 2, ..TranscribeOptions::default() };
    let mut seen = Vec::new();
    let transcript = ears.transcribe(clip("long15"), &options, &mut |p| seen.push(p.seconds)).unwrap();
    assert_eq!(transcript.duration, 15.0);
    assert!(seen.len() >= 2 && seen.windows(2).all(|w| w[0] <= w[1]), "{seen:?}");
    assert_eq!(seen.last().copied(), Some(15.0));
    assert!(transcript.words.windows(2).all(|w| w[0].start <= w[1].start));
    assert!(transcript.words.last().unwrap().end > 13.0);
}

#[test]
fn two_users_of_one_model_at_the_same_time_get_their_own_words() {
    let mut first = ears("tdt_ctc_local");
    let options = TranscribeOptions::default();
    let wanted: Vec<Transcript> = ["mod0", "mod7"].iter().map(|n| hear(&mut first, n, &options)).collect();
    let second = first.fork().unwrap();
    std::thread::scope(|scope| {
        for (mut user, (name, wanted)) in
            [first, second].into_iter().zip(["mod0", "mod7"].iter().zip(&wanted))
        {
            let options = &options;
            scope.spawn(move || {
                for _ in 0..10 {
                    assert!(hear(&mut user, name, options) == *wanted, "{name}");
                }
            });
        }
    });
}

#[test]
fn a_head_or_route_that_is_not_there_is_an_error_with_a_hint() {
    let mut ears = ears("ctc");
    let options = TranscribeOptions { head: Some(mynah::Head::Rnnt), ..TranscribeOptions::default() };
    let error = ears.transcribe(clip("mod0"), &options, &mut |_| {}).unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("use --decoder with one of: ctc"));
    let options = Options { routes: "warp-drive=on".into(), ..Options::default() };
    assert!(Transcriber::open(fixture("ctc/model.gguf"), &options).is_err());
}
