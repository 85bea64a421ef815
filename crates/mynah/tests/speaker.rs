//! The speaker on tiny random Chatterboxes: what it says depends on text, voice, options and files, and on nothing else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use mynah::{
    AudioStream, Chunks, DeviceChoice, Error, MakeOptions, Options, SPEECH_RATE, Said, SpeakOptions, Speaker,
    SplitLimits, Voice, VoiceParts, read_recording,
};
use mynah_convert::random_model;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const TURBO: &str = "chatterbox-tiny";
const MULTILINGUAL: &str = "chatterbox-mtl-tiny";

/// The folder of both models, made once for all tests.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = FOLDER.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        for name in [TURBO, MULTILINGUAL] {
            let options = mynah_convert::Options::default();
            random_model(name, &dir.path().join(name), 3, &options, &|_| {}).unwrap();
        }
        dir
    });
    made.path()
}

fn open_with(name: &str, threads: usize) -> Speaker {
    let file = |part: &str| folder().join(format!("{name}-{part}.gguf"));
    let options = Options { device: DeviceChoice::Cpu, threads: Some(threads), ..Options::default() };
    Speaker::open(file("t3"), file("s3gen"), &options).unwrap()
}

fn open(name: &str) -> Speaker {
    open_with(name, 1)
}

/// A second or so of English.
fn options() -> SpeakOptions {
    SpeakOptions {
        language: Some("en".into()),
        max_tokens: Some(12),
        retry: false,
        ..SpeakOptions::default()
    }
}

fn chunks(first: usize, then: usize) -> Option<Chunks> {
    Some(Chunks { first, then })
}

fn say_with(speaker: &mut Speaker, voice: &Voice, text: &str, options: &SpeakOptions) -> (Vec<f32>, Said) {
    let voice = speaker.ready(voice).unwrap();
    let mut samples = Vec::new();
    let said = speaker.say(text, &voice, options, &mut |sound| {
        samples.extend_from_slice(sound);
        ControlFlow::Continue(())
    });
    let said = said.unwrap();
    assert_eq!(said.samples, samples.len());
    assert!(samples.iter().all(|x| x.is_finite() && x.abs() <= 1.0));
    (samples, said)
}

fn say(speaker: &mut Speaker, text: &str, options: &SpeakOptions) -> (Vec<f32>, Said) {
    let voice = speaker.built_in_voice().unwrap();
    say_with(speaker, &voice, text, options)
}

/// The largest step from one sample to the next.
fn jump(samples: &[f32]) -> f32 {
    samples.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max)
}

fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|x| x * x).sum::<f32>() / samples.len().max(1) as f32).sqrt()
}

#[test]
fn a_trace_is_what_is_said() {
    for name in [TURBO, MULTILINGUAL] {
        let mut speaker = open(name);
        let voice = speaker.built_in_voice().unwrap();
        let ready = speaker.ready(&voice).unwrap();
        let (text, options) = ("It rains in the town.", SpeakOptions { seed: 5, ..options() });
        let (samples, _) = say_with(&mut speaker, &voice, text, &options);
        let trace = speaker.trace(text, &ready, &options, None).unwrap();
        assert_eq!(trace.s3gen.samples, samples, "{name}");
        let led = speaker.trace(text, &ready, &options, Some(&trace.t3.path)).unwrap();
        assert_eq!(led, trace, "{name}");
        let other = speaker.trace(text, &ready, &options, Some(&[7, 8, 9])).unwrap();
        assert_eq!((&other.t3.path[..], other.t3.drawn[0]), (&[7, 8, 9][..], trace.t3.drawn[0]));
        let none = speaker.trace(text, &ready, &options, Some(&[speaker_stop(name)]));
        // Turbo adds its silence to nothing as well.
        assert_eq!(none.is_err(), name == MULTILINGUAL);
    }
}

/// The token that ends speech.
fn speaker_stop(name: &str) -> i32 {
    open(name).t3().config().stop_speech
}

#[test]
fn what_was_said_before_changes_nothing() {
    for name in [TURBO, MULTILINGUAL] {
        let mut speaker = open(name);
        let texts = ["Hello.", "It rains in the town today, and nobody minds.", "One two three four five."];
        for turn in 0..10 {
            let options = SpeakOptions {
                seed: turn as u64 / 2,
                max_tokens: Some(3 + 5 * (turn % 4)),
                chunks: if turn % 3 == 2 { chunks(4, 6) } else { None },
                ..options()
            };
            let text = texts[turn % texts.len()];
            let (samples, said) = say(&mut speaker, text, &options);
            let (fresh, _) = say(&mut open(name), text, &options);
            assert!(!samples.is_empty() && said.tokens > 0, "{name} {turn}");
            assert!(rms(&samples) > 1e-4, "{name} {turn} is silent");
            assert_eq!(samples, fresh, "{name} {turn}");
        }
    }
}

#[test]
fn threads_change_nothing() {
    for name in [TURBO, MULTILINGUAL] {
        for options in [options(), SpeakOptions { chunks: chunks(5, 5), ..options() }] {
            let one = say(&mut open_with(name, 1), "Two threads say the same.", &options).0;
            for threads in [2, 3] {
                let many = say(&mut open_with(name, threads), "Two threads say the same.", &options).0;
                assert_eq!(one, many, "{name} {threads}");
            }
        }
    }
}

#[test]
fn another_seed_text_or_voice_is_another_sound() {
    for name in [TURBO, MULTILINGUAL] {
        let mut speaker = open(name);
        let first = say(&mut speaker, "Good morning.", &options()).0;
        assert_ne!(first, say(&mut speaker, "Good morning.", &SpeakOptions { seed: 1, ..options() }).0);
        assert_ne!(first, say(&mut speaker, "Good evening.", &options()).0);
        let mut parts = VoiceParts::from(speaker.built_in_voice().unwrap());
        parts.embedding.as_mut().unwrap().iter_mut().for_each(|x| *x = -*x);
        let other = parts.complete().unwrap();
        let sound = say_with(&mut speaker, &other, "Good morning.", &options()).0;
        // S3Gen alone hears that.
        assert_eq!(sound.len(), first.len());
        assert_ne!(sound, first);
    }
}

#[test]
fn a_stream_is_always_the_same_and_has_no_clicks() {
    for name in [TURBO, MULTILINGUAL] {
        let options = SpeakOptions { max_tokens: Some(40), seed: 2, ..options() };
        let text = "A stream is heard before its text has ended.";
        let mut speaker = open(name);
        let (whole, all) = say(&mut speaker, text, &options);
        for (first, then) in [(1, 1), (5, 9), (12, 25), (100, 100)] {
            let streamed = SpeakOptions { chunks: chunks(first, then), ..options.clone() };
            let (samples, said) = say(&mut speaker, text, &streamed);
            assert_eq!(samples, say(&mut speaker, text, &streamed).0, "{name} {first} {then}");
            assert_eq!(said.tokens, all.tokens, "{name} {first} {then}");
            assert_eq!(samples.len(), whole.len(), "{name} {first} {then}");
            assert!(jump(&samples) <= 1.25 * jump(&whole), "{} {}", jump(&samples), jump(&whole));
        }
        let one = SpeakOptions { chunks: chunks(100, 100), ..options.clone() };
        assert_eq!(say(&mut speaker, text, &one).0.len(), whole.len(), "{name}");
    }
}

#[test]
fn a_stream_is_whole_wherever_its_chunks_end() {
    for name in [TURBO, MULTILINGUAL] {
        let mut speaker = open(name);
        let (whole, said) = say(&mut speaker, "Cut anywhere.", &options());
        for first in 1..=said.tokens + 1 {
            let streamed = SpeakOptions { chunks: chunks(first, 4), ..options() };
            let (samples, again) = say(&mut speaker, "Cut anywhere.", &streamed);
            assert_eq!((samples.len(), again.tokens), (whole.len(), said.tokens), "{name} {first}");
        }
    }
}

#[test]
fn a_stream_comes_in_several_parts() {
    let mut speaker = open(TURBO);
    let voice = speaker.built_in_voice().unwrap();
    let voice = speaker.ready(&voice).unwrap();
    let options = SpeakOptions { max_tokens: Some(40), seed: 2, chunks: chunks(5, 8), ..options() };
    let mut parts = Vec::new();
    let said = speaker.say("Part by part.", &voice, &options, &mut |sound| {
        parts.push(sound.len());
        ControlFlow::Continue(())
    });
    let said = said.unwrap();
    assert!(parts.len() >= said.tokens / 16 && parts.len() > 1, "{parts:?} of {} tokens", said.tokens);
    assert!(said.times.first < said.times.total);
}

#[test]
fn long_texts_are_said_in_pieces() {
    let mut speaker = open(MULTILINGUAL);
    let text = "The first sentence is here. The second one follows it. And a third ends the text.";
    let limits = SplitLimits { longest: 30, ..SplitLimits::default() };
    let pieces = SpeakOptions { split: Some(limits), ..options() };
    let (samples, said) = say(&mut speaker, text, &pieces);
    assert_eq!(said.pieces, 3);
    assert!(said.cut_off, "12 tokens end no random speech");
    // Every piece takes the seed that follows, and fades into the next.
    let fade = SPEECH_RATE as usize * 30 / 1000;
    let alone: Vec<Vec<f32>> =
        ["The first sentence is here.", "The second one follows it.", "And a third ends the text."]
            .iter()
            .zip(0..)
            .map(|(text, seed)| say(&mut speaker, text, &SpeakOptions { seed, ..options() }).0)
            .collect();
    let lengths: Vec<usize> = alone.iter().map(Vec::len).collect();
    assert_eq!(samples.len(), lengths.iter().sum::<usize>() - 2 * fade);
    assert_eq!(samples[..lengths[0] - fade], alone[0][..lengths[0] - fade]);
    assert_eq!(samples[samples.len() - lengths[2] + fade..], alone[2][fade..]);
    let most = alone.iter().map(|samples| jump(samples)).fold(0.0, f32::max);
    assert!(jump(&samples) <= 1.25 * most, "{} {most}", jump(&samples));
    // In one breath it is one piece.
    assert_eq!(say(&mut speaker, text, &SpeakOptions { split: None, ..options() }).1.pieces, 1);
    // Chunks and pieces go together.
    let both = SpeakOptions { chunks: chunks(4, 6), ..pieces };
    let (streamed, said) = say(&mut speaker, text, &both);
    assert_eq!(said.pieces, 3);
    assert!(streamed.len().abs_diff(samples.len()) <= 3 * 960);
}

#[test]
fn a_listener_who_goes_away_ends_it_and_leaves_the_speaker_whole() {
    for name in [TURBO, MULTILINGUAL] {
        let mut speaker = open(name);
        let voice = speaker.built_in_voice().unwrap();
        let ready = speaker.ready(&voice).unwrap();
        let options = SpeakOptions { max_tokens: Some(40), ..options() };
        let text = "This is said until nobody listens. And this is never said at all, whatever comes.";
        let before = say(&mut speaker, text, &options).0;
        let limits = SplitLimits { longest: 40, ..SplitLimits::default() };
        for chunked in [None, chunks(3, 3)] {
            let options = SpeakOptions { chunks: chunked, split: Some(limits), ..options.clone() };
            let mut calls = 0;
            let said = speaker.say(text, &ready, &options, &mut |_| {
                calls += 1;
                ControlFlow::Break(())
            });
            let said = said.unwrap();
            assert!(said.cancelled && calls == 1 && said.pieces == 2, "{name} {calls} {said:?}");
            assert!(chunked.is_none() || said.tokens < 40, "{name} {}", said.tokens);
        }
        assert_eq!(say(&mut speaker, text, &options).0, before, "{name}");
    }
}

#[test]
fn speech_that_ends_by_itself_is_not_cut_off() {
    let mut speaker = open(TURBO);
    let options = SpeakOptions { max_tokens: None, retry: true, ..options() };
    for seed in 0..3 {
        let options = SpeakOptions { seed, ..options.clone() };
        let (whole, said) = say(&mut speaker, "Hi there.", &options);
        assert!(!said.cut_off && said.tokens < 900, "{seed}: {} tokens", said.tokens);
        let streamed = SpeakOptions { chunks: Some(Chunks::default()), ..options };
        let (samples, again) = say(&mut speaker, "Hi there.", &streamed);
        assert_eq!(again.tokens, said.tokens);
        assert!(samples.len().abs_diff(whole.len()) <= 960);
    }
}

fn recording() -> (Vec<f32>, u32) {
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples/the-town.wav");
    read_recording(AudioStream::open(clip).unwrap()).unwrap()
}

#[test]
fn a_voice_of_a_recording_stays_the_same_through_files() {
    for name in [TURBO, MULTILINGUAL] {
        let mut speaker = open(name);
        let (samples, rate) = recording();
        let make =
            |speaker: &Speaker| speaker.make_voice(&samples, rate, &MakeOptions::default()).unwrap().voice;
        let voice = make(&speaker);
        assert_eq!(make(&open_with(name, 2)), voice, "{name}: threads");
        let spoken = say_with(&mut speaker, &voice, "Whose voice is it?", &options()).0;
        assert_ne!(spoken, say(&mut speaker, "Whose voice is it?", &options()).0);
        let dir = tempfile::tempdir().unwrap();
        let (file, folder) = (dir.path().join("voice.gguf"), dir.path().join("voice"));
        voice.save(&file).unwrap();
        voice.write_folder(&folder).unwrap();
        for path in [&file, &folder] {
            let read = speaker.completed(VoiceParts::load(path).unwrap()).unwrap();
            let again = say_with(&mut speaker, &read, "Whose voice is it?", &options()).0;
            assert_eq!(again, spoken, "{name} {}", path.display());
        }
        // What is missing comes from the model.
        std::fs::remove_file(folder.join("embedding.npy")).unwrap();
        let parts = VoiceParts::load(&folder).unwrap();
        assert_eq!(parts.missing(), ["embedding"]);
        let mixed = speaker.completed(parts).unwrap();
        let own = speaker.built_in_voice().unwrap();
        assert_eq!(mixed.embedding(), own.embedding());
        assert_eq!(mixed.prompt_tokens(), voice.prompt_tokens());
        assert_ne!(say_with(&mut speaker, &mixed, "Whose voice is it?", &options()).0, spoken);
    }
}

#[test]
fn files_in_the_wrong_place_are_named() {
    let file = |name: &str, part: &str| -> PathBuf { folder().join(format!("{name}-{part}.gguf")) };
    let options = Options { device: DeviceChoice::Cpu, ..Options::default() };
    let chain = |error: Error| {
        let mut error: &dyn std::error::Error = &error;
        let mut text = error.to_string();
        while let Some(source) = error.source() {
            error = source;
            text = format!("{text}: {error}");
        }
        text
    };
    let wrong = |t3: PathBuf, s3gen: PathBuf| chain(Speaker::open(t3, s3gen, &options).err().unwrap());
    let text = wrong(file(TURBO, "s3gen"), file(TURBO, "t3"));
    assert!(text.contains("'chatterbox-s3gen'"), "{text}");
    let text = wrong(file(TURBO, "t3"), file(TURBO, "t3"));
    assert!(text.contains("chatterbox-s3gen"), "{text}");
}

#[test]
fn files_and_voices_of_two_kinds_are_refused() {
    let file = |name: &str, part: &str| folder().join(format!("{name}-{part}.gguf"));
    let options = Options { device: DeviceChoice::Cpu, threads: Some(1), ..Options::default() };
    for (t3, s3gen) in [(TURBO, MULTILINGUAL), (MULTILINGUAL, TURBO)] {
        let error = Speaker::open(file(t3, "t3"), file(s3gen, "s3gen"), &options).err().unwrap();
        assert!(matches!(error, Error::Pair { .. }) && error.hint().is_some(), "{error}");
    }
    let (mut turbo, mut other) = (open(TURBO), open(MULTILINGUAL));
    for (speaker, voice) in
        [(&mut turbo, other.built_in_voice().unwrap()), (&mut other, open(TURBO).built_in_voice().unwrap())]
    {
        let error = speaker.ready(&voice).unwrap_err();
        assert!(matches!(error, Error::VoiceKind { .. }) && error.hint().is_some(), "{error}");
        // A folder doesn't say whose it is, and is believed as far as its lengths allow.
        let mut parts = VoiceParts::from(voice);
        parts.kind = None;
        assert!(speaker.ready(&parts.clone().complete().unwrap()).is_ok());
        let longer = speaker.t3().config().prompt + 1;
        parts.t3_prompt_tokens = Some(vec![7; longer]);
        let found = speaker.ready(&parts.complete().unwrap());
        assert_eq!(found.is_err(), speaker.t3().config().llama().is_some());
    }
}

#[test]
fn the_speed_changes_how_long_it_takes() {
    for name in [TURBO, MULTILINGUAL] {
        let mut speaker = open(name);
        let text = "Said at another speed. And a second sentence.";
        let limits = SplitLimits { longest: 25, ..SplitLimits::default() };
        let at = |speed: f32, chunks| SpeakOptions { speed, chunks, split: Some(limits), ..options() };
        let (plain, said) = say(&mut speaker, text, &at(1.0, None));
        assert_eq!(said.pieces, 2, "there is a join");
        assert!(plain == say(&mut speaker, text, &SpeakOptions { split: Some(limits), ..options() }).0);
        let fade = SPEECH_RATE as usize * 30 / 1000;
        for speed in [0.5, 0.8, 1.25, 2.0] {
            let timed = say(&mut speaker, text, &at(speed, None)).0;
            let exact = (plain.len() + fade) as f64 / f64::from(speed) - fade as f64;
            assert!((timed.len() as f64 - exact).abs() <= 2.0 * 480.0, "{name} {speed}: {}", timed.len());
            let whole = say(&mut speaker, text, &at(speed, chunks(100, 100))).0;
            assert!(whole == timed, "{name} {speed}: one chunk is the whole");
            let streamed = say(&mut speaker, text, &at(speed, chunks(3, 4))).0;
            assert_eq!(streamed.len(), timed.len(), "{name} {speed}");
            assert!(jump(&streamed) <= 1.25 * jump(&timed), "{name} {speed}: no clicks");
        }
        let voice = speaker.built_in_voice().unwrap();
        let voice = speaker.ready(&voice).unwrap();
        for wrong in [0.0, 0.4, 3.0, f32::NAN] {
            let go_on = &mut |_: &[f32]| ControlFlow::Continue(());
            assert!(speaker.say(text, &voice, &at(wrong, None), go_on).is_err(), "{wrong}");
        }
    }
}
