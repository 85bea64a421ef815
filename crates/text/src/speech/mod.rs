//! What stands between a text to be spoken and the ids a speech model reads.
//!
//! ```text
//! long text ─► split ─► punctuation (punc_norm) ─► language step ─► graphemes or byte-level BPE ─► ids ─► T3
//! ```
//!
//! [`FrontEnd`] does all of it but the splitting by the keys of a Chatterbox GGUF; the pieces are there by themselves.
//! The rules are those of `chatterbox.tts`, `chatterbox.tts_turbo`, `chatterbox.mtl_tts` and
//! `chatterbox.models.tokenizers` (resemble-ai/chatterbox); docs/text.md says where and why they are departed from.

mod cangjie;
mod error;
mod grapheme;
mod japanese;
mod languages;
mod punctuation;
mod split;

use mynah_gguf::Metadata;

pub use cangjie::Cangjie;
pub use error::SpeechError;
pub use grapheme::GraphemeTokenizer;
pub use languages::{LANGUAGES, Language};
pub use punctuation::{STOCK_SENTENCE, Style, punc_norm};
pub use split::{SplitLimits, split};

use crate::bpe::{PreSplit, Specials, Tokenizer};

/// The key of the Cangjie table: an array of strings, a glyph and its code with a tab between them.
pub const CANGJIE_KEY: &str = "tokenizer.ggml.mtl_cangjie";

/// What to do with a text of nothing but white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Blank {
    /// As the reference does: an empty text becomes a sentence that asks for one, white space a full stop.
    #[default]
    Stock,
    /// [`SpeechError::Blank`].
    Refuse,
}

/// The ids of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoded {
    /// Token ids, without the start and stop tokens that some models want around them.
    pub ids: Vec<u32>,
    /// Characters for which the model has no token, each once, in the order of the text. The model hears an `[UNK]` for
    /// each, which is to say that it guesses: a caller should tell the user.
    pub unknown: Vec<char>,
}

/// The text side of a Chatterbox model.
#[derive(Debug, Clone)]
pub struct FrontEnd {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Multilingual { tokenizer: GraphemeTokenizer, languages: Vec<String>, cangjie: Option<Cangjie> },
    English(GraphemeTokenizer),
    Turbo(Box<Tokenizer>),
}

impl FrontEnd {
    /// Reads the tokenizer of a T3 file: `tokenizer.ggml.model` is `mtl_grapheme` (with the languages in
    /// `tokenizer.ggml.mtl_languages`; a file without them is the original English model) or `gpt2` (Turbo, Nano).
    ///
    /// # Errors
    /// [`SpeechError`] for a missing or ill-typed key, another tokenizer, or one that is broken.
    pub fn from_metadata(metadata: &Metadata) -> Result<FrontEnd, SpeechError> {
        const MODEL: &str = "tokenizer.ggml.model";
        const JSON: &str = "tokenizer.ggml.mtl_json";
        let model = metadata.get_str(MODEL)?.ok_or(SpeechError::MissingKey { key: MODEL })?;
        let kind = match model {
            "gpt2" => Kind::Turbo(Box::new(Tokenizer::from_metadata_or(metadata, PreSplit::Gpt2)?)),
            "mtl_grapheme" => {
                let json = metadata.get_str(JSON)?.ok_or(SpeechError::MissingKey { key: JSON })?;
                let tokenizer = GraphemeTokenizer::from_json(json)?;
                match metadata.get_str_array("tokenizer.ggml.mtl_languages")? {
                    None | Some([]) => Kind::English(tokenizer),
                    Some(languages) => {
                        let rows = metadata.get_str_array(CANGJIE_KEY)?;
                        let cangjie = rows.map(Cangjie::from_rows).transpose()?;
                        Kind::Multilingual { tokenizer, languages: languages.to_vec(), cangjie }
                    }
                }
            }
            found => return Err(SpeechError::UnknownModel { found: found.to_owned() }),
        };
        Ok(FrontEnd { kind })
    }

    /// Gives Chinese a table where the file has none; replaces the file's. Nothing changes for other models.
    pub fn set_cangjie(&mut self, table: Cangjie) {
        if let Kind::Multilingual { cangjie, .. } = &mut self.kind {
            *cangjie = Some(table);
        }
    }

    /// The codes of the languages of a multilingual model; `["en"]` for the others.
    pub fn languages(&self) -> Vec<&str> {
        match &self.kind {
            Kind::Multilingual { languages, .. } => languages.iter().map(String::as_str).collect(),
            Kind::English(_) | Kind::Turbo(_) => vec!["en"],
        }
    }

    /// The code under which the model knows a language that a user named: case and region do not matter (`pt-BR`), and
    /// the English name will do.
    ///
    /// # Errors
    /// [`SpeechError::UnknownLanguage`], and [`SpeechError::MissingLanguage`] for none where the model has several;
    /// both name those there are.
    pub fn language(&self, asked: Option<&str>) -> Result<&str, SpeechError> {
        let known = self.languages();
        let Some(asked) = asked.map(str::trim).filter(|asked| !asked.is_empty()) else {
            return match known[..] {
                [only] => Ok(only),
                _ => Err(SpeechError::MissingLanguage { known: languages::listed(&known) }),
            };
        };
        languages::find(asked, &known).ok_or_else(|| SpeechError::UnknownLanguage {
            found: asked.to_owned(),
            known: languages::listed(&known),
        })
    }

    /// Which punctuation the model was trained with.
    pub fn style(&self) -> Style {
        match &self.kind {
            Kind::Multilingual { .. } => Style::Multilingual,
            Kind::English(_) => Style::English,
            Kind::Turbo(_) => Style::Turbo,
        }
    }

    /// The ids of a text as the reference's `generate` has them: [`punc_norm`], then [`FrontEnd::encode`].
    ///
    /// # Errors
    /// Those of [`FrontEnd::encode`]; [`SpeechError::Blank`] if `blank` says so.
    pub fn tokens(&self, text: &str, language: Option<&str>, blank: Blank) -> Result<Encoded, SpeechError> {
        if blank == Blank::Refuse && text.trim().is_empty() {
            return Err(SpeechError::Blank);
        }
        self.encode(&punc_norm(text, self.style()), language)
    }

    /// The ids of a text as it stands.
    ///
    /// # Errors
    /// Those of [`FrontEnd::language`]; [`SpeechError::Kanji`] and [`SpeechError::NoCangjie`] for Japanese and Chinese
    /// that cannot be spelt out.
    pub fn encode(&self, text: &str, language: Option<&str>) -> Result<Encoded, SpeechError> {
        let language = self.language(language)?;
        match &self.kind {
            Kind::Turbo(tokenizer) => {
                let ids = tokenizer.encode(text, Specials::All);
                Ok(Encoded { ids, unknown: Vec::new() })
            }
            Kind::English(tokenizer) => Ok(tokenizer.encode(text)),
            Kind::Multilingual { tokenizer, cangjie, .. } => {
                let spelt = languages::spell(text, language, cangjie.as_ref())?;
                Ok(tokenizer.encode(&spelt))
            }
        }
    }

    /// The ids of `[START]` and `[STOP]`, which stand around a text of the grapheme models; `None` for Turbo, whose
    /// texts stand by themselves.
    pub fn around(&self) -> Option<(u32, u32)> {
        match &self.kind {
            Kind::Multilingual { tokenizer, .. } | Kind::English(tokenizer) => Some(tokenizer.around()),
            Kind::Turbo(_) => None,
        }
    }

    /// How many token ids there are, that is one more than the largest.
    pub fn vocabulary(&self) -> usize {
        match &self.kind {
            Kind::Multilingual { tokenizer, .. } | Kind::English(tokenizer) => tokenizer.len(),
            Kind::Turbo(tokenizer) => tokenizer.len(),
        }
    }
}
