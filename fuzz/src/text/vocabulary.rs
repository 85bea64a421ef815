//! Vocabularies: GGUF metadata to a tokenizer, texts to tokens and back.

use mynah_gguf::{GgufFile, GgufWriter, Metadata};
use mynah_text::bpe::{Kind, Specials, Tokenizer};
use mynah_text::chat::{ChatRequest, ChatTemplate, Message};
use mynah_text::stream::TextStream;

use crate::{Target, kind_of};

/// The target.
pub const TARGET: Target = Target { name: "vocabulary", run, seeds, dictionary: DICTIONARY };

/// In normal form C, so that encoding changes nothing about them.
const TEXTS: [&str; 4] = [
    "",
    "Hello, it's 2026-11-21!\r\n\n  \tdéjà vu <|im_end|><think>",
    "こんにちは 안녕 สวัสดี \u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f466} ٣٤",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// Reads a vocabulary and uses it.
///
/// # Panics
/// When tokens are not what they should be.
pub fn run(bytes: &[u8]) -> u64 {
    let file = match GgufFile::from_bytes(bytes.to_vec()) {
        Ok(file) => file,
        Err(error) => return kind_of(&error.to_string()),
    };
    let tokenizer = match Tokenizer::from_metadata(file.metadata()) {
        Ok(tokenizer) => tokenizer,
        Err(error) => return kind_of(&error.to_string()) ^ 1,
    };
    let mut answer = tokenizer.ends().len() as u64;
    for text in TEXTS {
        for specials in [Specials::None, Specials::UserDefined, Specials::All] {
            let ids = tokenizer.encode(text, specials);
            answer = answer.wrapping_mul(31).wrapping_add(ids.len() as u64);
            check(&tokenizer, text, &ids);
        }
    }
    answer ^ chat(file.metadata(), &tokenizer)
}

fn check(tokenizer: &Tokenizer, text: &str, ids: &[u32]) {
    let mut stream = TextStream::new(["</s>"]);
    let (mut spelled, mut plain) = (Vec::new(), true);
    for &id in ids {
        match (tokenizer.kind(id), tokenizer.token_bytes(id), stream.push(tokenizer, id)) {
            (Ok(kind), Ok(bytes), Ok(_)) => {
                plain &= kind == Kind::Normal;
                spelled.extend_from_slice(bytes);
            }
            (kind, bytes, pushed) => panic!("token {id} of {text:?}: {kind:?} {bytes:?} {pushed:?}"),
        }
    }
    if plain {
        assert_eq!(spelled, text.as_bytes(), "the tokens don't spell the text");
    }
    assert!(tokenizer.decode(ids).is_ok());
    let beyond = tokenizer.len() as u32;
    assert!(tokenizer.kind(beyond).is_err() && tokenizer.decode(&[beyond]).is_err());
}

fn chat(metadata: &Metadata, tokenizer: &Tokenizer) -> u64 {
    let template = match ChatTemplate::from_metadata(metadata, tokenizer) {
        Ok(template) => template,
        Err(error) => return kind_of(&error.to_string()),
    };
    let messages = [Message::new("user", TEXTS[1])];
    let request = ChatRequest { messages: &messages, add_generation_prompt: true, ..ChatRequest::default() };
    match template.render(&request, tokenizer.specials()) {
        Ok(prompt) => tokenizer.encode_prompt(&prompt).len() as u64,
        Err(error) => kind_of(&error.to_string()),
    }
}

/// The test vocabularies cut down to their bytes, the first merges and the special tokens.
fn seeds() -> Vec<Vec<u8>> {
    let files: [&[u8]; 2] = [
        include_bytes!("../../../fixtures/text/qwen2.gguf"),
        include_bytes!("../../../fixtures/text/qwen35.gguf"),
    ];
    files.into_iter().filter_map(|bytes| small(bytes).ok()).collect()
}

fn small(bytes: &[u8]) -> Result<Vec<u8>, mynah_gguf::GgufError> {
    const BYTES: usize = 256;
    const MERGES: usize = 12;
    let file = GgufFile::from_bytes(bytes.to_vec())?;
    let list = |key: &str| file.get_str_array(&format!("tokenizer.ggml.{key}"));
    let (tokens, merges) = (list("tokens")?.unwrap_or_default(), list("merges")?.unwrap_or_default());
    let types = file.get_i32_array("tokenizer.ggml.token_type")?.unwrap_or_default();
    let kept = |at: usize| at < BYTES + MERGES || types.get(at).is_some_and(|&kind| kind != 1);
    let mut writer = GgufWriter::new();
    let cut: Vec<String> = (0..tokens.len()).filter(|&at| kept(at)).map(|at| tokens[at].clone()).collect();
    let cut_types: Vec<i32> = (0..types.len()).filter(|&at| kept(at)).map(|at| types[at]).collect();
    let last = cut.len() as u32 - 1;
    writer.set("general.architecture", "qwen35").set("tokenizer.ggml.model", "gpt2");
    writer.set("tokenizer.ggml.pre", file.get_str("tokenizer.ggml.pre")?.unwrap_or("qwen2"));
    writer.set("tokenizer.ggml.tokens", cut).set("tokenizer.ggml.token_type", cut_types);
    writer.set("tokenizer.ggml.merges", merges.iter().take(MERGES).cloned().collect::<Vec<_>>());
    writer.set("tokenizer.ggml.eos_token_id", last).set("tokenizer.ggml.add_bos_token", false);
    writer.set(
        "tokenizer.chat_template",
        "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}",
    );
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes)?;
    Ok(bytes)
}

const DICTIONARY: &[&[u8]] = &[
    b"qwen2",
    b"qwen35",
    b"tokenizer.ggml.bos_token_id",
    b"tokenizer.ggml.eot_token_id",
    b"tokenizer.ggml.add_bos_token",
    b"<|im_end|>",
    b"<|endoftext|>",
    b"<think>",
    b"\x01\0\0\0\0\0\0\0",
    b"\x01\0\0\0\0\0\0\0 ",
    b"\x03\0\0\0",
    b"\x04\0\0\0",
    b"\x05\0\0\0",
    b"\xc4\xa0",
    b"\xc4\x8a",
    b"\xff\xff\xff\xff",
];
