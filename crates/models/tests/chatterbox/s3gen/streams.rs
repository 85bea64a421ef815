//! Speech made in chunks.

use crate::chunks::{HOP, from_scratch, stream, tokens};
use crate::fixtures::{CASES, model, voice};
use mynah_models::chatterbox::noise::Philox;
use mynah_models::chatterbox::s3gen::{S3GenError, S3Stream, Speed};
use std::sync::Arc;

#[test]
fn one_chunk_is_the_whole() {
    for case in CASES {
        let mut model = model(case);
        let voice = voice(&model);
        let whole = model.synthesize(&voice, &tokens(20), &Philox::new(4), Some(2)).unwrap().samples;
        assert!(stream(&mut model, &tokens(20), &[20], Speed::default()).concat() == whole, "{case}");
    }
}

#[test]
fn chunks_are_what_the_rule_gives_from_scratch() {
    for case in CASES {
        let mut model = model(case);
        let tokens = tokens(70);
        for ends in [vec![10, 35, 60, 70], vec![4, 5, 9, 30, 70], vec![50, 70, 70]] {
            let chunks = stream(&mut model, &tokens, &ends, Speed::default());
            let found = chunks.concat();
            let wanted = from_scratch(&mut model, &tokens, &ends, Speed::default());
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
