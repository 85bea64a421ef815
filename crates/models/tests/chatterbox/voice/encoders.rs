//! Each encoder against chatterbox-tts' own class with the same weights.

use crate::fixtures::{Reference, clip, cosine, maker, maker_of, plain, relative};
use mynah_audio::trim_silence;
use mynah_device::Policy;
use mynah_tensor::DType;

/// Names of the lists that make a pair of files: voice encoder, tokenizer, CAMPPlus.
const FULL: [&str; 3] = ["voice_encoder", "s3tokenizer", "campplus"];
const SMALL: [&str; 3] = ["voice_encoder_small", "s3tokenizer", "campplus_small"];

#[test]
fn every_window_is_what_the_voice_encoder_says() {
    let references = Reference::open("voice_encoder");
    let cases = [
        ("full", FULL, clip("the-town")),
        ("small", SMALL, clip("so-kind")),
        ("short", FULL, clip("price")[20_000..32_000].to_vec()),
    ];
    for (name, lists, recording) in cases {
        let mut maker = maker(lists);
        let trimmed = &recording[trim_silence(&recording, 20.0)];
        let windows = maker.speaker_windows(trimmed).unwrap();
        let wanted = references.floats(&format!("{name}.partials"));
        println!("{name}: {} windows, {:e}", windows.len(), relative(&windows.concat(), &wanted));
        assert!(relative(&windows.concat(), &wanted) <= 1e-4, "{name}");
        let found = maker.speaker_embedding(&recording).unwrap();
        let wanted = references.floats(&format!("{name}.embedding"));
        println!("{name}: {:e}, 1 - cosine {:e}", relative(&found, &wanted), 1.0 - cosine(&found, &wanted));
        assert!(relative(&found, &wanted) <= 1e-4 && cosine(&found, &wanted) > 1.0 - 1e-8, "{name}");
    }
}

/// The weights let windows differ, or the test above would not see which window is which.
#[test]
fn windows_differ() {
    let wanted = Reference::open("voice_encoder").floats("full.partials");
    let windows: Vec<&[f32]> = wanted.chunks_exact(256).collect();
    for pair in windows.windows(2) {
        assert!(cosine(pair[0], pair[1]) < 0.999);
    }
}

#[test]
fn campplus_says_what_the_original_says() {
    let references = Reference::open("campplus");
    let town = clip("the-town");
    for (name, lists, lengths) in
        [("campplus", FULL, &[40_033][..]), ("campplus_small", SMALL, &[7000, 16_000, 64_000])]
    {
        let mut maker = maker(lists);
        for &samples in lengths {
            let found = maker.embedding(&town[9000..9000 + samples]).unwrap();
            let wanted = references.floats(&format!("{name}.{samples}"));
            println!("{name}, {samples} samples: {:e}", relative(&found, &wanted));
            assert!(relative(&found, &wanted) <= 1e-5, "{name}, {samples} samples");
        }
    }
}

/// Tokens that are near a tie may go to its other side, on this side of which a rounding error lies.
#[test]
fn tokens_are_those_of_the_original() {
    let references = Reference::open("s3tokenizer");
    let mut maker = maker(SMALL);
    let clips = [
        ("short", clip("mr-allen")[..48_000].to_vec(), None),
        ("odd", clip("so-kind")[..50_123].to_vec(), None),
        ("cut", clip("the-town"), Some(150)),
        ("long", clip("minute"), None),
    ];
    for (name, samples, most) in clips {
        let found = maker.tokens(&samples, most).unwrap();
        let wanted = references.integers(&format!("{name}.tokens"));
        let margins = references.floats(&format!("{name}.margins"));
        assert_eq!((found.len(), margins.len()), (wanted.len(), wanted.len()), "{name}");
        let differ: Vec<f32> =
            found.iter().zip(&wanted).zip(&margins).filter(|((f, w), _)| f != w).map(|(_, &m)| m).collect();
        println!("{name}: {} tokens, margins of those that differ {differ:?}", found.len());
        assert!(differ.iter().all(|&m| m < 2e-4), "{name}: {differ:?}");
        assert!(differ.len() * 100 <= found.len(), "{name}");
    }
}

#[test]
fn thread_counts_change_no_bit() {
    let town = &clip("the-town")[9000..41_000];
    let of = |threads: usize| {
        let mut maker = maker_of(SMALL, plain, Policy::default(), threads);
        let (windows, embedding) = (maker.speaker_windows(town).unwrap(), maker.embedding(town).unwrap());
        (windows, embedding, maker.tokens(town, None).unwrap())
    };
    let alone = of(1);
    assert!(of(2) == alone && of(3) == alone);
}

/// Whatever a tool has stored a tensor as, it loads; the answers stay near.
#[test]
fn tensors_of_any_type_load() {
    let town = &clip("the-town")[9000..41_000];
    let mut plain = maker(FULL);
    let (windows, embedding) =
        (plain.speaker_windows(town).unwrap().concat(), plain.embedding(town).unwrap());
    let tokens = plain.tokens(town, None).unwrap();
    for dtype in [DType::F16, DType::BF16, DType::Q8_0] {
        // Blocks need rows that divide into them.
        let kind = move |_: &str, dims: &[usize]| {
            let divides = dims.last().is_some_and(|n| n.is_multiple_of(dtype.block_len()));
            if divides { dtype } else { DType::F16 }
        };
        let mut stored = maker_of(FULL, kind, Policy::exact(), 2);
        let found = stored.speaker_windows(town).unwrap().concat();
        println!(
            "{dtype}: {} {}",
            cosine(&found, &windows),
            cosine(&stored.embedding(town).unwrap(), &embedding)
        );
        assert!(cosine(&found, &windows) > 0.99, "{dtype}");
        assert!(cosine(&stored.embedding(town).unwrap(), &embedding) > 0.99, "{dtype}");
        assert_eq!(stored.tokens(town, None).unwrap().len(), tokens.len());
    }
}
