//! Made-up vocabularies of the true sizes, with which any text can be read: GPT-2's bytes and merges with Turbo's event
//! tags behind them, or the letters of 23 languages with merges of frequent ones and Cangjie's keys.

use std::collections::HashSet;

use mynah_text::speech::LANGUAGES;
use serde_json::json;

use super::super::qwen35::text_tokens;
use crate::chatterbox::{Tokenizer, Variant};

/// Added tokens of the released Turbo that name sounds, and as many without a name as fill up its 19.
const EVENTS: [&str; 9] = [
    "[clear throat]",
    "[sigh]",
    "[shush]",
    "[cough]",
    "[groan]",
    "[sniff]",
    "[gasp]",
    "[chuckle]",
    "[laugh]",
];
const ADDED: usize = 19;

/// `T3Config` knows these by their ids.
const START_ID: usize = 255;
const SPECIALS: [&str; 7] = ["[STOP]", "[UNK]", "[SPACE]", "[PAD]", "[SEP]", "[CLS]", "[MASK]"];
/// First and last letters of scripts as they are after decomposition and lower-casing.
const SCRIPTS: [(char, char); 13] = [
    ('!', '@'),
    ('[', '`'),
    ('{', '~'),
    ('\u{300}', '\u{345}'),
    ('α', 'ω'),
    ('а', 'џ'),
    ('א', 'ת'),
    ('\u{621}', '\u{652}'),
    ('\u{901}', '\u{94d}'),
    ('\u{1100}', '\u{1112}'),
    ('\u{1161}', '\u{1175}'),
    ('\u{11a8}', '\u{11c2}'),
    ('\u{3041}', '\u{30fc}'),
];
const MORE: &str = "¿¡«»æøœßðþđłıħŋə،؛؟।॥、。「」・\u{3099}\u{309a}";
/// Most frequent letters first.
const LETTERS: &str = "etaoinshrdlucmfwypvbgkjqxz";
/// Ideographs that have a code, and the keys of which codes are made.
const GLYPHS: (u32, u32) = (0x4e00, 0x9fa5);
const KEYS: &str = "abcdefghijklmnopqrstuvwxy";

/// The tokenizer of a model of `size` text tokens.
pub(super) fn tokenizer(variant: Variant, size: usize) -> Tokenizer {
    match variant {
        Variant::Turbo => gpt2(size),
        Variant::Multilingual => {
            Tokenizer::Grapheme { json: graphemes(size, true), cangjie: Some(cangjie()) }
        }
        Variant::English => Tokenizer::Grapheme { json: graphemes(size, false), cangjie: None },
    }
}

fn gpt2(size: usize) -> Tokenizer {
    let text = size.saturating_sub(ADDED + 1);
    let (mut tokens, merges) = text_tokens(text);
    let mut types = vec![1; tokens.len() + 1];
    tokens.push("<|endoftext|>".to_owned());
    for index in 0..ADDED {
        tokens.push(EVENTS.get(index).map_or_else(|| format!("[event{index}]"), |&name| name.to_owned()));
        types.push(4);
    }
    Tokenizer::Gpt2 { tokens, types, merges }
}

/// The JSON of a vocabulary of `size` tokens.
fn graphemes(size: usize, multilingual: bool) -> String {
    let mut special: Vec<String> = SPECIALS.iter().map(|&token| token.to_owned()).collect();
    if multilingual {
        special.extend(LANGUAGES.iter().map(|language| format!("[{}]", language.code)));
        special.extend(KEYS.chars().chain('0'..='9').chain(['.']).map(|key| format!("[cj_{key}]")));
    }
    let mut seen: HashSet<String> = special.iter().cloned().collect();
    let mut tokens = special.clone();
    let capitals: String = if multilingual { String::new() } else { LETTERS.to_uppercase() };
    let scripts = if multilingual { &SCRIPTS[..] } else { &SCRIPTS[..3] };
    let letters =
        LETTERS.chars().chain(capitals.chars()).chain(scripts.iter().flat_map(|&(first, last)| first..=last));
    let letters = letters.chain(MORE.chars().filter(|_| multilingual)).map(String::from);
    tokens.extend(letters.filter(|letter| seen.insert(letter.clone())));
    let mut merges = Vec::new();
    // Pairs along the diagonals of the table of letters, then a pair and a letter more.
    let alphabet: Vec<char> = LETTERS.chars().collect();
    for sum in 0..2 * alphabet.len() {
        for (index, left) in alphabet.iter().enumerate().take(sum + 1) {
            let right = alphabet.get(sum - index);
            let Some(right) = right.filter(|_| tokens.len() + 1 < size) else { continue };
            merges.push(format!("{left} {right}"));
            tokens.push(format!("{left}{right}"));
        }
    }
    for (first, left) in alphabet.iter().enumerate().take(12) {
        for right in alphabet.iter().take(12 + first) {
            for last in &alphabet {
                let (pair, token) = (format!("{left}{right}"), format!("{left}{right}{last}"));
                if tokens.len() + 1 < size && tokens.contains(&pair) && seen.insert(token.clone()) {
                    merges.push(format!("{pair} {last}"));
                    tokens.push(token);
                }
            }
        }
    }
    tokens.insert(START_ID.min(tokens.len()), "[START]".to_owned());
    special.push("[START]".to_owned());
    let ids: serde_json::Map<String, serde_json::Value> =
        tokens.iter().enumerate().map(|(id, token)| (token.clone(), id.into())).collect();
    let added = special.iter().map(|token| {
        json!({"id": ids.get(token), "content": token, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "[UNK]", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": ids, "merges": merges,
        },
    })
    .to_string()
}

/// A code of three or four keys for every common ideograph, some of them shared.
fn cangjie() -> Vec<String> {
    let keys: Vec<char> = KEYS.chars().collect();
    let row = |glyph: u32| {
        let mut rest = (glyph - GLYPHS.0) as usize / 2 + keys.len() * keys.len();
        let mut code = String::new();
        while rest > 0 {
            code.extend(keys.get(rest % keys.len()));
            rest /= keys.len();
        }
        char::from_u32(glyph).map(|glyph| format!("{glyph}\t{code}"))
    };
    (GLYPHS.0..=GLYPHS.1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_text::speech::{Cangjie, GraphemeTokenizer};

    #[test]
    fn graphemes_are_as_many_as_in_the_released_models() {
        for (variant, size) in [(Variant::Multilingual, 2454), (Variant::English, 704)] {
            let Tokenizer::Grapheme { json, cangjie } = tokenizer(variant, size) else { panic!("graphemes") };
            let tokenizer = GraphemeTokenizer::from_json(&json).unwrap();
            assert_eq!((tokenizer.len(), tokenizer.around()), (size, (255, 0)));
            let encoded = tokenizer.encode("there is some text, isn't there?");
            assert!(encoded.unknown.is_empty() && encoded.ids.len() < 28, "{encoded:?}");
            assert!(cangjie.is_none_or(|rows| Cangjie::from_rows(&rows).is_ok()));
        }
    }

    #[test]
    fn events_have_turbo_s_places() {
        let Tokenizer::Gpt2 { tokens, types, merges } = tokenizer(Variant::Turbo, 50_276) else {
            panic!("GPT-2")
        };
        assert_eq!((tokens.len(), types.len(), merges.len()), (50_276, 50_276, 50_000));
        assert_eq!((tokens[50_256].as_str(), types[50_257]), ("<|endoftext|>", 4));
    }
}
