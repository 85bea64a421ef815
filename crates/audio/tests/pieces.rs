//! Cutting long audio: coverage, tiling, bounds, and where the cuts fall.
#![allow(clippy::unwrap_used)]

use mynah_audio::{AudioError, Cut, Piece, PieceConfig, PieceReader, speech_activity};
use proptest::prelude::*;

const RATE: f64 = 16_000.0;

/// Reproducible noise in [-1, 1).
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / 8_388_608.0 - 1.0
    }
}

/// Alternates speech-like sound and pauses of the given lengths (seconds), over background noise.
fn talk(parts: &[(f64, f64)], background: f32) -> Vec<f32> {
    let mut noise = Noise(1);
    let mut samples = Vec::new();
    for &(speech, pause) in parts {
        for n in 0..(speech * RATE) as usize {
            let t = n as f32 / RATE as f32;
            // Syllables at 4 Hz that never fall silent for long.
            let syllable = 0.25 + 0.75 * (t * 4.0 * std::f32::consts::TAU).sin().abs();
            samples
                .push((t * 180.0 * std::f32::consts::TAU).sin() * 0.3 * syllable + noise.next() * background);
        }
        samples.extend((0..(pause * RATE) as usize).map(|_| noise.next() * background));
    }
    samples
}

fn blocks(samples: &[f32], size: usize) -> impl Iterator<Item = Result<Vec<f32>, AudioError>> {
    samples.chunks(size).map(|c| Ok(c.to_vec()))
}

fn cut(samples: &[f32], config: PieceConfig) -> Vec<Piece> {
    PieceReader::new(blocks(samples, 16_000), config).map(Result::unwrap).collect()
}

/// What must hold of any pieces of any audio.
fn check(samples: &[f32], pieces: &[Piece], config: PieceConfig) {
    let end = samples.len() as f64 / RATE;
    assert_eq!(pieces[0].start_sample, 0);
    assert_eq!((pieces[0].keep_from, pieces.last().unwrap().keep_to), (0.0, end));
    let mut covered = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let start = piece.start_sample as usize;
        assert!(
            piece.samples == samples[start..start + piece.samples.len()],
            "piece {index} is a part of the signal"
        );
        assert!(start <= covered, "piece {index} leaves a gap");
        covered = start + piece.samples.len();
        assert!(piece.start_seconds() <= piece.keep_from && piece.keep_to <= covered as f64 / RATE);
        assert_eq!(piece.is_last, index + 1 == pieces.len());
        assert_eq!(piece.is_last, piece.cut == Cut::End);
        if let Some(max) = config.max_seconds {
            assert!(piece.seconds() <= max.max(4.0), "piece {index} of {} s", piece.seconds());
        }
        if let Some(next) = pieces.get(index + 1) {
            assert_eq!(next.keep_from, piece.keep_to, "piece {index} tiles");
            assert!(next.keep_from < next.keep_to);
        }
    }
    assert_eq!(covered, samples.len());
    for step in 0..200 {
        let time = end * f64::from(step) / 190.0;
        assert_eq!(pieces.iter().filter(|p| p.keeps(time)).count(), 1, "time {time} of {end}");
    }
}

#[test]
fn short_audio_stays_whole() {
    let samples = talk(&[(5.0, 1.0); 10], 1e-3);
    assert_eq!(samples.len(), 960_000);
    let pieces = cut(&samples, PieceConfig::default());
    assert_eq!(pieces.len(), 1, "exactly the maximum is one piece");
    check(&samples, &pieces, PieceConfig::default());
    for max_seconds in [None, Some(0.0), Some(f64::NAN), Some(-1.0)] {
        let config = PieceConfig { max_seconds, ..PieceConfig::default() };
        assert_eq!(cut(&talk(&[(5.0, 1.0); 20], 1e-3), config).len(), 1);
    }
}

#[test]
fn no_audio_is_one_empty_piece() {
    let pieces = cut(&[], PieceConfig::default());
    assert_eq!(pieces.len(), 1);
    assert!(pieces[0].samples.is_empty() && pieces[0].is_last);
    assert!(pieces[0].keeps(0.0));
}

#[test]
fn cuts_fall_in_pauses_and_context_is_pause() {
    for background in [0.0, 1e-4, 3e-3, 2e-2] {
        // Speech of 7 s, pauses of 0.6 s; the places of speech are known.
        let samples = talk(&[(7.0, 0.6); 40], background);
        let pieces = cut(&samples, PieceConfig::default());
        check(&samples, &pieces, PieceConfig::default());
        assert!(pieces.len() >= 5);
        let phase = |time: f64| time % 7.6;
        for pair in pieces.windows(2) {
            assert_eq!(pair[0].cut, Cut::Pause);
            let at = pair[0].keep_to;
            assert!((phase(at) - 7.3).abs() < 0.06, "cut at {at}, noise {background}");
            let piece_end = pair[0].start_seconds() + pair[0].seconds();
            assert!(piece_end - at > 0.2 && phase(piece_end) > 7.0, "context of {}", piece_end - at);
            let next_start = pair[1].start_seconds();
            assert!(at - next_start > 0.2 && phase(next_start) > 6.97, "context of {}", at - next_start);
        }
    }
}

#[test]
fn the_longest_pause_wins() {
    let samples = talk(&[(50.0, 0.3), (3.0, 0.8), (3.0, 0.3), (60.0, 0.0)], 1e-3);
    let pieces = cut(&samples, PieceConfig::default());
    check(&samples, &pieces, PieceConfig::default());
    assert!((pieces[0].keep_to - 53.7).abs() < 0.05, "{}", pieces[0].keep_to);
}

#[test]
fn without_a_pause_both_sides_hear_the_cut() {
    let mut samples = talk(&[(150.0, 0.0)], 1e-3);
    // The quietest spot, far too short to be a pause.
    samples[51 * 16_000..51 * 16_000 + 1600].iter_mut().for_each(|x| *x *= 0.02);
    let config = PieceConfig::default();
    let pieces = cut(&samples, config);
    check(&samples, &pieces, config);
    assert_eq!(pieces[0].cut, Cut::Overlap);
    assert!((pieces[0].keep_to - 51.05).abs() < 0.06, "{}", pieces[0].keep_to);
    let shared = pieces[0].start_seconds() + pieces[0].seconds() - pieces[1].start_seconds();
    assert!((shared - 4.0).abs() < 1e-6, "{shared}");
}

#[test]
fn the_last_piece_is_not_a_crumb() {
    for extra in [0.2, 1.0, 5.0, 14.0] {
        let samples = talk(&[(4.0, 0.5); 13], 1e-3);
        let wanted = ((60.0 + extra) * RATE) as usize;
        let samples: Vec<f32> = samples.iter().copied().cycle().take(wanted).collect();
        let pieces = cut(&samples, PieceConfig::default());
        check(&samples, &pieces, PieceConfig::default());
        assert!(pieces.last().unwrap().seconds() > 15.0, "{extra}: {}", pieces.last().unwrap().seconds());
    }
}

#[test]
fn memory_is_bounded() {
    /// Two hours of sound that is made as it is read.
    struct Hours {
        noise: Noise,
        left: usize,
    }
    impl Iterator for Hours {
        type Item = Result<Vec<f32>, AudioError>;
        fn next(&mut self) -> Option<Self::Item> {
            self.left = self.left.checked_sub(1)?;
            let quiet = self.left.is_multiple_of(11);
            Some(Ok((0..16_000).map(|_| self.noise.next() * if quiet { 1e-3 } else { 0.3 }).collect()))
        }
    }
    let mut reader = PieceReader::new(Hours { noise: Noise(3), left: 1800 }, PieceConfig::default());
    let (mut read, mut end) = (0, 0.0);
    while let Some(piece) = reader.next_piece().unwrap() {
        read += piece.samples.len();
        assert!(piece.seconds() <= 60.0);
        // What the reader holds beyond the piece it gave out.
        let ahead = (1800 - reader.stream().left) as f64 - piece.keep_to;
        assert!(ahead <= 60.0 + 15.0 + 2.0, "{ahead} s read ahead");
        end = piece.keep_to;
    }
    assert_eq!(end, 1800.0);
    assert!(read >= 1800 * 16_000);
}

#[test]
fn errors_end_the_pieces() {
    let stream = [Ok(vec![0.0; 16_000]), Err(AudioError::NoAudioTrack { name: "x".into() }), Ok(vec![0.0])];
    let mut reader = PieceReader::new(stream.into_iter(), PieceConfig::default());
    assert!(reader.next_piece().is_err());
    assert!(reader.next_piece().unwrap().is_none());
}

#[test]
fn speech_is_found_where_it_is() {
    for background in [0.0, 1e-3, 1e-2] {
        let samples = talk(&[(2.0, 1.0), (3.0, 0.5), (1.0, 4.0)], background);
        let spans = speech_activity(&samples);
        let expected = [(0.0, 2.0), (3.0, 6.0), (6.5, 7.5)];
        assert_eq!(spans.len(), 3, "{spans:?}");
        for (span, expected) in spans.iter().zip(expected) {
            assert!((span.0 - expected.0).abs() < 0.06 && (span.1 - expected.1).abs() < 0.06, "{spans:?}");
        }
    }
}

#[test]
fn speech_after_a_loud_part_is_still_found() {
    // A whisper 26 dB below the first speaker, minutes later: thresholds are local.
    let mut samples = talk(&[(40.0, 1.0)], 1e-4);
    let quiet = talk(&[(3.0, 1.0); 15], 1e-4);
    samples.extend(quiet.iter().map(|x| x * 0.05));
    let spans = speech_activity(&samples);
    assert_eq!(spans.len(), 16, "{spans:?}");
}

#[test]
fn silence_and_clicks_are_not_speech() {
    assert!(speech_activity(&[]).is_empty());
    assert!(speech_activity(&vec![0.0; 80_000]).is_empty());
    let mut noise = Noise(5);
    let hiss: Vec<f32> = (0..80_000).map(|_| noise.next() * 1e-3).collect();
    assert!(speech_activity(&hiss).is_empty());
    let mut click = hiss.clone();
    click[40_000..40_020].fill(0.9);
    assert!(speech_activity(&click).is_empty(), "{:?}", speech_activity(&click));
    // Loud and steady: better decoded than dropped.
    let loud: Vec<f32> = (0..80_000).map(|_| noise.next() * 0.3).collect();
    assert_eq!(speech_activity(&loud), [(0.0, 5.0)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_cover_and_tile(
        parts in prop::collection::vec((0.0f64..9.0, 0.0f64..1.5), 0..12),
        background in prop::sample::select(vec![0.0f32, 1e-4, 1e-2, 0.3]),
        max in prop::sample::select(vec![1.0f64, 4.0, 7.3, 20.0, 60.0]),
        search in 0.0f64..30.0,
        overlap in 0.0f64..10.0,
        margin in 0.0f64..3.0,
        size in 1usize..50_000,
    ) {
        let samples = talk(&parts, background);
        let config = PieceConfig {
            max_seconds: Some(max),
            search_seconds: search,
            overlap_seconds: overlap,
            margin_seconds: margin,
        };
        let pieces: Vec<Piece> = PieceReader::new(blocks(&samples, size), config).map(Result::unwrap).collect();
        check(&samples, &pieces, config);
    }

    #[test]
    fn odd_settings_and_samples_do_not_fail(
        seconds in prop::collection::vec(prop::num::f64::ANY, 4),
        samples in prop::collection::vec(prop::num::f32::ANY, 0..30_000),
    ) {
        let config = PieceConfig {
            max_seconds: Some(seconds[0]),
            search_seconds: seconds[1],
            overlap_seconds: seconds[2],
            margin_seconds: seconds[3],
        };
        let repeated = samples.repeat(6);
        let end = PieceReader::new(blocks(&repeated, 4000), config).map(Result::unwrap).last().unwrap().keep_to;
        prop_assert_eq!(end, repeated.len() as f64 / RATE);
        for (from, to) in speech_activity(&repeated) {
            prop_assert!(from < to && to <= end);
        }
    }
}
