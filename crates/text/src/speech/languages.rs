//! The languages of the multilingual models, and what each does to a text before it is cut into tokens.

use unicode_normalization::UnicodeNormalization;

use super::cangjie::Cangjie;
use super::error::SpeechError;
use super::japanese;
use super::punctuation::is_space;

/// A language that released multilingual models speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language {
    /// ISO 639-1.
    pub code: &'static str,
    /// In English.
    pub name: &'static str,
}

/// The languages of the released multilingual models, by code. A file lists those it has.
pub const LANGUAGES: [Language; 23] = {
    const fn of(code: &'static str, name: &'static str) -> Language {
        Language { code, name }
    }
    [
        of("ar", "Arabic"),
        of("da", "Danish"),
        of("de", "German"),
        of("el", "Greek"),
        of("en", "English"),
        of("es", "Spanish"),
        of("fi", "Finnish"),
        of("fr", "French"),
        of("he", "Hebrew"),
        of("hi", "Hindi"),
        of("it", "Italian"),
        of("ja", "Japanese"),
        of("ko", "Korean"),
        of("ms", "Malay"),
        of("nl", "Dutch"),
        of("no", "Norwegian"),
        of("pl", "Polish"),
        of("pt", "Portuguese"),
        of("ru", "Russian"),
        of("sv", "Swedish"),
        of("sw", "Swahili"),
        of("tr", "Turkish"),
        of("zh", "Chinese"),
    ]
};

/// The one of `known` that a user means by a code, a code with a region, or an English name.
pub(super) fn find<'a>(asked: &str, known: &[&'a str]) -> Option<&'a str> {
    let code = asked.split(['-', '_']).next().unwrap_or(asked);
    let named = LANGUAGES.iter().find(|language| language.name.eq_ignore_ascii_case(asked));
    let fits = |wanted: &str| known.iter().copied().find(|known| known.eq_ignore_ascii_case(wanted));
    fits(asked).or_else(|| fits(code)).or_else(|| fits(named?.code))
}

/// Codes with their names, for messages.
pub(super) fn listed(codes: &[&str]) -> String {
    let name = |code: &&str| match LANGUAGES.iter().find(|language| language.code == *code) {
        Some(language) => format!("{code} ({})", language.name),
        None => (*code).to_owned(),
    };
    codes.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The text as the multilingual tokenizer takes it: small letters, compatibility decomposed (NFKD), spelt as the
/// language is, the language's tag in front.
///
/// Hebrew and Russian get no marks of vowels or stress: the reference has models for them that its own installation
/// leaves out. Hindi and the rest need nothing.
pub(super) fn spell(text: &str, language: &str, cangjie: Option<&Cangjie>) -> Result<String, SpeechError> {
    let text: String = text.to_lowercase().nfkd().collect();
    let text = match language {
        "zh" => match cangjie {
            Some(table) => table.spell(&text),
            None if text.chars().any(is_han) => return Err(SpeechError::NoCangjie),
            None => text,
        },
        "ja" => {
            japanese::check(&text)?;
            text
        }
        // Syllables are Jamo already; the reference strips the ends here and nowhere else.
        "ko" => text.trim_matches(is_space).to_owned(),
        _ => text,
    };
    Ok(format!("[{}]{text}", language.to_lowercase()))
}

/// The ideographs that the reference takes for kanji, and those of the later blocks.
pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_by_what_people_call_them() {
        let known = ["en", "pt", "zh", "x-lab"];
        for (asked, wanted) in [
            ("PT", Some("pt")),
            ("pt-BR", Some("pt")),
            ("zh_CN", Some("zh")),
            ("english", Some("en")),
            ("x-lab", Some("x-lab")),
            ("de", None),
            ("German", None),
            ("", None),
        ] {
            assert_eq!(find(asked, &known), wanted, "{asked}");
        }
        assert_eq!(listed(&["en", "x-lab"]), "en (English), x-lab");
    }

    #[test]
    fn spelling() {
        let of = |text: &str, language: &str| spell(text, language, None);
        assert_eq!(of("Éa ΣΑΣ", "el").unwrap(), "[el]e\u{301}a σας");
        assert_eq!(of(" 한\n", "ko").unwrap(), "[ko]\u{1112}\u{1161}\u{11ab}");
        assert_eq!(of(" ａ ", "fr").unwrap(), "[fr] a ");
        assert!(matches!(of("我", "zh"), Err(SpeechError::NoCangjie)));
        assert_eq!(of("ok", "zh").unwrap(), "[zh]ok");
    }
}
