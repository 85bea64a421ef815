//! Sequences that leave their engine and come back, and files that are none.

use crate::fixtures::{Dice, Told, alone, cases, engine, file, load, prompt, request, stored_as};
use mynah_device::Policy;
use mynah_runtime::{Choose, Engine, EngineError, EngineOptions, Finish, Greedy, SavedSequence};
use mynah_tensor::DType;
use proptest::prelude::*;

const OPTIONS: EngineOptions =
    EngineOptions { sequences: 4, chunk: 32, context: None, cache: None, checkpoints: 0, drafts: 0 };

fn chooser(seed: Option<u64>) -> Box<dyn Choose> {
    match seed {
        Some(seed) => Box::new(Dice(seed)),
        None => Box::new(Greedy),
    }
}

/// A sequence of 50 prompt tokens, saved after some steps.
fn saved(case: &str, steps: usize) -> SavedSequence {
    let mut engine = engine(case, OPTIONS);
    let id = engine.submit(request(prompt(1, 50), 25, Some(5))).unwrap();
    (0..steps).for_each(|_| drop(engine.step()));
    engine.save(id).unwrap()
}

#[test]
fn a_saved_sequence_goes_on_in_another_process_as_if_nothing_had_been() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    for case in &cases() {
        for seed in [None, Some(5)] {
            let wanted = alone(&mut engine(case, OPTIONS), request(prompt(1, 50), 25, seed));
            // Before it runs, in its prompt, at its first token, later.
            for steps in [0, 1, 2, 3, 20] {
                let mut first = engine(case, OPTIONS);
                let id = first.submit(request(prompt(1, 50), 25, seed)).unwrap();
                let mut told = Told::default();
                (0..steps).for_each(|_| told.hear(first.step()));
                first.save(id).unwrap().write(&path).unwrap();
                let said = told.tokens.remove(&id).unwrap_or_default();
                drop(first);

                let saved = SavedSequence::read(&path).unwrap();
                assert_eq!((saved.prompt(), &saved.tokens()[50..]), (50, said.as_slice()));
                let mut second = engine(case, OPTIONS);
                // Beside others, and not in the first row and page.
                let other = second.submit(request(prompt(2, 40), 30, None)).unwrap();
                second.step();
                let id = second.restore(saved, chooser(seed)).unwrap();
                told.drain(&mut second);
                assert_eq!([said, told.tokens[&id].clone()].concat(), wanted, "{case} after {steps}");
                assert!(matches!(told.finished[&id], Finish::Length) && told.finished.contains_key(&other));
            }
        }
    }
    // Nothing but the file is left behind.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&plain), "others may read it as any other file");
    }
}

#[test]
fn states_come_back_instead_of_being_computed_again() {
    let saved = saved("dense", 9);
    let mut engine = engine("dense", OPTIONS);
    let id = engine.restore(saved.clone(), chooser(Some(5))).unwrap();
    let waiting = engine.save(id).unwrap();
    assert_eq!(waiting, saved);
    let mut told = Told::default();
    // From the prompt's beginning this takes two steps.
    told.hear(engine.step());
    assert_eq!(told.tokens[&id].len(), 1);
    let later = engine.save(id).unwrap();
    assert_eq!(later.tokens().len(), saved.tokens().len() + 1);
}

#[test]
fn a_sequence_of_another_model_is_refused() {
    let other = Engine::new(load(stored_as("dense", DType::Q8_0), Policy::default()), OPTIONS).unwrap();
    for mut engine in [engine("tied_odd", OPTIONS), engine("equal_heads", OPTIONS), other] {
        let error = engine.restore(saved("dense", 3), Box::new(Greedy)).unwrap_err();
        assert!(error.to_string().contains("another model"), "{error}");
    }
    // The same file with other policies is the same model.
    let mut exact = Engine::new(load(file("dense"), Policy::exact()), OPTIONS).unwrap();
    assert!(exact.restore(saved("dense", 3), Box::new(Greedy)).is_ok());
    let mut short = engine("dense", EngineOptions { context: Some(20), ..OPTIONS });
    let error = short.restore(saved("dense", 3), Box::new(Greedy)).unwrap_err();
    assert!(matches!(error, EngineError::Context { .. }), "{error}");
}

fn bytes(saved: &SavedSequence) -> Vec<u8> {
    let mut bytes = Vec::new();
    saved.write_to(&mut bytes).unwrap();
    bytes
}

/// The same with a checksum that is right.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let body = bytes.len() - 8;
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut mix = |word: u64| {
        hash = (hash ^ word).wrapping_mul(0x100_0000_01b3);
        hash ^= hash >> 32;
    };
    let (words, rest) = bytes[..body].as_chunks::<8>();
    words.iter().for_each(|word| mix(u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(u64::from_le_bytes(last));
    mix(rest.len() as u64);
    bytes[body..].copy_from_slice(&hash.to_le_bytes());
    bytes
}

#[test]
fn files_that_are_none_are_errors() {
    let good = bytes(&saved("dense", 4));
    assert_eq!(sealed(good.clone()), good);
    let error = |bytes: &[u8]| SavedSequence::from_bytes(bytes).unwrap_err().to_string();
    for length in [0, 1, 15, 87, 88, 95, 96, good.len() / 2, good.len() - 1] {
        error(&good[..length]);
    }
    error(&[good.as_slice(), &[0; 4]].concat());
    assert!(error(&[b"GGUF".as_slice(), &good[4..]].concat()).contains("no saved sequence"));
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 1;
    assert!(error(&damaged).contains("damaged"));
    let mut newer = good.clone();
    newer[8] = 3;
    assert!(error(&newer).contains("version 3"));
    let missing = SavedSequence::read(std::path::Path::new("no/such/file")).unwrap_err();
    assert!(matches!(missing, EngineError::Io(_)));
    // A file where a folder should be, and a name that is a folder.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    saved("dense", 1).write(&file).unwrap();
    for path in [file.join("inside"), folder.path().to_owned()] {
        assert!(matches!(saved("dense", 1).write(&path), Err(EngineError::Io(_))), "{}", path.display());
    }
}

#[test]
fn numbers_that_lie_are_errors() {
    let good = bytes(&saved("dense", 4));
    let mut engine = engine("dense", OPTIONS);
    for at in (16..88).step_by(8) {
        for lie in [0, 1, 7, 47, 1 << 20, 1 << 33, u64::MAX / 4, u64::MAX - 1, u64::MAX] {
            let mut bytes = good.clone();
            let old = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
            let restored = SavedSequence::from_bytes(&sealed(bytes))
                .and_then(|saved| engine.restore(saved, Box::new(Greedy)));
            // How many tokens are wanted is anybody's choice, and a shorter prompt makes more of them said.
            let harmless = old == lie || at == 32 || (at == 24 && (1..54).contains(&lie));
            assert_eq!(restored.is_ok(), harmless, "{lie} at {at}: {restored:?}");
        }
    }
    let mut foreign = good.clone();
    foreign[88..92].copy_from_slice(&u32::MAX.to_le_bytes());
    let saved = SavedSequence::from_bytes(&sealed(foreign)).unwrap();
    assert!(matches!(engine.restore(saved, Box::new(Greedy)), Err(EngineError::Token { .. })));
    let mut told = Told::default();
    told.drain(&mut engine);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), header in any::<bool>()) {
        let mut bytes = bytes;
        if header && bytes.len() >= 24 {
            bytes[..16].copy_from_slice(b"MYNAHSEQ\x02\0\0\0\x09\0\0\0");
            bytes = sealed(bytes);
        }
        if let Ok(saved) = SavedSequence::from_bytes(&bytes) {
            let mut again = Vec::new();
            saved.write_to(&mut again).unwrap();
            prop_assert_eq!(again, bytes);
        }
    }
}
