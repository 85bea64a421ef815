//! Chatterbox's text front ends against the reference's own tokenizers (oracles/chatterbox_text.py), with its own table
//! of codes and whole texts of a megabyte.
#![allow(clippy::unwrap_used, reason = "fixtures are there and well-formed, or the test fails")]

use std::path::PathBuf;
use std::time::Instant;

use mynah_gguf::{GgufFile, GgufWriter};
use mynah_text::speech::{Blank, CANGJIE_KEY, Cangjie, FrontEnd, LANGUAGES, SpeechError, Style};
use mynah_text::speech::{SplitLimits, punc_norm, split};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    #[serde(default)]
    norm: Vec<String>,
    language: String,
    mtl: Vec<u32>,
    en: Option<Vec<u32>>,
    turbo: Option<Vec<u32>>,
}

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/chatterbox/text").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases() -> Vec<Case> {
    serde_json::from_str(&fixture("cases.json")).unwrap()
}

fn front_end(fill: impl FnOnce(&mut GgufWriter<'_>)) -> Result<FrontEnd, SpeechError> {
    let mut writer = GgufWriter::new();
    fill(&mut writer);
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    FrontEnd::from_metadata(GgufFile::from_bytes(bytes).unwrap().metadata())
}

fn multilingual() -> FrontEnd {
    let codes: Vec<String> = LANGUAGES.iter().map(|language| language.code.to_owned()).collect();
    front_end(|writer| {
        writer.set("tokenizer.ggml.model", "mtl_grapheme");
        writer.set("tokenizer.ggml.mtl_json", fixture("multilingual.json").as_str());
        writer.set("tokenizer.ggml.mtl_languages", codes);
        writer.set(CANGJIE_KEY, Cangjie::rows(&fixture("cangjie.json")).unwrap());
    })
    .unwrap()
}

fn english() -> FrontEnd {
    front_end(|writer| {
        writer.set("tokenizer.ggml.model", "mtl_grapheme");
        writer.set("tokenizer.ggml.mtl_json", fixture("english.json").as_str());
    })
    .unwrap()
}

/// As the converters of Turbo write it: without a pre-split rule.
fn turbo() -> FrontEnd {
    let map = |name: &str| -> Vec<(String, u32)> {
        let map: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&fixture(name)).unwrap();
        map.into_iter().map(|(token, id)| (token, u32::try_from(id.as_u64().unwrap()).unwrap())).collect()
    };
    let (vocab, added) = (map("turbo/vocab.json"), map("turbo/added_tokens.json"));
    let mut tokens = vec![String::new(); vocab.len() + added.len()];
    let mut types = vec![1i32; tokens.len()];
    for (token, id) in &vocab {
        tokens[*id as usize] = token.clone();
    }
    for (token, id) in &added {
        tokens[*id as usize] = token.clone();
        types[*id as usize] = 4;
    }
    let merges: Vec<String> = fixture("turbo/merges.txt").lines().skip(1).map(str::to_owned).collect();
    front_end(|writer| {
        writer.set("tokenizer.ggml.model", "gpt2");
        writer.set("tokenizer.ggml.tokens", tokens);
        writer.set("tokenizer.ggml.token_type", types);
        writer.set("tokenizer.ggml.merges", merges);
    })
    .unwrap()
}

#[test]
fn punctuation_is_the_reference_s() {
    for case in cases().iter().filter(|case| !case.norm.is_empty()) {
        for (style, wanted) in [Style::English, Style::Multilingual, Style::Turbo].into_iter().zip(&case.norm)
        {
            assert_eq!(&punc_norm(&case.text, style), wanted, "{:?} {style:?}", case.text);
        }
    }
}

#[test]
fn multilingual_ids_are_the_reference_s() {
    let front_end = multilingual();
    let mut seen = 0;
    for case in cases() {
        let encoded = front_end.encode(&case.text, Some(&case.language)).unwrap();
        assert_eq!(encoded.ids, case.mtl, "{} {:?}", case.language, case.text);
        seen += usize::from(!encoded.unknown.is_empty());
    }
    assert!(seen > 20, "only {seen} texts had a character without a token");
}

#[test]
fn english_ids_are_the_reference_s() {
    let front_end = english();
    for case in cases() {
        if let Some(wanted) = case.en {
            assert_eq!(front_end.encode(&case.text, None).unwrap().ids, wanted, "{:?}", case.text);
        }
    }
}

#[test]
fn turbo_ids_are_the_reference_s() {
    let front_end = turbo();
    for case in cases() {
        // The reference takes this for a special token; here a text cannot end the document it is in.
        if let Some(wanted) = case.turbo.filter(|_| !case.text.contains("<|endoftext|>")) {
            assert_eq!(front_end.encode(&case.text, None).unwrap().ids, wanted, "{:?}", case.text);
        }
    }
}

#[test]
fn event_tags_are_tokens() {
    let front_end = turbo();
    let ids = |text| front_end.encode(text, None).unwrap().ids;
    assert_eq!(ids("[laugh]").len(), 1);
    assert!(ids("[Laugh]").len() > 1 && ids("<|endoftext|>").len() > 1);
    assert_eq!(front_end.around(), None);
    assert_eq!(multilingual().around().map(|(_, stop)| stop), Some(0));
}

#[test]
fn languages_have_to_be_known() {
    let front_end = multilingual();
    let error = front_end.encode("hello", None).unwrap_err().to_string();
    assert!(error.contains("ar (Arabic)") && error.contains("zh (Chinese)"), "{error}");
    let error = front_end.encode("hello", Some("xx")).unwrap_err().to_string();
    assert!(error.contains("\"xx\"") && error.contains("tr (Turkish)"), "{error}");
    assert_eq!(
        front_end.encode("ok", Some("Spanish")).unwrap(),
        front_end.encode("ok", Some("es-MX")).unwrap()
    );
    for front_end in [english(), turbo()] {
        assert!(matches!(front_end.encode("x", Some("fr")), Err(SpeechError::UnknownLanguage { .. })));
        assert_eq!(front_end.encode("x", Some("EN-us")).unwrap(), front_end.encode("x", None).unwrap());
    }
}

#[test]
fn what_cannot_be_spelt_is_said() {
    let mut front_end = multilingual();
    let error = front_end.encode("これは日本です", Some("ja")).unwrap_err().to_string();
    assert!(error.contains("日 本"), "{error}");
    let heart = front_end.encode("a ♥ b ♥", Some("en")).unwrap();
    assert_eq!(heart.unknown, ['♥']);
    front_end.set_cangjie(Cangjie::from_json(r#"["龘\typ"]"#).unwrap());
    assert_eq!(front_end.encode("龘", Some("zh")).unwrap().unknown, []);
}

#[test]
fn empty_texts() {
    let front_end = multilingual();
    assert!(matches!(front_end.tokens(" \n", Some("en"), Blank::Refuse), Err(SpeechError::Blank)));
    let stock = front_end.tokens("", Some("en"), Blank::Stock).unwrap();
    assert_eq!(stock, front_end.encode("You need to add some text for me to talk.", Some("en")).unwrap());
}

#[test]
fn broken_files_are_errors() {
    for (model, json) in [("llama", ""), ("mtl_grapheme", "{}"), ("gpt2", "")] {
        let made = front_end(|writer| {
            writer.set("tokenizer.ggml.model", model);
            writer.set("tokenizer.ggml.mtl_json", json);
        });
        assert!(made.is_err(), "{model}");
    }
    assert!(matches!(front_end(|_| ()), Err(SpeechError::MissingKey { key: "tokenizer.ggml.model" })));
}

/// A quadratic step would take hours.
#[test]
fn a_megabyte_of_anything() {
    let front_ends = [multilingual(), english(), turbo()];
    let started = Instant::now();
    for unit in
        ["a", " ", "Hello, world. ", "é😀", "。", "[SPACE", "[laugh]", "\u{301}", "한 글", "\n", ". ", "…"]
    {
        let text = unit.repeat((1 << 20) / unit.len());
        let pieces = split(&text, SplitLimits::default());
        assert!(pieces.iter().all(|piece| piece.chars().count() <= 200), "{unit:?}");
        for front_end in &front_ends {
            front_end.tokens(&text, Some("en"), Blank::Stock).unwrap();
        }
    }
    assert!(started.elapsed().as_secs() < 240, "{:?}", started.elapsed());
}
