//! Log-mel features against NeMo's `FilterbankFeatures` (`fixtures/audio/make.py`).
#![allow(clippy::unwrap_used)]

mod common;

use common::{floats, original};
use mynah_audio::features::{hann_symmetric, slaney_filterbank};
use mynah_audio::{AudioError, Features, MelConfig, MelExtractor, Normalize};

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

/// Root mean square difference.
fn typical_difference(a: &[f32], b: &[f32]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(x, y)| f64::from(x - y).powi(2)).sum();
    (squares / a.len() as f64).sqrt()
}

/// With the window a model file brings, which is torch's; a computed one differs in the last bit.
fn extract(config: MelConfig, samples: &[f32]) -> Features {
    MelExtractor::with_tables(config, Some(&floats("hann400.f32")), None).unwrap().extract(samples)
}

#[test]
fn tables_equal_those_of_torch_and_librosa() {
    assert!(largest_difference(&hann_symmetric(400), &floats("hann400.f32")) < 1e-7);
    assert!(largest_difference(&slaney_filterbank(16_000, 512, 80), &floats("bank80.f32")) < 1e-8);
}

#[test]
fn normalised_features_are_exact() {
    for n_mels in [80, 128] {
        let features = extract(MelConfig::parakeet(n_mels), &original());
        assert_eq!((features.frames, features.valid), (126, 125));
        let difference = largest_difference(&features.data, &floats(&format!("mel{n_mels}.f32")));
        println!("{n_mels} bands: {difference:e}");
        assert!(difference <= 1e-5, "{n_mels} bands: {difference:e}");
    }
}

/// NeMo transforms in f32, which is off by up to 5e-4 in the weakest bands; typically it agrees far better.
#[test]
fn normalised_features_equal_nemo() {
    for n_mels in [80, 128] {
        let (features, nemo) =
            (extract(MelConfig::parakeet(n_mels), &original()), floats(&format!("nemo{n_mels}.f32")));
        let (largest, typical) =
            (largest_difference(&features.data, &nemo), typical_difference(&features.data, &nemo));
        println!("{n_mels} bands: {largest:e}, typically {typical:e}");
        assert!(largest <= 5e-4 && typical <= 6e-6, "{n_mels} bands: {largest:e}, typically {typical:e}");
    }
}

#[test]
fn raw_features_are_exact() {
    let config = MelConfig { normalize: Normalize::None, ..MelConfig::parakeet(80) };
    let difference = largest_difference(&extract(config, &original()).data, &floats("mel80raw.f32"));
    println!("raw: {difference:e}");
    assert!(difference <= 1e-5, "{difference:e}");
}

#[test]
fn short_clips_are_exact() {
    let clip = original();
    for length in [160, 320, 1607] {
        let features = extract(MelConfig::parakeet(80), &clip[2000..2000 + length]);
        assert_eq!((features.frames, features.valid), (1 + length / 160, length / 160));
        let difference = largest_difference(&features.data, &floats(&format!("mel80_{length}.f32")));
        println!("{length}: {difference:e}");
        // Two frames differ by little in some bands, and that difference is divided by itself.
        assert!(difference <= if length == 320 { 1e-4 } else { 1e-5 }, "{length}: {difference:e}");
    }
}

#[test]
fn tables_of_a_model_file_are_used() {
    let config = MelConfig::parakeet(80);
    let (window, bank) = (floats("hann400.f32"), floats("bank80.f32"));
    let given = MelExtractor::with_tables(config, Some(&window), Some(&bank)).unwrap();
    let clip = original();
    let computed = MelExtractor::new(config).unwrap().extract(&clip);
    assert!(largest_difference(&given.extract(&clip).data, &computed.data) < 5e-5);
    let other: Vec<f32> = window.iter().map(|w| w * w).collect();
    let other = MelExtractor::with_tables(config, Some(&other), None).unwrap();
    assert!(largest_difference(&other.extract(&clip).data, &extract(config, &clip).data) > 1e-2);
}

#[test]
fn clips_without_content_do_not_fail() {
    let extractor = MelExtractor::new(MelConfig::parakeet(80)).unwrap();
    for samples in [0, 1, 159, 160, 161, 255, 256, 257, 320, 511, 512, 513, 16_000] {
        for value in [0.0, 0.5, f32::MAX, f32::NAN] {
            let features = extractor.extract(&vec![value; samples]);
            assert_eq!(features.data.len(), features.frames * 80);
            assert_eq!((features.frames, features.valid), (1 + samples / 160, samples / 160));
            assert!(features.data.iter().all(|x| x.is_finite()), "{samples} samples of {value}");
            assert!(features.row(features.valid).iter().all(|&x| x == 0.0));
        }
    }
    // Digital silence has no deviation; the guard must not blow rounding up.
    assert!(extractor.extract(&[0.0; 16_000]).data.iter().all(|&x| x == 0.0));
}

#[test]
fn a_row_past_the_end_is_empty() {
    let features = extract(MelConfig::parakeet(80), &[0.0; 320]);
    assert_eq!(features.row(2).len(), 80);
    assert!(features.row(3).is_empty() && features.row(usize::MAX).is_empty());
}

#[test]
fn threads_do_not_show() {
    let extractor = MelExtractor::new(MelConfig::parakeet(128)).unwrap();
    let clip = original();
    let expected = extractor.extract(&clip);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| extractor.extract(&clip))).collect();
        for run in runs {
            assert!(run.join().unwrap() == expected);
        }
    });
    for threads in [0, 2, 3, 16, usize::MAX] {
        assert!(extractor.extract_together(&clip, threads) == expected, "{threads} threads");
        let (long, few) = (clip.repeat(5), &clip[..170]);
        assert!(extractor.extract_together(&long, threads) == extractor.extract(&long), "{threads} threads");
        assert!(extractor.extract_together(few, threads) == extractor.extract(few), "{threads} threads");
    }
}

#[test]
fn bad_configurations_are_named() {
    let good = MelConfig::parakeet(80);
    for (part, config) in [
        ("n_fft", MelConfig { n_fft: 511, ..good }),
        ("n_fft", MelConfig { n_fft: usize::MAX - 1, ..good }),
        ("win_length", MelConfig { win_length: 513, ..good }),
        ("hop_length", MelConfig { hop_length: 0, ..good }),
        ("n_mels", MelConfig { n_mels: 0, ..good }),
        ("sample_rate", MelConfig { sample_rate: 0, ..good }),
        ("preemph", MelConfig { preemph: f32::NAN, ..good }),
    ] {
        let error = MelExtractor::new(config).unwrap_err();
        assert!(matches!(error, AudioError::Config { .. }) && error.to_string().contains(part), "{error}");
    }
    let error = MelExtractor::with_tables(good, Some(&[1.0; 399]), None).unwrap_err();
    assert!(error.to_string().contains("399"), "{error}");
    assert!(MelExtractor::with_tables(good, None, Some(&[f32::NAN; 80 * 257])).is_err());
}
