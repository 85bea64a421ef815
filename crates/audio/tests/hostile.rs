//! Bytes nobody meant as audio, and audio somebody damaged: an error or samples, never a panic, a hang, or memory out of
//! proportion.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Cursor;

use common::bytes;
use mynah_audio::AudioStream;
use proptest::prelude::*;

const FIXTURES: [&str; 25] = [
    "adpcm_ima.wav",
    "adpcm_ms.wav",
    "alac16.m4a",
    "f32.aifc",
    "f64.wav",
    "faststart48.m4a",
    "mono16.flac",
    "mono16.mp2",
    "mono16.ogg.flac",
    "mono22.aac",
    "mono44.mp3",
    "opus48.ogg",
    "opus48.webm",
    "s16.aiff",
    "s16.caf",
    "s16.rf64.wav",
    "s24.wav",
    "stereo44.flac",
    "stereo44.mp3",
    "stereo48.m4a",
    "stereo48.ogg",
    "truncated.mp3",
    "u8.wav",
    "vorbis48.webm",
    "garbage.bin",
];

/// Decodes to the end, or to more samples than the bytes can hold. The result does not matter.
fn drain(bytes: Vec<u8>, as_pipe: bool) {
    // One frame of silence a bit is far beyond any codec; what exceeds it was invented by a header.
    let bound = 16_000 * 60 + bytes.len() * 8 * 64;
    let stream = if as_pipe {
        AudioStream::from_reader(Box::new(Cursor::new(bytes)), None)
    } else {
        AudioStream::from_bytes(bytes)
    };
    let Ok(mut stream) = stream else { return };
    let mut samples = 0;
    while let Ok(Some(block)) = stream.next_block() {
        assert!(block.iter().all(|s| s.is_finite()));
        samples += block.len();
        assert!(samples <= bound, "{samples} samples");
    }
    assert_eq!(stream.stats().samples, samples as u64);
}

#[test]
fn every_truncation_of_a_header() {
    for name in FIXTURES {
        let whole = bytes(name);
        for length in (0..whole.len().min(400)).step_by(3) {
            drain(whole[..length].to_vec(), false);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..5000), as_pipe: bool) {
        drain(bytes, as_pipe);
    }

    /// Random bytes behind a valid mark, so that every reader sees some.
    #[test]
    fn random_bytes_behind_a_mark(
        mark in prop::sample::select(FIXTURES.to_vec()),
        kept in 4usize..64,
        rest in prop::collection::vec(any::<u8>(), 0..3000),
        as_pipe: bool,
    ) {
        drain([&bytes(mark)[..kept], &rest].concat(), as_pipe);
    }

    #[test]
    fn damaged_files(
        name in prop::sample::select(FIXTURES.to_vec()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..12),
        length in any::<prop::sample::Index>(),
        cut: bool,
        as_pipe: bool,
    ) {
        let mut bytes = bytes(name);
        let size = bytes.len();
        for (at, value, in_header) in edits {
            // Half of the damage hits the first 300 bytes, where the numbers are.
            let at = if in_header { at.index(size.min(300)) } else { at.index(size) };
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(length.index(size));
        }
        drain(bytes, as_pipe);
    }
}
