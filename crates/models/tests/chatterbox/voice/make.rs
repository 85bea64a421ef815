//! Whole voices against the order of chatterbox-tts' `prepare_conditionals`, and recordings of which no voice can be made.

use crate::fixtures::{clip, cosine, difference, file_of, files, maker, maker_on, plain, root};
use mynah_audio::AudioStream;
use mynah_device::Policy;
use mynah_gguf::GgufFile;
use mynah_models::ModelError;
use mynah_models::chatterbox::voice::{
    MakeOptions, Voice, VoiceError, VoiceMaker, VoiceParts, VoiceWarning, read_recording,
};
use std::path::PathBuf;
use std::sync::Arc;

const FULL: [&str; 3] = ["voice_encoder", "s3tokenizer", "campplus"];
const SMALL: [&str; 3] = ["voice_encoder_small", "s3tokenizer", "campplus_small"];

fn turbo(lists: [&str; 3]) -> VoiceMaker {
    let [_, s3gen] = files(lists, plain);
    let t3 = file_of("chatterbox", &[lists[0]], plain, |w| {
        w.set("chatterbox.cond_prompt_length", 375u32);
    });
    maker_on([Arc::new(t3), s3gen], Policy::exact(), 2).unwrap()
}

/// The recording has another rate than S3Gen's, so that soxr's filter and ours differ a little before anything else.
fn compare(name: &str, voice: &Voice, wanted: &VoiceParts) {
    let floats = |x: &Option<Vec<f32>>| x.clone().unwrap();
    let tokens = |x: &Option<Vec<i32>>| x.clone().unwrap();
    let speaker = cosine(voice.speaker_embedding(), &floats(&wanted.speaker_embedding));
    let embedding = cosine(voice.embedding(), &floats(&wanted.embedding));
    assert!(speaker > 1.0 - 1e-8 && embedding > 1.0 - 1e-8, "{name}: {speaker} {embedding}");
    for (what, found, wanted) in [
        ("T3's tokens", voice.t3_prompt_tokens(), tokens(&wanted.t3_prompt_tokens)),
        ("the prompt's tokens", voice.prompt_tokens(), tokens(&wanted.prompt_tokens)),
    ] {
        assert_eq!(found.len(), wanted.len(), "{name}: {what}");
        let equal = found.iter().zip(&wanted).filter(|(a, b)| a == b).count();
        assert!(equal * 100 >= wanted.len() * 97, "{name}: {equal} of {} of {what}", wanted.len());
    }
}

#[test]
fn a_multilingual_voice_is_prepared_like_the_originals() {
    let made = maker(FULL).make(&clip("the-town"), 16_000, &MakeOptions::default()).unwrap();
    let wanted = VoiceParts::load(root().join("multilingual")).unwrap();
    compare("multilingual", &made.voice, &wanted);
    let feat = wanted.prompt_feat.unwrap();
    let frames = made.voice.prompt_feat();
    assert_eq!(frames.len(), 410 * 80);
    let mean: f32 = frames.iter().zip(&feat).map(|(a, b)| (a - b).abs()).sum::<f32>() / frames.len() as f32;
    println!("mel: mean {mean:e}, largest {:e}", difference(frames, &feat[..frames.len()]));
    assert!(mean < 1e-3, "{mean}");
    assert!(made.times.total() > std::time::Duration::ZERO);
    assert_eq!(made.warnings.len(), 1);
    assert!(matches!(made.warnings[0], VoiceWarning::Short { seconds } if (8.0..9.0).contains(&seconds)));
}

#[test]
fn a_turbo_voice_is_prepared_like_the_originals() {
    let made = turbo(FULL).make(&clip("the-town"), 16_000, &MakeOptions::default()).unwrap();
    compare("turbo", &made.voice, &VoiceParts::load(root().join("turbo")).unwrap());
}

#[test]
fn loudness_is_a_choice() {
    let (mut maker, town) = (maker(SMALL), clip("the-town"));
    let of = |maker: &mut VoiceMaker, loudness| {
        let options = MakeOptions { loudness, ..MakeOptions::default() };
        maker.make(&town, 16_000, &options).unwrap().voice
    };
    let as_it_is = of(&mut maker, None);
    assert_eq!(of(&mut maker, Some(None)), as_it_is);
    let quiet = of(&mut maker, Some(Some(-27.0)));
    assert!(quiet.prompt_feat() != as_it_is.prompt_feat());
    // Two recordings of different loudness come to the same.
    let louder: Vec<f32> = town.iter().map(|s| s * 1.5).collect();
    let options = MakeOptions { loudness: Some(Some(-27.0)), ..MakeOptions::default() };
    let found = maker.make(&louder, 16_000, &options).unwrap().voice;
    assert!(difference(found.prompt_feat(), quiet.prompt_feat()) < 1e-2);
}

#[test]
fn a_recording_is_read_at_its_own_rate() {
    let path = |name: &str| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    let (samples, rate) =
        read_recording(AudioStream::open(path("fixtures/audio/stereo44.flac")).unwrap()).unwrap();
    assert_eq!((samples.len(), rate), (44_100 * 5 / 4, 44_100));
    let (samples, rate) =
        read_recording(AudioStream::open(path("assets/samples/price.wav")).unwrap()).unwrap();
    assert!(rate == 16_000 && samples == clip("price"));
}

#[test]
fn the_same_voice_comes_of_every_making() {
    let (mut maker, options) = (maker(SMALL), MakeOptions { name: "town".into(), ..MakeOptions::default() });
    let town = maker.make(&clip("the-town"), 16_000, &options).unwrap().voice;
    let kind = maker.make(&clip("so-kind"), 16_000, &options).unwrap().voice;
    assert!(town.speaker_embedding() != kind.speaker_embedding());
    assert_eq!(maker.make(&clip("the-town"), 16_000, &options).unwrap().voice, town);
    assert_eq!(town.name(), "town");
}

#[test]
fn of_a_long_recording_the_talk_is_taken() {
    let mut maker = maker(SMALL);
    let recording = [vec![0.0; 16_000 * 12], clip("minute")[..16_000 * 20].to_vec()].concat();
    let made = maker.make(&recording, 16_000, &MakeOptions::default()).unwrap();
    assert!((11.5..23.0).contains(&made.from), "{}", made.from);
    assert_eq!((made.voice.t3_prompt_tokens().len(), made.voice.prompt_tokens().len()), (150, 250));
    assert!(made.warnings.is_empty(), "{:?}", made.warnings);
    let first = MakeOptions { from_beginning: true, ..MakeOptions::default() };
    let made = maker.make(&recording, 16_000, &first).unwrap();
    assert_eq!(made.from, 0.0);
}

#[test]
fn recordings_without_a_voice_are_refused_with_the_reason() {
    let mut maker = maker(SMALL);
    let mut refused = |samples: &[f32], rate: u32, wanted: &str| {
        let found = maker.make(samples, rate, &MakeOptions::default()).unwrap_err().to_string();
        assert!(found.contains(wanted), "{found:?} does not say {wanted:?}");
    };
    refused(&[], 24_000, "0.0 s long");
    refused(&clip("price")[..12_000], 16_000, "at least 1.0 s");
    refused(&[0.0; 72_000], 24_000, "silent");
    refused(&[0.5, f32::NAN], 24_000, "sample 1 of the recording is NaN");
    refused(&[0.5; 100], 0, "0 Hz");
    refused(&vec![0.1; 2_000_000], 1_000_000, "1000000 Hz");
    let quiet: Vec<f32> = clip("price").iter().map(|s| s * 1e-4).collect();
    refused(&quiet, 16_000, "nobody speaks");
}

#[test]
fn turbo_wants_five_seconds_unless_told_otherwise() {
    let (mut maker, price) = (turbo(SMALL), clip("price"));
    let found = maker.make(&price, 16_000, &MakeOptions::default());
    assert!(matches!(found, Err(VoiceError::TooShort { least: 5.0, .. })));
    let less = MakeOptions { least_seconds: Some(3.0), ..MakeOptions::default() };
    assert!(maker.make(&price, 16_000, &less).is_ok());
}

#[test]
fn files_without_encoders_are_refused() {
    let [t3, s3gen] = files(SMALL, plain);
    let nothing: Arc<GgufFile> = Arc::new(file_of("chatterbox-s3gen", &[], plain, |_| ()));
    let found = maker_on([Arc::clone(&t3), nothing], Policy::exact(), 1).err().unwrap();
    assert!(matches!(found, ModelError::MissingTensor { .. }), "{found}");
    let swapped = maker_on([s3gen, t3], Policy::exact(), 1).err().unwrap();
    assert!(matches!(swapped, ModelError::Family { .. }), "{swapped}");
}

#[test]
fn contradictions_in_keys_are_named() {
    for (key, value) in [
        ("voice_encoder.partial_frames", 1_000_000u32),
        ("voice_encoder.sample_rate", 8000),
        ("voice_encoder.num_layers", 0),
        ("chatterbox.cond_prompt_length", 100_000),
    ] {
        let [_, s3gen] = files(SMALL, plain);
        let t3 = Arc::new(file_of("chatterbox", &[SMALL[0]], plain, |w| {
            w.set(key, value);
        }));
        let found = maker_on([t3, s3gen], Policy::exact(), 1).err().unwrap().to_string();
        assert!(found.contains(key), "{found:?} does not name {key}");
    }
    for (key, value) in
        [("s3tokv2.fsq_levels", 5u32), ("s3tokv2.n_audio_head", 7), ("campplus.kernel_size", 2)]
    {
        let [t3, _] = files(SMALL, plain);
        let s3gen = Arc::new(file_of("chatterbox-s3gen", &SMALL[1..], plain, |w| {
            w.set(key, value);
        }));
        let found = maker_on([t3, s3gen], Policy::exact(), 1).err().unwrap().to_string();
        assert!(found.contains(key), "{found:?} does not name {key}");
    }
}
