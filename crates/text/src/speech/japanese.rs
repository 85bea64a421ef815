//! Japanese: kana are spelt as they stand, kanji have no spelling without a dictionary of readings.
//!
//! The reference looks readings up with pykakasi, whose data is under the GPL, as are the Rust ports of it; permissive
//! dictionaries (IPADIC, UniDic) are tens of megabytes that their crates fetch at build time. So kanji are refused by
//! name rather than guessed or dropped. pykakasi also repeats Latin words and drops symbols; here they stay.

use super::error::SpeechError;
use super::languages::is_han;

/// Names of characters that an error lists at most.
const LISTED: usize = 20;

/// Accepts a text that needs no dictionary.
pub(super) fn check(text: &str) -> Result<(), SpeechError> {
    let mut kanji: Vec<char> = Vec::new();
    for c in text.chars().filter(|&c| is_han(c)) {
        if kanji.len() > LISTED {
            break;
        }
        if !kanji.contains(&c) {
            kanji.push(c);
        }
    }
    if kanji.is_empty() {
        return Ok(());
    }
    let more = if kanji.len() > LISTED { " …" } else { "" };
    let names: Vec<String> = kanji.iter().take(LISTED).map(char::to_string).collect();
    Err(SpeechError::Kanji { characters: names.join(" ") + more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kana_pass_and_kanji_are_named() {
        assert!(check("かな カナ ー、。「」 abc 😀 ゝ々").is_ok());
        let error = check("日本と日記").unwrap_err();
        assert!(matches!(&error, SpeechError::Kanji { characters } if characters == "日 本 記"), "{error}");
        let many: String = ('\u{4e00}'..'\u{4e40}').collect();
        let error = check(&many).unwrap_err().to_string();
        assert!(error.contains(" …:") && error.matches(' ').count() < 60, "{error}");
    }
}
