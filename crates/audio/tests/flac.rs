//! What is written as FLAC is decoded by another program's decoder to the samples that a WAV file of it has.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use mynah_audio::{AudioStream, FlacEncoder, FlacFile, write_wav_i16};
use std::f32::consts::TAU;
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// Bytes of a file's head, and where in it the number of samples and the digest are.
const HEAD: usize = 42;

/// Signals that want each kind of frame: silence, tones, speech-like noise, clicks, clipped and impossible samples.
fn signals() -> Vec<(&'static str, Vec<f32>)> {
    let mut state = 9_u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state as f32 / u32::MAX as f32 - 0.5
    };
    let tone = |i: usize| (TAU * 220.0 * i as f32 / 24_000.0).sin();
    let mut clicks = vec![0.0; 9000];
    clicks.iter_mut().step_by(997).for_each(|x| *x = -1.0);
    vec![
        ("nothing", vec![]),
        ("one", vec![0.3]),
        ("silence", vec![0.0; 10_000]),
        ("tones", (0..12_289).map(|i| 0.6 * tone(i) + 0.2 * tone(3 * i + 5)).collect()),
        ("noise", (0..8192).map(|_| 2.0 * noise()).collect()),
        ("speech", (0..30_001).map(|i| tone(i) * tone(i / 40) * 0.5 + 0.01 * noise()).collect()),
        ("clicks", clicks),
        ("loud", (0..5000).map(|i| 3.0 * tone(i) + if i == 77 { f32::NAN } else { 0.0 }).collect()),
        ("short", (0..13).map(|i| 0.1 * i as f32).collect()),
        ("steps", (0..6000).map(|i| if i / 600 % 2 == 0 { -1.0 } else { 1.0 }).collect()),
    ]
}

fn decode(path: &Path) -> Vec<f32> {
    AudioStream::open(path).unwrap().at_rate(24_000).unwrap().read_all().unwrap()
}

#[test]
fn a_file_has_the_samples_of_a_wav_file() {
    let folder = tempfile::tempdir().unwrap();
    for (name, samples) in signals() {
        let [flac, wav] = ["flac", "wav"].map(|ending| folder.path().join(format!("{name}.{ending}")));
        write_wav_i16(&wav, 24_000, &samples).unwrap();
        let mut file = FlacFile::create(&flac, 24_000).unwrap();
        samples.chunks(777).for_each(|part| file.write(part).unwrap());
        file.finish().unwrap();
        if samples.is_empty() {
            assert_eq!(fs::metadata(&flac).unwrap().len(), HEAD as u64);
            continue;
        }
        assert_eq!(decode(&flac), decode(&wav), "{name}");
        let [flac, wav] = [flac, wav].map(|path| fs::metadata(path).unwrap().len());
        assert!(flac <= wav + 60, "{name}: {flac} bytes, {wav} as wav");
        assert!(
            !matches!(name, "silence" | "tones" | "clicks") || 2 * flac < wav,
            "{name}: {flac} of {wav} bytes"
        );
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        2 * signals().len(),
        "nothing half-written stays"
    );
}

#[test]
fn a_stream_of_unknown_length_decodes_too() {
    for (name, samples) in signals().into_iter().filter(|(_, samples)| !samples.is_empty()) {
        let mut encoder = FlacEncoder::new(24_000).unwrap();
        let head = encoder.head();
        let mut bytes = head.to_vec();
        encoder.push(&samples, &mut bytes);
        encoder.finish(&mut bytes);
        let known = encoder.head();
        assert_ne!(head, known, "{name}");
        assert!(
            head[22..] == [0; HEAD - 22] && known[26..] != [0; 16],
            "{name}: nothing is known before the end"
        );
        let whole = [&known[..], &bytes[HEAD..]].concat();
        let read = |bytes: Vec<u8>| {
            let stream = AudioStream::from_reader(Box::new(Cursor::new(bytes)), None).unwrap();
            stream.at_rate(24_000).unwrap().read_all().unwrap()
        };
        let (streamed, file) = (read(bytes), read(whole));
        assert_eq!(streamed.len(), samples.len(), "{name}");
        assert_eq!(streamed, file, "{name}");
    }
}

#[test]
fn an_unfinished_file_leaves_nothing_and_a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = FlacFile::create(folder.path().join("never.flac"), 24_000).unwrap();
    file.write(&[0.5; 10_000]).unwrap();
    drop(file);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let error = FlacFile::create("no/such/folder/a.flac", 24_000).err().unwrap();
    assert!(error.to_string().contains("no/such/folder/a.flac"));
}
