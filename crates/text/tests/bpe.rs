//! Token ids against Hugging Face's tokenizers, with the two vocabularies in `fixtures/text` that `oracles/text.py` had
//! transformers' Qwen2 and Qwen3.5 tokenizers train: the same ids for every text of the sample, however special tokens
//! are treated.

#![allow(clippy::unwrap_used, reason = "a broken fixture is a failed test")]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use mynah_gguf::GgufFile;
use mynah_text::bpe::{Kind, PreSplit, Specials, Tokenizer};
use mynah_text::stream::TextStream;
use proptest::prelude::*;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

const MODES: [Specials; 3] = [Specials::None, Specials::UserDefined, Specials::All];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/text")
}

fn json(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixtures().join(name)).unwrap()).unwrap()
}

fn tokenizer(name: &str) -> &'static Tokenizer {
    static READ: LazyLock<[Tokenizer; 2]> = LazyLock::new(|| {
        ["qwen2", "qwen35"].map(|name| {
            let file = GgufFile::open(fixtures().join(format!("{name}.gguf"))).unwrap();
            Tokenizer::from_metadata(file.metadata()).unwrap()
        })
    });
    &READ[usize::from(name == "qwen35")]
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
}

/// The sample: every text, then every run with its units repeated.
fn texts(key: &str) -> Vec<String> {
    let file = json("texts.json");
    let joined = |run: &Value| -> String {
        let units = run.as_array().unwrap().iter();
        units.map(|unit| unit[0].as_str().unwrap().repeat(unit[1].as_u64().unwrap() as usize)).collect()
    };
    let text = |value: &Value| value.as_str().map_or_else(|| joined(value), str::to_owned);
    file[key].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn ids_are_the_references() {
    for name in ["qwen2", "qwen35"] {
        let (tokenizer, reference) = (tokenizer(name), json(&format!("{name}.json")));
        let mut wrong = Vec::new();
        for key in ["texts", "runs"] {
            let (texts, expected) = (texts(key), reference[key].as_array().unwrap());
            assert_eq!(texts.len(), expected.len());
            for (text, expected) in texts.iter().zip(expected) {
                for (at, specials) in MODES.into_iter().enumerate() {
                    let expected = ids(if expected[at].is_null() { &expected[0] } else { &expected[at] });
                    if tokenizer.encode(text, specials) != expected {
                        wrong.push((specials, text.chars().take(40).collect::<String>()));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{name}: {} differ: {wrong:?}", wrong.len());
    }
}

#[test]
fn words_are_the_references() {
    let texts = texts("texts");
    // GPT-2's words are held to the reference's ids in `speech.rs`.
    for (name, rule) in PreSplit::NAMES.into_iter().filter(|(_, rule)| *rule != PreSplit::Gpt2) {
        let reference = json(&format!("{name}.json"));
        let lengths = reference["words"].as_array().unwrap();
        assert_eq!(lengths.len(), texts.len());
        for (text, lengths) in texts.iter().zip(lengths) {
            let normal: String = text.nfc().collect();
            let words = rule.words(&normal).map(|word| u32::try_from(word.chars().count()).unwrap());
            assert_eq!(words.collect::<Vec<_>>(), ids(lengths), "{name}: {text:?}");
        }
    }
}

#[test]
fn ids_decode_to_the_normal_form() {
    for name in ["qwen2", "qwen35"] {
        let (tokenizer, reference) = (tokenizer(name), json(&format!("{name}.json")));
        for text in texts("texts").iter().chain(&texts("runs")) {
            let ids = tokenizer.encode(text, Specials::None);
            assert_eq!(tokenizer.decode(&ids).unwrap(), text.nfc().collect::<String>());
        }
        for pair in reference["decoded"].as_array().unwrap() {
            assert_eq!(tokenizer.decode(&ids(&pair[0])).unwrap(), pair[1].as_str().unwrap());
        }
    }
}

/// The regex engine of the reference and ours may know different versions of Unicode. Characters that only the newer
/// one has assigned are all that may differ.
#[test]
fn classes_are_the_references() {
    let classes = json("classes.json");
    let member = |name: &str| {
        let mut member = vec![false; 0x11_0000];
        for range in classes[name].as_array().unwrap() {
            let (first, last) = (range[0].as_u64().unwrap() as usize, range[1].as_u64().unwrap() as usize);
            member[first..=last].fill(true);
        }
        member
    };
    let (letter, mark, number, space) = (member("letter"), member("mark"), member("number"), member("space"));
    let mut differ = Vec::new();
    // How many words a character twice before "!" makes, and once before "a", tells its class under the rule.
    for c in ('\0'..=char::MAX).filter(|c| !matches!(c, '\'' | ' ' | '\r' | '\n')) {
        let at = c as usize;
        let expected = match () {
            () if letter[at] || mark[at] => (2, 1),
            () if number[at] => (3, 2),
            () if space[at] => (3, 1),
            () => (1, 1),
        };
        let words = |text: &str| PreSplit::Qwen35.words(text).count();
        let without_marks = |text: &str| PreSplit::Qwen2.words(text).count();
        let found = (words(&format!("{c}{c}!")), words(&format!("{c}a")));
        let is_letter = without_marks(&format!("{c}{c}!")) == 2;
        if found != expected || is_letter != letter[at] {
            differ.push(c as u32);
        }
    }
    assert!(differ.is_empty(), "{} differ: {:04x?}", differ.len(), differ);
}

#[test]
fn special_tokens_are_what_the_file_says() {
    let tokenizer = tokenizer("qwen35");
    let id = |text| tokenizer.encode(text, Specials::All)[0];
    assert_eq!(tokenizer.eos(), Some(id("<|im_end|>")));
    assert_eq!(tokenizer.bos(), Some(id("<|endoftext|>")));
    assert_eq!(tokenizer.padding(), tokenizer.bos());
    assert_eq!(tokenizer.unknown(), None);
    assert!(!tokenizer.adds_bos());
    assert_eq!(tokenizer.ends(), [id("<|endoftext|>"), id("<|im_end|>")]);
    assert!(tokenizer.is_end(id("<|im_end|>")) && !tokenizer.is_end(id("<think>")));
    assert_eq!(tokenizer.kind(id("<think>")).unwrap(), Kind::UserDefined);
    assert_eq!(tokenizer.special_name(id("<|im_start|>")), Some("<|im_start|>"));
    assert_eq!(tokenizer.special_name(0), None);
    let last = u32::try_from(tokenizer.len()).unwrap() - 1;
    assert_eq!(tokenizer.kind(last).unwrap(), Kind::Unused);
    assert_eq!(tokenizer.token_bytes(last).unwrap(), b"");
    assert!(tokenizer.kind(last + 1).is_err() && tokenizer.decode(&[last + 1]).is_err());
    assert_eq!(tokenizer.pre_split(), PreSplit::Qwen35);
    assert!(!tokenizer.is_empty());
}

#[test]
fn decoding_leaves_control_tokens_out() {
    let tokenizer = tokenizer("qwen35");
    let text = "<|im_start|>user\n<think>é</think><|im_end|>";
    assert_eq!(tokenizer.decode(&tokenizer.encode(text, Specials::All)).unwrap(), "user\n<think>é</think>");
    assert_eq!(tokenizer.decode(&tokenizer.encode(text, Specials::None)).unwrap(), text);
}

/// A quadratic step anywhere would take minutes here.
#[test]
fn long_runs_cost_little_more_than_their_length() {
    let units = [
        "a",
        " ",
        "\n",
        " \n",
        "\u{3000}",
        "!",
        "'",
        "'s",
        "1",
        "中",
        "\u{301}",
        "\u{323}\u{307}",
        "e\u{323}\u{301}",
        "<|im_end|",
        "<|im_end|>",
        "<think>",
        "\u{1100}\u{1161}\u{11a8}",
        "👍",
        "a\u{301}",
        "\u{f73}",
    ];
    let tokenizer = tokenizer("qwen35");
    for unit in units {
        let text = unit.repeat(200_000 / unit.len()) + "x";
        let ids = tokenizer.encode(&text, Specials::None);
        assert_eq!(tokenizer.decode(&ids).unwrap(), text.nfc().collect::<String>(), "{unit:?}");
        let mut stream = TextStream::new(["aaab", "x", "\n\n\n!"]);
        let said: String = ids.iter().map(|&id| stream.push(tokenizer, id).unwrap()).collect();
        assert_eq!(said + "x", text.nfc().collect::<String>(), "{unit:?}");
    }
}

/// Texts of the sample's kinds: any characters, and those the rules turn on.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        "[a-z' \r\n\t0-9.,!\u{301}\u{3000}]{1,6}",
        prop::sample::select(vec![
            "<|im_end|>",
            "<think>",
            "</think>",
            "<|im_",
            "👨\u{200d}👩",
            "가",
            "中文",
            "ก็"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_comes_back(text in any_text()) {
        for name in ["qwen2", "qwen35"] {
            let tokenizer = tokenizer(name);
            let normal: String = text.nfc().collect();
            let ids = tokenizer.encode(&text, Specials::None);
            prop_assert!(ids.iter().all(|&id| tokenizer.kind(id).unwrap() == Kind::Normal));
            prop_assert_eq!(tokenizer.decode(&ids).unwrap(), normal.clone());
            let bytes: Vec<u8> = ids.iter().flat_map(|&id| tokenizer.token_bytes(id).unwrap().to_vec()).collect();
            prop_assert_eq!(bytes, normal.into_bytes());
        }
    }

    #[test]
    fn special_tokens_split_a_text(left in any_text(), right in any_text()) {
        let tokenizer = tokenizer("qwen35");
        // Long enough that no other special token can reach into it.
        let token = "<|im_start|>";
        let [all, before, after] =
            [&format!("{left}{token}{right}"), &left, &right].map(|text| tokenizer.encode(text, Specials::All));
        let id = tokenizer.encode(token, Specials::All)[0];
        prop_assert_eq!(all, [before, vec![id], after].concat());
    }

    #[test]
    fn streaming_equals_the_whole(text in any_text(), cut in 0usize..200, stop in "[a-c.é]{0,2}") {
        let tokenizer = tokenizer("qwen35");
        let mut ids = tokenizer.encode(&text, Specials::All);
        ids.truncate(cut);
        let whole = tokenizer.decode(&ids).unwrap();
        let mut stream = TextStream::new([&stop]);
        let mut said = String::new();
        for &id in &ids {
            said += &stream.push(tokenizer, id).unwrap();
        }
        said += &stream.finish();
        let expected = match whole.split_once(&*stop) {
            Some((before, _)) if !stop.is_empty() => before,
            _ => &whole,
        };
        prop_assert_eq!(&said, expected);
        prop_assert_eq!(stream.stopped(), said.len() < whole.len());
    }
}
