//! Made-up vocabularies for byte-level BPE, as large as the family's: bytes, then merges that build words up letter by
//! letter, then the special tokens under their own ids. English comes out at some four characters a token.

use std::collections::HashSet;

use crate::qwen35::{Architecture, Config, TokenType, Vocabulary};

/// Special tokens in the order of their ids. Tags that a model writes as text are no control tokens.
const SPECIALS: [&str; 26] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
];

/// Rows of the embedding behind the text tokens: the special tokens, and some without meaning.
const BEHIND: usize = 276;
/// The same in Qwen3-Next.
const BEHIND_NEXT: usize = 293;

/// Most frequent letters first.
const LETTERS: &str = "etaoinshrdlucmfwypvbgkjqxz";
/// How GPT-2's byte alphabet writes a space and a line feed.
const SPACE: char = 'Ġ';
const LINE: char = 'Ċ';

/// A vocabulary of the configuration's size, with the template and the special tokens of its family.
pub(super) fn vocabulary(config: &Config) -> Vocabulary {
    let next = config.architecture == Architecture::Qwen3Next;
    let behind = if next { BEHIND_NEXT } else { BEHIND };
    let text = config.vocabulary.saturating_sub(behind).max(256);
    let (mut tokens, merges) = text_tokens(text);
    let mut types = vec![TokenType::Normal; tokens.len()];
    let first = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
    for name in SPECIALS {
        types.push(if name.starts_with("<|") { TokenType::Control } else { TokenType::UserDefined });
        tokens.push(name.to_owned());
    }
    for id in tokens.len()..config.vocabulary {
        types.push(TokenType::Unused);
        tokens.push(format!("[PAD{id}]"));
    }
    Vocabulary {
        pre: if next { "qwen2" } else { "qwen35" }.to_owned(),
        tokens,
        types,
        merges,
        special: vec![("eos", first + 2), ("padding", first)],
        added: vec![("bos", false)],
        template: Some(include_str!("chat.jinja").to_owned()),
    }
}

/// So many tokens of text, at least the 256 bytes, and the merges that make them.
pub(in crate::random) fn text_tokens(count: usize) -> (Vec<String>, Vec<String>) {
    let mut builder = Builder::new(count);
    builder.fill();
    let Builder { mut tokens, merges, .. } = builder;
    // Should letters run out, rows of text without a merge, which encoding never gives.
    tokens.extend((tokens.len()..count).map(|id| format!("unmerged{id}")));
    (tokens, merges)
}

/// Tokens and the merges that make them, up to a number of tokens.
struct Builder {
    limit: usize,
    tokens: Vec<String>,
    merges: Vec<String>,
    known: HashSet<String>,
}

impl Builder {
    fn new(limit: usize) -> Builder {
        let tokens: Vec<String> = (0..=u8::MAX).map(|byte| letter_of(byte).to_string()).collect();
        let known = tokens.iter().cloned().collect();
        Builder { limit, tokens, merges: Vec::new(), known }
    }

    fn has_room(&self) -> bool {
        self.tokens.len() < self.limit
    }

    /// Adds a token that two known ones make; does nothing if it is there or there is no room.
    fn merge(&mut self, left: &str, right: &str) {
        let token = format!("{left}{right}");
        if self.has_room() && self.known.insert(token.clone()) {
            self.merges.push(format!("{left} {right}"));
            self.tokens.push(token);
        }
    }

    fn fill(&mut self) {
        let space = SPACE.to_string();
        self.runs();
        let pairs = pairs();
        for (pair, left, right) in &pairs {
            self.merge(left, right);
            self.merge(&space, pair);
        }
        let capitals: Vec<(String, String, String)> = pairs
            .iter()
            .map(|(_, left, right)| (left.to_uppercase(), right.clone()))
            .map(|(left, right)| (format!("{left}{right}"), left, right))
            .collect();
        for (pair, left, right) in &capitals {
            self.merge(left, right);
            self.merge(&space, pair);
        }
        for letter in LETTERS.chars() {
            self.merge(&space, &letter.to_string());
            self.merge(&space, &letter.to_uppercase().to_string());
        }
        self.characters();
        for (pair, ..) in pairs.iter().chain(&capitals) {
            for letter in LETTERS.chars() {
                let letter = letter.to_string();
                self.merge(pair, &letter);
                self.merge(&format!("{space}{pair}"), &letter);
            }
        }
        // Four letters, those of frequent pairs first: along the diagonals of the table of pairs by pairs.
        for sum in 0..2 * pairs.len() {
            for (index, (left, ..)) in pairs.iter().enumerate().take(sum + 1) {
                let Some((right, ..)) = pairs.get(sum - index) else { continue };
                self.merge(left, right);
                self.merge(&format!("{space}{left}"), right);
            }
            if !self.has_room() {
                break;
            }
        }
    }

    /// Runs of spaces and line feeds.
    fn runs(&mut self) {
        for unit in [SPACE, LINE] {
            for half in [1, 2, 4, 8] {
                let run = unit.to_string().repeat(half);
                self.merge(&run, &run);
            }
        }
    }

    /// Characters of two and three bytes: Latin with accents to Arabic, then the commoner of the East Asian blocks.
    fn characters(&mut self) {
        let byte = |byte: u8| letter_of(byte).to_string();
        for lead in 0xc3..=0xdb {
            for last in 0x80..=0xbf {
                self.merge(&byte(lead), &byte(last));
            }
        }
        for lead in 0xe3..=0xe9 {
            for middle in 0x80..=0xbf {
                self.merge(&byte(lead), &byte(middle));
            }
        }
        for lead in 0xe3..=0xe9 {
            for middle in 0x80..=0xbf {
                for last in 0x80..=0xbf {
                    self.merge(&format!("{}{}", byte(lead), byte(middle)), &byte(last));
                }
            }
        }
    }
}

/// Pairs of letters with their halves, those of frequent letters first.
fn pairs() -> Vec<(String, String, String)> {
    let letters: Vec<char> = LETTERS.chars().collect();
    let mut pairs = Vec::with_capacity(letters.len() * letters.len());
    for sum in 0..2 * letters.len() {
        for (index, left) in letters.iter().enumerate().take(sum + 1) {
            if let Some(right) = letters.get(sum - index) {
                pairs.push((format!("{left}{right}"), left.to_string(), right.to_string()));
            }
        }
    }
    pairs
}

/// GPT-2's letter for a byte: printable ones stand for themselves, the others take letters from 256 on.
fn letter_of(byte: u8) -> char {
    let plain = |byte: u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if plain(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&byte| !plain(byte)).count();
    u32::try_from(before).ok().and_then(|before| char::from_u32(256 + before)).unwrap_or(SPACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qwen35::keys;
    use crate::random::qwen35::SIZES;
    use mynah_gguf::{GgufFile, GgufWriter};
    use mynah_text::bpe::{Specials, Tokenizer};
    use mynah_text::chat::{ChatRequest, ChatTemplate, Message};

    #[test]
    fn sizes_and_ids_are_the_family_s() {
        let of = |name: &str| {
            let size = SIZES.iter().find(|size| size.name == name).unwrap();
            vocabulary(&size.config(false))
        };
        let large = of("qwen3.5-0.8b");
        assert_eq!((large.tokens.len(), large.merges.len()), (248_320, 247_788));
        assert_eq!(large.special, [("eos", 248_046), ("padding", 248_044)]);
        assert_eq!(large.tokens[248_053], "<|vision_start|>");
        assert_eq!(
            (large.tokens[248_068].as_str(), large.types[248_068]),
            ("<think>", TokenType::UserDefined)
        );
        let next = of("qwen3-next-80b-a3b");
        assert_eq!((next.tokens.len(), next.tokens[151_645].as_str()), (151_936, "<|im_end|>"));
        for vocabulary in [large, next, of("qwen3.5-tiny")] {
            assert_eq!(vocabulary.tokens.iter().collect::<HashSet<_>>().len(), vocabulary.tokens.len());
            assert_eq!(vocabulary.types.len(), vocabulary.tokens.len());
            assert!(vocabulary.tokens.iter().any(|token| token == "Ġth"));
        }
    }

    /// The tokenizer and template of a file with this vocabulary.
    fn loaded(name: &str) -> (Tokenizer, ChatTemplate) {
        let size = SIZES.iter().find(|size| size.name == name).unwrap();
        let config = size.config(false);
        let mut writer = GgufWriter::new();
        for (key, value) in keys(&config, &vocabulary(&config), None) {
            writer.set(key, value);
        }
        let mut bytes = Vec::new();
        writer.write_to(&mut bytes).unwrap();
        let file = GgufFile::from_bytes(bytes).unwrap();
        let tokenizer = Tokenizer::from_metadata(file.metadata()).unwrap();
        let template = ChatTemplate::from_metadata(file.metadata(), &tokenizer).unwrap();
        (tokenizer, template)
    }

    #[test]
    fn text_goes_through_the_tokenizer_and_back() {
        const TEXT: &str = "There is some text, which the tokenizer takes apart into a few tokens, and puts together again.\n\n\
                            Zażółć gęślą jaźń; 我能吞下玻璃 👍 x = 3.14159";
        for name in ["qwen3.5-0.8b", "qwen3-next-80b-a3b", "qwen3.5-tiny"] {
            let (tokenizer, template) = loaded(name);
            let ids = tokenizer.encode(TEXT, Specials::All);
            assert_eq!(tokenizer.decode(&ids).unwrap(), TEXT, "{name}");
            let english = TEXT.split('\n').next().unwrap();
            let each = english.len() as f64 / tokenizer.encode(english, Specials::All).len() as f64;
            let wanted = if name.ends_with("tiny") { 1.8..3.0 } else { 2.5..4.5 };
            assert!(wanted.contains(&each), "{name}: {each} characters a token");
            let messages = [Message::new("user", "Hello")];
            let request =
                ChatRequest { messages: &messages, add_generation_prompt: true, ..ChatRequest::default() };
            let prompt = template.render(&request, tokenizer.specials()).unwrap();
            assert!(
                prompt.opens_thought() && prompt.text.starts_with("<|im_start|>user\nHello"),
                "{prompt:?}"
            );
            assert!(tokenizer.is_end(tokenizer.eos().unwrap()));
        }
    }

    #[test]
    fn letters_of_bytes() {
        assert_eq!((letter_of(b' '), letter_of(b'\n'), letter_of(b'a')), (SPACE, LINE, 'a'));
        assert_eq!((0..=u8::MAX).map(letter_of).collect::<HashSet<_>>().len(), 256);
    }
}
