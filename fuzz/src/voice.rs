//! Voices from strangers: `.npy` arrays and voice files.
//!
//! The first byte says what the rest is: a voice file, or one of the five arrays of a folder.

use mynah_gguf::GgufFile;
use mynah_models::chatterbox::voice::{Npy, NpyData, VoiceError, VoiceParts};

use crate::{Target, kind_of};

/// The target.
pub const TARGET: Target = Target { name: "voice", run, seeds, dictionary: DICTIONARY };

const ARRAYS: [&str; 5] =
    ["speaker_emb", "cond_prompt_speech_tokens", "embedding", "prompt_token", "prompt_feat"];
const FILE: u8 = ARRAYS.len() as u8;

/// Reads the bytes as what their first one says, and completes what is there with a voice that is whole.
///
/// # Panics
/// When a reader does, or lets through what a voice can't be.
pub fn run(bytes: &[u8]) -> u64 {
    let Some((&kind, body)) = bytes.split_first() else { return 0 };
    match examine(kind % (FILE + 1), body) {
        Ok(answer) => answer,
        Err(error) => kind_of(&error.to_string()) ^ u64::from(kind),
    }
}

fn examine(kind: u8, body: &[u8]) -> Result<u64, VoiceError> {
    let parts = match ARRAYS.get(usize::from(kind)) {
        Some(name) => {
            let npy = Npy::parse("fuzz.npy", body)?;
            let elements = match &npy.data {
                NpyData::F32(values) => values.len(),
                NpyData::I32(values) => values.len(),
            };
            assert_eq!(npy.shape.iter().product::<usize>(), elements);
            // By their debug form, because NaN is not equal to itself.
            let again = Npy::parse("fuzz.npy", &npy.to_bytes())?;
            assert_eq!(format!("{again:?}"), format!("{npy:?}"));
            let mut parts = VoiceParts::default();
            parts.read_npy(name, body)?;
            parts
        }
        None => match VoiceParts::read_file(&GgufFile::from_bytes(body.to_vec())?)? {
            Some(parts) => parts,
            None => return Ok(1),
        },
    };
    let missing = parts.missing().len() as u64;
    let voice = parts.or(whole()).complete()?;
    assert_eq!(voice.prompt_frames(), 2 * voice.prompt_tokens().len());
    assert!(
        voice
            .speaker_embedding()
            .iter()
            .chain(voice.embedding())
            .chain(voice.prompt_feat())
            .all(|x| x.is_finite())
    );
    let mut tokens = voice.prompt_tokens().iter().chain(voice.t3_prompt_tokens());
    assert!(tokens.all(|t| (0..6561).contains(t)));
    Ok(2 + missing)
}

/// A small voice that has everything.
fn whole() -> VoiceParts {
    VoiceParts {
        speaker_embedding: Some(vec![0.5; 4]),
        t3_prompt_tokens: Some(vec![1, 2, 3]),
        embedding: Some(vec![0.25; 3]),
        prompt_tokens: Some(vec![4, 5]),
        prompt_feat: Some(vec![-1.0; 4 * 80]),
        ..VoiceParts::default()
    }
}

/// Arrays as NumPy writes them, some of other types, and a voice file.
fn seeds() -> Vec<Vec<u8>> {
    let floats = |shape: &[usize]| {
        let data = NpyData::F32(vec![0.5; shape.iter().product()]);
        Npy { shape: shape.to_vec(), data }.to_bytes()
    };
    let tokens = Npy { shape: vec![1, 5], data: NpyData::I32(vec![0, 1, 6560, 7, 9]) }.to_bytes();
    let arrays = [floats(&[8]), tokens.clone(), floats(&[1, 6]), tokens, floats(&[10, 80])];
    let mut seeds: Vec<Vec<u8>> =
        arrays.iter().enumerate().map(|(kind, npy)| [&[kind as u8], npy.as_slice()].concat()).collect();
    let columns = b"{'descr': '<f8', 'fortran_order': True, 'shape': (2, 80), }";
    let mut second = b"\x04\x93NUMPY\x02\x00".to_vec();
    second.extend((columns.len() as u32).to_le_bytes());
    second.extend(columns);
    second.extend(vec![0; 2 * 80 * 8]);
    seeds.push(second);
    if let Ok(bytes) = whole().complete().and_then(|voice| voice.to_bytes()) {
        seeds.push([&[FILE], bytes.as_slice()].concat());
    }
    seeds
}

const DICTIONARY: &[&[u8]] = &[
    b"\x93NUMPY\x01\x00",
    b"\x93NUMPY\x02\x00",
    b"'descr': '<f4'",
    b"'<f2'",
    b"'<f8'",
    b"'<i8'",
    b"'|u1'",
    b"'fortran_order': True",
    b"'fortran_order': False",
    b"'shape': (1, 2, 80)",
    b"'shape': ()",
    b"chatterbox-voice",
    b"voice/prompt_feat",
    b"voice/prompt_token",
    b"voice.version",
    b"voice.source",
];
