//! Speech at other speeds: its duration changes, its pitch does not, and a stream gives what the whole gives.

use crate::chunks::{HOP, from_scratch, stream, tokens};
use crate::fixtures::{BINS, CASES, model, voice};
use mynah_models::chatterbox::noise::Philox;
use mynah_models::chatterbox::s3gen::{Request, S3Gen, Speech, Speed};

const SPEEDS: [f64; 5] = [0.5, 0.8, 1.0, 1.25, 2.0];

fn whole(model: &mut S3Gen, tokens: &[u32], speed: Speed) -> Speech {
    let (voice, noise) = (voice(model), Philox::new(4));
    let request = Request { voice: &voice, tokens, noise: &noise };
    model.synthesize_at(&[(request, speed)], Some(2)).unwrap().remove(0)
}

#[test]
fn duration_follows_the_speed_and_one_is_as_without() {
    for case in CASES {
        let mut model = model(case);
        let voice = voice(&model);
        let plain = model.synthesize(&voice, &tokens(20), &Philox::new(4), Some(2)).unwrap().samples;
        for speed in SPEEDS {
            let samples = whole(&mut model, &tokens(20), Speed::new(speed).unwrap()).samples;
            let exact = plain.len() as f64 / speed;
            assert!((samples.len() as f64 - exact).abs() <= HOP as f64, "{case} {speed}: {}", samples.len());
            assert_eq!(samples == plain, speed == 1.0, "{case} {speed}");
        }
    }
}

#[test]
fn pitch_stays() {
    for case in CASES {
        let mut model = model(case);
        // A vowel whose pitch and timbre glide: bins of a slow wave.
        let frames = 60;
        let bin = |i: usize| {
            let (frame, bin) = ((i / BINS) as f32, (i % BINS) as f32);
            -3.0 + 2.0 * (bin * 0.2 + frame * 0.01).sin() + 0.5 * (frame * 0.05).cos()
        };
        let mel: Vec<f32> = (0..frames * BINS).map(bin).collect();
        let f0 = model.pitch(&mel).unwrap();
        assert!(f0.iter().all(|&hertz| hertz > 0.0));
        let (least, most) = f0.iter().fold((f32::MAX, 0.0_f32), |(l, m), &x| (l.min(x), m.max(x)));
        for speed in SPEEDS {
            let timed = Speed::new(speed).unwrap().apply(&mel, BINS);
            let found = model.pitch(&timed).unwrap();
            // At the ends the predictor's convolutions see zeros, at any speed.
            for (j, &hertz) in found.iter().enumerate().skip(6).take(found.len() - 12) {
                let at = (j as f64 + 0.5) * speed - 0.5;
                if !(6.0..=frames as f64 - 7.0).contains(&at) {
                    continue;
                }
                let (before, part) = (at.floor() as usize, at.fract() as f32);
                let wanted = f0[before] + (f0[before + 1] - f0[before]) * part;
                let off = (hertz - wanted).abs() / wanted;
                assert!(off < 0.01, "{case} {speed}, frame {j}: {hertz} Hz, {wanted} Hz ({least}..{most})");
            }
        }
    }
}

#[test]
fn one_chunk_is_the_whole_at_any_speed() {
    for case in CASES {
        let mut model = model(case);
        for speed in SPEEDS {
            let speed = Speed::new(speed).unwrap();
            let samples = whole(&mut model, &tokens(20), speed).samples;
            assert!(stream(&mut model, &tokens(20), &[20], speed).concat() == samples, "{case} {speed:?}");
        }
    }
}

#[test]
fn chunks_are_what_the_rule_gives_from_scratch_at_any_speed() {
    for case in CASES {
        let mut model = model(case);
        let tokens = tokens(40);
        for speed in SPEEDS {
            let speed = Speed::new(speed).unwrap();
            for ends in [vec![10, 25, 40], vec![4, 5, 9, 40], vec![30, 40, 40]] {
                let chunks = stream(&mut model, &tokens, &ends, speed);
                // Two frames are certain after four tokens, one is held back, and another speed may make one of them.
                assert!(!chunks[0].is_empty() || ends[0] == 4, "{case} {speed:?} {ends:?}");
                let found = chunks.concat();
                let wanted = from_scratch(&mut model, &tokens, &ends, speed);
                assert_eq!(found.len(), wanted.len());
                let worst = found.iter().zip(&wanted).map(|(f, w)| (f - w).abs()).fold(0.0, f32::max);
                assert!(worst < 2e-5, "{case} {speed:?} {ends:?}: {worst:e}");
            }
        }
    }
}
