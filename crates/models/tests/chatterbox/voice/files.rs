//! Voices as folders, files, and parts of models.

use crate::fixtures::{add, file_of, files, hashed, plain, root};
use mynah_gguf::{GgufFile, GgufWriter};
use mynah_models::chatterbox::voice::{
    Npy, NpyData, PROMPT_MELS, Voice, VoiceError, VoiceParts, VoiceSource,
};
use mynah_tensor::{DType, Rng};
use std::path::PathBuf;

/// A folder of the test's own, gone when it ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mynah-voice-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn reason(result: Result<Voice, VoiceError>) -> String {
    result.unwrap_err().to_string()
}

/// NumPy wrote this one.
#[test]
fn the_originals_folder_is_read() {
    let voice = Voice::load(root().join("multilingual")).unwrap();
    assert_eq!((voice.name(), voice.source()), ("multilingual", VoiceSource::Files));
    assert_eq!((voice.speaker_embedding().len(), voice.embedding().len()), (256, 192));
    assert_eq!(voice.t3_prompt_tokens().len(), 150);
    let feat = Npy::parse("x", &std::fs::read(root().join("multilingual/prompt_feat.npy")).unwrap()).unwrap();
    assert_eq!(feat.shape, [411, PROMPT_MELS], "the original leaves a frame without a token");
    assert_eq!((voice.prompt_tokens().len(), voice.prompt_frames()), (205, 410));
    let NpyData::F32(values) = feat.data else { panic!("floats") };
    assert!(voice.prompt_feat() == &values[..410 * PROMPT_MELS]);
    let norm: f32 = voice.speaker_embedding().iter().map(|x| x * x).sum();
    assert!((norm - 1.0).abs() < 1e-5);
}

#[test]
fn what_a_folder_lacks_comes_from_the_model() {
    let path = root().join("turbo");
    assert!(reason(Voice::load(&path)).contains("no prompt_feat"));
    let parts = VoiceParts::load(&path).unwrap();
    assert_eq!(parts.missing(), ["prompt_feat"]);
    let [t3, s3gen] = files(["voice_encoder_small", "s3tokenizer", "campplus_small"], plain);
    let own = Voice::built_in(&t3, &s3gen).unwrap();
    let voice = parts.or(VoiceParts::built_in(&t3, &s3gen).unwrap()).complete().unwrap();
    assert_eq!(voice.source(), VoiceSource::Mixed);
    assert_eq!(voice.t3_prompt_tokens().len(), 206);
    assert!(voice.speaker_embedding() != own.speaker_embedding() && voice.embedding() != own.embedding());
    // A prompt is tokens and mel frames of one recording.
    assert!(voice.prompt_tokens() == own.prompt_tokens() && voice.prompt_feat() == own.prompt_feat());
}

#[test]
fn the_built_in_voice_is_read() {
    let [t3, s3gen] = files(["voice_encoder_small", "s3tokenizer", "campplus_small"], plain);
    let voice = Voice::built_in(&t3, &s3gen).unwrap();
    assert_eq!((voice.name(), voice.source()), ("default", VoiceSource::BuiltIn));
    assert!(voice.speaker_embedding() == hashed("speaker", 256, 0.1, 0.0));
    assert_eq!(voice.t3_prompt_tokens()[..4], [0, 43, 86, 129]);
    assert_eq!((voice.prompt_tokens().len(), voice.prompt_frames()), (50, 100));
    let nothing = file_of("chatterbox", &[], plain, |_| ());
    assert!(
        reason(Voice::built_in(&nothing, &nothing)).contains("no speaker_emb, cond_prompt_speech_tokens")
    );
}

#[test]
fn folders_and_files_are_read_as_they_were_written() {
    let folder = Folder::new("round-trip");
    let voice = Voice::load(root().join("multilingual")).unwrap().named("Anna");
    voice.write_folder(&folder.0.join("anna")).unwrap();
    let read = Voice::load(folder.0.join("anna")).unwrap();
    assert_eq!(read, voice.clone().named("anna"), "a folder's name is the voice's");
    let names: Vec<_> =
        std::fs::read_dir(folder.0.join("anna")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 5, "nothing is left beside the five files: {names:?}");
    let path = folder.0.join("anna.gguf");
    voice.save(&path).unwrap();
    assert_eq!(Voice::load(&path).unwrap(), voice);
    let [t3, s3gen] = files(["voice_encoder_small", "s3tokenizer", "campplus_small"], plain);
    let own = Voice::built_in(&t3, &s3gen).unwrap();
    own.save(&path).unwrap();
    assert_eq!(Voice::load(&path).unwrap(), own, "a file is replaced, and says where its voice is from");
}

#[test]
fn what_holds_no_voice_says_so() {
    let folder = Folder::new("no-voice");
    for (path, wanted) in [
        (folder.0.join("nothing.gguf"), "cannot read"),
        (folder.0.clone(), "none of speaker_emb.npy"),
        (root().join("manifest.json"), "holds no voice"),
        (root().join("features.ref.gguf"), "general.architecture"),
    ] {
        let found = reason(Voice::load(&path));
        assert!(found.contains(wanted), "{found:?} does not say {wanted:?}");
    }
}

#[test]
fn damaged_folders_are_errors_that_name_the_file() {
    let folder = Folder::new("damaged");
    let whole = root().join("multilingual");
    let names = ["speaker_emb", "cond_prompt_speech_tokens", "embedding", "prompt_token", "prompt_feat"];
    let restore = || {
        for name in names {
            let file = format!("{name}.npy");
            std::fs::copy(whole.join(&file), folder.0.join(&file)).unwrap();
        }
    };
    let floats = |shape: &[usize]| {
        let count = shape.iter().product();
        Npy { shape: shape.to_vec(), data: NpyData::F32(vec![0.5; count]) }.to_bytes()
    };
    let integers =
        |values: &[i32]| Npy { shape: vec![values.len()], data: NpyData::I32(values.to_vec()) }.to_bytes();
    let truncated = |name: &str| {
        let bytes = std::fs::read(whole.join(format!("{name}.npy"))).unwrap();
        bytes[..bytes.len() - 3].to_vec()
    };
    for (name, bytes, wanted) in [
        ("prompt_feat", truncated("prompt_feat"), "prompt_feat.npy"),
        ("embedding", b"\x93NUMPY".to_vec(), "embedding.npy"),
        ("speaker_emb", floats(&[2, 128]), "speaker_emb is no vector"),
        ("speaker_emb", integers(&[1; 256]), "speaker_emb is no vector"),
        ("prompt_feat", floats(&[400, 79]), "[frames, 80]"),
        ("prompt_feat", floats(&[300, 80]), "300 mel frames and 205 tokens"),
        ("prompt_token", floats(&[205]), "prompt_token is no list of tokens"),
        ("prompt_token", integers(&[6561; 205]), "6561"),
        ("cond_prompt_speech_tokens", integers(&[-1]), "-1"),
        ("cond_prompt_speech_tokens", integers(&[]), "is empty"),
    ] {
        restore();
        std::fs::write(folder.0.join(format!("{name}.npy")), bytes).unwrap();
        let found = reason(Voice::load(&folder.0));
        assert!(found.contains(wanted), "{found:?} does not say {wanted:?}");
    }
    restore();
    // A batch of one is the array itself.
    std::fs::write(folder.0.join("embedding.npy"), floats(&[1, 192])).unwrap();
    assert_eq!(Voice::load(&folder.0).unwrap().embedding(), [0.5; 192]);
}

#[test]
fn damaged_files_are_errors() {
    let folder = Folder::new("damaged-file");
    let path = folder.0.join("voice.gguf");
    Voice::load(root().join("multilingual")).unwrap().save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 3, 40, bytes.len() / 2, bytes.len() - 1000] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(matches!(Voice::load(&path), Err(VoiceError::NotAVoice { .. })), "{length} bytes");
    }
    type Change = fn(&mut GgufWriter<'static>);
    let changes: [(Change, &str); 4] = [
        (
            |w| {
                w.set("voice.version", 2u32);
            },
            "version 2",
        ),
        (|w| add(w, "voice/prompt_feat", DType::F32, &[40, 79], &[0.0; 40 * 79]), "79"),
        (|w| add(w, "voice/speaker_emb", DType::F32, &[2], &[f32::NAN, 0.0]), "NaN"),
        (|w| add(w, "voice/prompt_token", DType::F32, &[2], &[1.5, 0.0]), "1.5"),
    ];
    for (change, wanted) in changes {
        let file = file_of("chatterbox-voice", &[], plain, change);
        let found = VoiceParts::read_file(&file).unwrap_err().to_string();
        assert!(found.contains(wanted), "{found:?} does not say {wanted:?}");
    }
    let other = GgufFile::open(root().join("features.ref.gguf")).unwrap();
    assert_eq!(VoiceParts::read_file(&other).unwrap(), None);
}

/// Flipped, cut and repeated bytes of arrays and voice files are read or refused, and what is read is a voice.
#[test]
fn damage_anywhere_is_no_more_than_an_error() {
    let voice = Voice::load(root().join("multilingual")).unwrap();
    let small = VoiceParts {
        prompt_tokens: Some(voice.prompt_tokens()[..3].to_vec()),
        prompt_feat: Some(voice.prompt_feat()[..6 * PROMPT_MELS].to_vec()),
        ..VoiceParts::from(voice)
    };
    let voice = small.complete().unwrap();
    let file = voice.to_bytes().unwrap();
    let npy =
        Npy { shape: vec![6, PROMPT_MELS], data: NpyData::F32(voice.prompt_feat().to_vec()) }.to_bytes();
    let mut rng = Rng::new(7);
    let (mut read, mut refused) = (0, 0);
    for round in 0..20_000 {
        let whole = if round % 2 == 0 { &file } else { &npy };
        let mut bytes = whole.clone();
        // Most of the bytes are elements, which may be anything; tables and headers come first.
        let head = if round % 2 == 0 { 900 } else { 128 };
        for _ in 0..=rng.below(3) {
            let at = rng.below(head);
            bytes[at] = if rng.below(2) == 0 { rng.next_u64() as u8 } else { bytes[at].wrapping_add(1) };
        }
        if rng.below(8) == 0 {
            bytes.truncate(rng.below(bytes.len()));
        }
        let parts = if round % 2 == 0 {
            GgufFile::from_bytes(bytes)
                .map_err(VoiceError::from)
                .and_then(|file| VoiceParts::read_file(&file))
        } else {
            let mut parts = VoiceParts::default();
            parts.read_npy("prompt_feat", &bytes).map(|()| Some(parts))
        };
        match parts.map(|parts| parts.map(|p| p.or(VoiceParts::from(voice.clone())).complete())) {
            Ok(Some(Ok(found))) => {
                assert_eq!(found.prompt_frames(), 2 * found.prompt_tokens().len());
                read += 1;
            }
            _ => refused += 1,
        }
    }
    println!("{read} read, {refused} refused");
    assert!(read > 100 && refused > 1000);
}
