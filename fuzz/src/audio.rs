//! Audio containers and codecs: decode to the end from memory and from a pipe, cut into pieces, compute features.

use std::cell::Cell;
use std::io::Cursor;

use mynah_audio::{
    AudioError, AudioStream, MelConfig, MelExtractor, PieceConfig, PieceReader, speech_activity,
};

use crate::{Target, kind_of};

/// The target.
pub const TARGET: Target = Target { name: "audio", run, seeds, dictionary: DICTIONARY };

/// Samples after which a stream is left alone: a long one is no fault.
const ENOUGH: usize = 16_000 * 120;

/// Decodes the bytes as a file and as a pipe, which must agree, and analyses what comes out.
///
/// # Panics
/// When samples are not numbers, when the two ways differ, when pieces do not tile the audio.
pub fn run(bytes: &[u8]) -> u64 {
    let file = decode(AudioStream::from_bytes(bytes.to_vec()));
    let pipe = decode(AudioStream::from_reader(Box::new(Cursor::new(bytes.to_vec())), None));
    match (file, pipe) {
        (Ok((samples, kind)), Ok((piped, _))) => {
            // A pipe cannot tell that a header claims too much, nor seek past damage; what both give must be equal.
            let common = samples.len().min(piped.len());
            assert!(samples[..common] == piped[..common], "a pipe gives other samples than a file");
            analyse(&samples);
            kind + samples.len().ilog2() as u64
        }
        (Ok((_, kind)), Err(_)) | (Err(_), Ok((_, kind))) => kind + 99,
        (Err(error), Err(_)) => kind_of(&error.to_string()),
    }
}

/// The samples, and a number for the kind of stream.
fn decode(stream: Result<AudioStream, AudioError>) -> Result<(Vec<f32>, u64), AudioError> {
    let mut stream = stream?;
    let mut samples = vec![0.0];
    while samples.len() < ENOUGH
        && let Some(block) = stream.next_block()?
    {
        assert!(block.iter().all(|s| s.is_finite()), "a sample is not a number");
        samples.extend_from_slice(&block);
    }
    let (info, stats) = (stream.source_info(), stream.stats());
    let kind = format!("{} {} {} {}", info.container, info.codec, info.channels, stats.truncated);
    Ok((samples, kind_of(&kind) + u64::from(stats.bad_packets.min(3)) + u64::from(stats.non_finite > 0) * 7))
}

fn analyse(samples: &[f32]) {
    let end = Cell::new(0.0);
    let config = PieceConfig { max_seconds: Some(4.0), search_seconds: 1.0, ..PieceConfig::default() };
    let blocks = samples.chunks(5000).map(|block| Ok(block.to_vec()));
    for piece in PieceReader::new(blocks, config).map_while(Result::ok) {
        assert_eq!(piece.keep_from, end.get(), "pieces do not tile");
        end.set(piece.keep_to);
    }
    assert_eq!(end.get(), samples.len() as f64 / 16_000.0, "pieces do not reach the end");
    assert!(speech_activity(samples).iter().all(|(from, to)| from < to));
    if let Ok(extractor) = MelExtractor::new(MelConfig::parakeet(80)) {
        let features = extractor.extract(&samples[..samples.len().min(16_000)]);
        assert!(features.data.iter().all(|x| x.is_finite()), "a feature is not a number");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    macro_rules! fixtures {
        ($($name:literal)*) => { vec![$(include_bytes!(concat!("../../fixtures/audio/", $name)).to_vec()),*] };
    }
    fixtures![
        "adpcm_ima.wav" "adpcm_ms.wav" "alac16.m4a" "alaw.wav" "f32.aifc" "f32.wav" "faststart48.m4a" "mono16.flac"
        "mono16.mp2" "mono16.ogg.flac" "mono22.aac" "mono44.mp3" "opus48.ogg" "opus48.webm" "s16.aiff" "s16.caf"
        "s16.rf64.wav" "s24.wav" "stereo44.mp3" "stereo48.m4a" "stereo48.ogg" "truncated.mp3" "u8.wav" "vorbis48.webm"
    ]
    .into_iter()
    // A beginning is enough to reach every part of a reader, and faster.
    .flat_map(|bytes: Vec<u8>| [bytes[..bytes.len().min(3000)].to_vec(), bytes])
    .collect()
}

const DICTIONARY: &[&[u8]] = &[
    b"RIFF",
    b"RF64",
    b"WAVE",
    b"fmt ",
    b"data",
    b"ds64",
    b"LIST",
    b"fact",
    b"FORM",
    b"AIFF",
    b"AIFC",
    b"COMM",
    b"SSND",
    b"caff",
    b"desc",
    b"pakt",
    b"kuki",
    b"fLaC",
    b"OggS",
    b"OpusHead",
    b"\x01vorbis",
    b"\x7fFLAC",
    b"ID3\x04",
    b"\xff\xfb",
    b"\xff\xf1",
    b"ftyp",
    b"moov",
    b"trak",
    b"mdia",
    b"minf",
    b"stbl",
    b"stsd",
    b"stts",
    b"stsc",
    b"stsz",
    b"stco",
    b"elst",
    b"mdat",
    b"moof",
    b"trun",
    b"esds",
    b"mp4a",
    b"alac",
    b"\x1a\x45\xdf\xa3",
    b"\x18\x53\x80\x67",
    b"\x16\x54\xae\x6b",
    b"\x1f\x43\xb6\x75",
    b"\xff\xff\xff\xff",
    b"\xfe\xff",
    b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71",
];
