//! Front ends, resamplers, loudness and trimming against librosa, torch, torchaudio, soxr and pyloudnorm. Some hear the 16 kHz clip as
//! if it were one of 24 kHz.

use crate::fixtures::{Reference, clip, difference, relative, snr};
use mynah_audio::features::{BandConfig, BandExtractor, Compression, FbankConfig, KaldiFbank, Magnitude};
use mynah_audio::{
    AudioError, integrated_loudness, resample, resample_sinc_hann, resample_sinc_kaiser, trim_silence,
};

type Resample = fn(&[f32], u32, u32) -> Result<Vec<f32>, AudioError>;

fn recording() -> Vec<f32> {
    clip("mr-allen")[8000..8000 + 2 * 16_000 + 77].to_vec()
}

fn bands(config: BandConfig, wanted: &str) -> (Vec<f32>, Vec<f32>) {
    let found = BandExtractor::new(config, None).unwrap().extract(&recording());
    assert_eq!((found.n_mels, found.valid), (config.n_mels, found.frames));
    (found.data, Reference::open("features").floats(wanted))
}

#[test]
fn energies_are_librosas() {
    let config = BandConfig {
        sample_rate: 16_000,
        n_fft: 400,
        hop_length: 160,
        n_mels: 40,
        high_hz: 8000.0,
        pad: 200,
        magnitude: Magnitude::Power,
        compression: Compression::None,
        drop_last: false,
    };
    let (found, wanted) = bands(config, "voice_encoder");
    println!("{:e}", relative(&found, &wanted));
    assert!(relative(&found, &wanted) <= 1e-6);
}

#[test]
fn whispers_logarithm_is_torchs() {
    let config = BandConfig {
        sample_rate: 16_000,
        n_fft: 400,
        hop_length: 160,
        n_mels: 128,
        high_hz: 8000.0,
        pad: 200,
        magnitude: Magnitude::Power,
        compression: Compression::Whisper,
        drop_last: true,
    };
    let (found, wanted) = bands(config, "s3_tokenizer");
    println!("{:e}", difference(&found, &wanted));
    assert!(difference(&found, &wanted) <= 1e-4);
}

#[test]
fn amplitudes_are_torchs() {
    let config = BandConfig {
        sample_rate: 24_000,
        n_fft: 1920,
        hop_length: 480,
        n_mels: 80,
        high_hz: 8000.0,
        pad: 720,
        magnitude: Magnitude::Amplitude { guard: 1e-9 },
        compression: Compression::Ln { floor: 1e-5 },
        drop_last: false,
    };
    let (found, wanted) = bands(config, "prompt");
    println!("{:e}", difference(&found, &wanted));
    assert!(difference(&found, &wanted) <= 1e-4);
}

#[test]
fn filter_banks_are_kaldis() {
    let found = KaldiFbank::new(FbankConfig::kaldi(16_000, 80), None).unwrap().extract(&recording());
    let wanted = Reference::open("features").floats("fbank");
    println!("{:e}", difference(&found.data, &wanted));
    assert!(difference(&found.data, &wanted) <= 2e-5);
}

#[test]
fn the_windowed_sinc_is_torchaudios() {
    let found = resample_sinc_hann(&recording(), 24_000, 16_000).unwrap();
    assert_eq!(found.len(), recording().len().div_ceil(3) * 2 - 1);
    let wanted = Reference::open("features").floats("sinc_hann");
    println!("{:e}", difference(&found[..8000], &wanted));
    assert!(difference(&found[..8000], &wanted) <= 1e-6);
}

/// What the voices are made with is near to soxr's filter; what streams are resampled by has a wider pass band.
#[test]
fn the_long_sinc_is_near_soxrs() {
    let references = Reference::open("features");
    let of = |name: &str, resample: Resample| {
        let up = resample(&clip("mr-allen"), 16_000, 24_000).unwrap();
        let down = resample(&up, 24_000, 16_000).unwrap();
        let up = snr(&up[24_000..36_000], &references.floats("soxr_24k"));
        let down = snr(&down[16_000..24_000], &references.floats("soxr_16k"));
        println!("{name}: to 24 kHz {up:.1} dB, back {down:.1} dB");
        up.min(down)
    };
    assert!(of("sinc", resample_sinc_kaiser) >= 85.0);
    assert!(of("stream", resample) >= 60.0);
}

#[test]
fn loudness_is_pyloudnorms() {
    let wanted = Reference::open("features").numbers("loudness");
    let names = ["mr-allen", "so-kind", "noisy-clock"];
    let found = names
        .iter()
        .flat_map(|name| [16_000, 24_000].map(|rate| integrated_loudness(&clip(name), rate).unwrap()));
    for (found, wanted) in found.zip(wanted) {
        println!("{found} {wanted}");
        assert!((found - f64::from(wanted)).abs() <= 1e-4, "{found} LUFS, not {wanted}");
    }
}

#[test]
fn silence_is_trimmed_as_by_librosa() {
    let wanted = Reference::open("features").numbers("trims");
    for (name, wanted) in ["mr-allen", "so-kind", "noisy-clock"].iter().zip(wanted.chunks(2)) {
        let found = trim_silence(&[vec![0.0; 4000], clip(name)].concat(), 20.0);
        assert_eq!([found.start as f32, found.end as f32], wanted, "{name}");
    }
}
