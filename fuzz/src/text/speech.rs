//! Text to be spoken: tokenizer JSON and tables of codes from a file, texts from anyone. The first byte says which of
//! them the rest of the input is.

use mynah_text::speech::{
    Cangjie, FrontEnd, GraphemeTokenizer, LANGUAGES, SplitLimits, Style, punc_norm, split,
};

use crate::{Target, kind_of};

/// The target.
pub const TARGET: Target = Target { name: "speech", run, seeds, dictionary: DICTIONARY };

const TOKENIZER: u8 = 0;
const TABLE: u8 = 1;
const TEXT: u8 = 2;

const JSON: &str = include_str!("../../../fixtures/chatterbox/text/english.json");
const CODES: &str = include_str!("../../../fixtures/chatterbox/text/cangjie.json");
const SPOKEN: &str =
    "Hello, [SPACE]it's 3.50... 我能 です e\u{301} 한글 \u{1f469}\u{200d}\u{1f466} “quoted.” Yes! नमस्ते।";

/// Reads a tokenizer or table and uses it, or does all that is done to a text.
///
/// # Panics
/// When a text loses a character, a piece is too long or an id is none.
pub fn run(bytes: &[u8]) -> u64 {
    let Some((&layer, body)) = bytes.split_first() else { return 0 };
    let body = String::from_utf8_lossy(body);
    match layer {
        TOKENIZER => match GraphemeTokenizer::from_json(&body) {
            Ok(tokenizer) => encode(&tokenizer, SPOKEN),
            Err(error) => kind_of(&error.to_string()),
        },
        TABLE => match Cangjie::from_json(&body) {
            Ok(table) => speak(&table, SPOKEN),
            Err(error) => kind_of(&error.to_string()) ^ 1,
        },
        _ => {
            let table = Cangjie::from_json(CODES).unwrap_or_default();
            speak(&table, &body) ^ pieces(&body)
        }
    }
}

fn encode(tokenizer: &GraphemeTokenizer, text: &str) -> u64 {
    let ids = tokenizer.encode(text).ids;
    assert!(ids.iter().all(|&id| (id as usize) < tokenizer.len()), "{ids:?}");
    ids.len() as u64
}

fn speak(table: &Cangjie, text: &str) -> u64 {
    let mut answer = 0u64;
    if let Ok(mut front_end) = multilingual() {
        front_end.set_cangjie(table.clone());
        for language in ["zh", "ja", "ko", "ar"] {
            let spoken = front_end.tokens(text, Some(language), Default::default());
            let count = spoken.map_or(0, |encoded| encoded.ids.len() as u64 ^ encoded.unknown.len() as u64);
            answer = answer.wrapping_mul(31).wrapping_add(count);
        }
    }
    answer
}

fn multilingual() -> Result<FrontEnd, Box<dyn std::error::Error>> {
    let mut writer = mynah_gguf::GgufWriter::new();
    let codes: Vec<String> = LANGUAGES.iter().map(|language| language.code.to_owned()).collect();
    writer.set("tokenizer.ggml.model", "mtl_grapheme").set("tokenizer.ggml.mtl_json", JSON);
    writer.set("tokenizer.ggml.mtl_languages", codes);
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes)?;
    Ok(FrontEnd::from_metadata(mynah_gguf::GgufFile::from_bytes(bytes)?.metadata())?)
}

fn pieces(text: &str) -> u64 {
    let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let mut answer = 0u64;
    for longest in [8, 50, 180] {
        let limits = SplitLimits { longest, shortest: 6 };
        let pieces = split(text, limits);
        assert_eq!(bare(&pieces.concat()), bare(text), "the pieces are not the text");
        for piece in &pieces {
            let length: usize = piece.split_whitespace().map(|word| word.chars().count() + 1).sum();
            assert!(length <= longest + limits.shortest + 1, "{length}: {piece:?}");
        }
        answer = answer.wrapping_mul(31).wrapping_add(pieces.len() as u64);
    }
    for style in [Style::English, Style::Multilingual, Style::Turbo] {
        answer = answer.wrapping_add(punc_norm(text, style).len() as u64);
    }
    answer
}

fn seeds() -> Vec<Vec<u8>> {
    let seed = |layer: u8, body: &str| [&[layer], body.as_bytes()].concat();
    vec![seed(TOKENIZER, JSON), seed(TABLE, CODES), seed(TEXT, SPOKEN)]
}

const DICTIONARY: &[&[u8]] = &[
    b"\"lstrip\":true",
    b"\"rstrip\":true",
    b"\"single_word\":true",
    b"\"normalized\":true",
    b"\"fuse_unk\":true",
    b"[START]",
    b"[SPACE]",
    b"\\t",
    b"\xcc\x81",
    b"\xe2\x80\x8d",
    b"\xe3\x80\x82",
    b". ",
    b"\n\n",
];
