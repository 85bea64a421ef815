//! Several requests at a time.

use crate::fixtures::{BINS, CASES, model, voice, weights};
use mynah_models::chatterbox::noise::Philox;
use mynah_models::chatterbox::s3gen::{Request, S3Voice};

#[test]
fn each_request_of_a_batch_gets_what_it_gets_alone() {
    for case in CASES {
        let mut model = model(case);
        let own = voice(&model);
        let mel = weights("another voice", 8 * BINS, 1.0, 0.0);
        let other = weights("another embedding", 192, 1.0, 0.0);
        let other = S3Voice::new(model.config(), vec![5, 6, 7, 8], mel, other).unwrap();
        let noise = [Philox::new(1), Philox::new(2), Philox::new(3)];
        let tokens: [&[u32]; 3] = [&[1, 2, 3], &[9; 30], &[4, 8, 15, 16, 23, 42, 4, 8]];
        let voices = [&own, &other, &own];
        let request = |i: usize| Request { voice: voices[i], tokens: tokens[i], noise: &noise[i] };
        let batch = model.synthesize_batch(&[request(0), request(1), request(2)], Some(3)).unwrap();
        for (i, found) in batch.iter().enumerate() {
            let alone = model.synthesize(voices[i], tokens[i], &noise[i], Some(3)).unwrap();
            assert_eq!(found.samples.len(), tokens[i].len() * 960);
            let pairs = found.samples.iter().zip(&alone.samples);
            let worst = pairs.map(|(f, a)| (f - a).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{case}, request {i}: {worst:e}");
        }
    }
}

#[test]
fn nothing_to_say_is_no_speech() {
    assert!(model("turbo").synthesize_batch(&[], None).unwrap().is_empty());
}
