//! A byte-level BPE vocabulary as GGUF keys.

use mynah_gguf::Value;

/// What a token is, with the numbers of `tokenizer.ggml.token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum TokenType {
    /// Bytes of text.
    Normal = 1,
    /// Steers the model and is no text.
    Control = 3,
    /// A tag that the model writes as text.
    UserDefined = 4,
    /// A row of the embedding without meaning.
    Unused = 5,
}

/// Tokens, merges and what goes with them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vocabulary {
    /// Name of the pre-split rule.
    pub pre: String,
    /// Texts by id, normal ones in GPT-2's byte alphabet.
    pub tokens: Vec<String>,
    /// What each is.
    pub types: Vec<TokenType>,
    /// `left right`, the first merges first.
    pub merges: Vec<String>,
    /// Tokens with a task: `eos` and so on, as in `tokenizer.ggml.eos_token_id`.
    pub special: Vec<(&'static str, u32)>,
    /// Whether encoding adds one: `bos` and so on, as in `tokenizer.ggml.add_bos_token`.
    pub added: Vec<(&'static str, bool)>,
    /// The chat template.
    pub template: Option<String>,
}

impl Vocabulary {
    /// Keys and values in file order.
    pub(super) fn keys(&self) -> Vec<(String, Value)> {
        let mut keys: Vec<(String, Value)> = vec![
            ("tokenizer.ggml.model".to_owned(), "gpt2".into()),
            ("tokenizer.ggml.pre".to_owned(), self.pre.as_str().into()),
            ("tokenizer.ggml.tokens".to_owned(), self.tokens.clone().into()),
            (
                "tokenizer.ggml.token_type".to_owned(),
                self.types.iter().map(|&kind| kind as i32).collect::<Vec<_>>().into(),
            ),
            ("tokenizer.ggml.merges".to_owned(), self.merges.clone().into()),
        ];
        for &(name, id) in &self.special {
            keys.push((format!("tokenizer.ggml.{name}_token_id"), id.into()));
        }
        for &(name, flag) in &self.added {
            keys.push((format!("tokenizer.ggml.add_{name}_token"), flag.into()));
        }
        if let Some(template) = &self.template {
            keys.push(("tokenizer.chat_template".to_owned(), template.as_str().into()));
        }
        keys
    }
}
