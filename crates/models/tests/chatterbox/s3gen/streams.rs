//! Speech made in chunks.

use crate::fixtures::{BINS, CASES, model, voice};
use mynah_models::chatterbox::noise::Philox;
use mynah_models::chatterbox::s3gen::{Request, S3Gen, S3GenError, S3Stream};
use std::sync::Arc;

const HOP: usize = 480;

fn tokens(count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| (i * 37 + i * i * 11) % 120).collect()
}

/// The chunks' samples.
fn stream(model: &mut S3Gen, tokens: &[u32], ends: &[usize]) -> Vec<Vec<f32>> {
    let mut stream = S3Stream::new(voice(model), Arc::new(Philox::new(4)), Some(2));
    let mut chunks = Vec::new();
    for (i, &end) in ends.iter().enumerate() {
        chunks.push(stream.push(model, &tokens[..end], i + 1 == ends.len()).unwrap().samples);
    }
    assert_eq!(stream.samples(), tokens.len() * 2 * HOP);
    chunks
}

/// The same chunks without anything kept between them: all mel frames through the vocoder each time.
fn from_scratch(model: &mut S3Gen, tokens: &[u32], ends: &[usize]) -> Vec<f32> {
    let (voice, noise) = (voice(model), Philox::new(4));
    let (mut mel, mut out, mut f0) = (Vec::new(), Vec::<f32>::new(), Vec::new());
    for (i, &end) in ends.iter().enumerate() {
        let last = i + 1 == ends.len();
        let request = Request { voice: &voice, tokens: &tokens[..end], noise: &noise };
        let all = model.mel(&request, Some(2), !last).unwrap();
        let before = mel.len() / BINS;
        mel.extend_from_slice(&all[mel.len()..]);
        f0.extend_from_slice(&model.pitch(&mel).unwrap()[before..]);
        let (source, _) = model.source(&f0, &noise).unwrap();
        let pcm = model.vocode(&mel, &source).unwrap();
        if let Some(first) = out.len().checked_sub(HOP) {
            for (n, x) in out[first..].iter_mut().enumerate() {
                let weight = 0.5 - 0.5 * (std::f32::consts::PI * (n as f32 + 0.5) / HOP as f32).cos();
                *x += (pcm[first + n] - *x) * weight;
            }
        }
        out.extend_from_slice(&pcm[out.len()..]);
    }
    for (n, x) in out.iter_mut().enumerate().take(2 * HOP) {
        let rise = n.saturating_sub(HOP) as f32 / (HOP - 1) as f32;
        *x *= if n < HOP { 0.0 } else { 0.5 - 0.5 * (std::f32::consts::PI * rise).cos() };
    }
    out
}

#[test]
fn one_chunk_is_the_whole() {
    for case in CASES {
        let mut model = model(case);
        let voice = voice(&model);
        let whole = model.synthesize(&voice, &tokens(20), &Philox::new(4), Some(2)).unwrap().samples;
        assert!(stream(&mut model, &tokens(20), &[20]).concat() == whole, "{case}");
    }
}

#[test]
fn chunks_are_what_the_rule_gives_from_scratch() {
    for case in CASES {
        let mut model = model(case);
        let tokens = tokens(70);
        for ends in [vec![10, 35, 60, 70], vec![4, 5, 9, 30, 70], vec![50, 70, 70]] {
            let chunks = stream(&mut model, &tokens, &ends);
            let found = chunks.concat();
            let wanted = from_scratch(&mut model, &tokens, &ends);
            assert_eq!(found.len(), wanted.len());
            let worst = found.iter().zip(&wanted).map(|(f, w)| (f - w).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-5, "{case}, {ends:?}: {worst:e}");
            // What comes early: all frames but those of three tokens, and one that is held back.
            assert_eq!(chunks[0].len(), (ends[0] - 3) * 2 * HOP - HOP);
        }
    }
}

#[test]
fn too_few_tokens_give_nothing_yet() {
    let mut model = model("turbo");
    let mut stream = S3Stream::new(voice(&model), Arc::new(Philox::new(4)), None);
    let tokens = tokens(8);
    for n in 0..=3 {
        assert!(stream.push(&mut model, &tokens[..n], false).unwrap().samples.is_empty());
    }
    assert_eq!(stream.push(&mut model, &tokens[..4], false).unwrap().samples.len(), HOP);
    let rest = stream.push(&mut model, &tokens, true).unwrap().samples;
    assert_eq!(rest.len(), (2 * 8 - 1) * HOP);
}

#[test]
fn chunks_out_of_order_are_refused() {
    let mut model = model("turbo");
    let mut stream = S3Stream::new(voice(&model), Arc::new(Philox::new(4)), None);
    let tokens = tokens(12);
    stream.push(&mut model, &tokens, false).unwrap();
    assert!(matches!(stream.push(&mut model, &tokens[..5], true), Err(S3GenError::Stream { .. })));
    stream.push(&mut model, &tokens, true).unwrap();
    assert!(matches!(stream.push(&mut model, &tokens, true), Err(S3GenError::Stream { .. })));
    let mut empty = S3Stream::new(voice(&model), Arc::new(Philox::new(4)), None);
    assert!(matches!(empty.push(&mut model, &[], true), Err(S3GenError::NoTokens)));
}
