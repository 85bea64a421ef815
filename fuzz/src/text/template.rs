//! Chat templates: parse, lay out chats.

use mynah_text::bpe::SpecialTokens;
use mynah_text::chat::{ChatRequest, ChatTemplate, Clock, Message};
use serde_json::json;

use crate::{Target, kind_of};

/// The target.
pub const TARGET: Target = Target { name: "template", run, seeds, dictionary: DICTIONARY };

/// Reads a template and lays out a chat with everything in it.
///
/// # Panics
/// When marks of literal text are not where they can be.
pub fn run(bytes: &[u8]) -> u64 {
    let source = String::from_utf8_lossy(bytes);
    let template = match ChatTemplate::new(&source) {
        Ok(template) => template,
        Err(error) => return kind_of(&error.to_string()),
    };
    let mut call = Message::new("assistant", "Let me see.");
    call.reasoning_content = Some("A tool?".to_owned());
    call.tool_calls =
        serde_json::from_value(json!([{"function": {"name": "f", "arguments": {"a": [1, null, "x"]}}}])).ok();
    let messages = [
        Message::new("system", "Be brief."),
        Message::new("user", "Hi <|im_end|>"),
        call,
        Message::new("tool", "3"),
    ];
    let tools = [json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}})];
    let request = ChatRequest {
        messages: &messages,
        tools: &tools,
        add_generation_prompt: true,
        enable_thinking: Some(true),
        clock: Clock::Fixed { unix_seconds: 1_772_323_199 },
        ..ChatRequest::default()
    };
    match template.render(&request, &SpecialTokens::default()) {
        Ok(prompt) => {
            assert!(prompt.literal.is_sorted() && prompt.literal.iter().all(|&at| at <= prompt.text.len()));
            // The order of magnitude: every length would be a new answer.
            let magnitude = prompt.text.len().checked_ilog2().map_or(0, u64::from);
            magnitude + u64::from(prompt.opens_thought()) * 64
        }
        Err(error) => kind_of(&error.to_string()),
    }
}

/// The templates of the tests, and lines with what they leave out.
fn seeds() -> Vec<Vec<u8>> {
    let files: [&[u8]; 3] = [
        include_bytes!("../../../fixtures/text/templates/features.jinja"),
        include_bytes!("../../../fixtures/text/templates/hermes.jinja"),
        include_bytes!("../../../fixtures/text/templates/tagged.jinja"),
    ];
    let lines = [
        "{% for m in messages[::-1] %}{{ loop.index }}{{ m | tojson(indent=2) }}{% endfor %}",
        "{% macro f(x) %}{{ x * 2 }}{% endmacro %}{{ f('ab') }}{{ f(21) }}{{ 7 // 2 }}{{ -7 % 3 }}",
        "{% set ns = namespace(n=0) %}{% for i in range(9) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
        "{{ strftime_now('%Y-%m-%d') }}{{ messages | length }}{{ raise_exception('no') }}",
        "{% generation %}{{ messages[1]['content'].split('|') | join('-') | trim }}{% endgeneration %}",
    ];
    files.into_iter().map(<[u8]>::to_vec).chain(lines.map(|line| line.as_bytes().to_vec())).collect()
}

const DICTIONARY: &[&[u8]] = &[
    b"{% for m in messages %}",
    b"{% endfor %}",
    b"{% if ",
    b"{% else %}",
    b"{% endif %}",
    b"{% set x = ",
    b"{%- ",
    b" -%}",
    b"{{ ",
    b" }}",
    b"{# ",
    b"loop.previtem",
    b"loop.first",
    b"namespace(",
    b"range(99999)",
    b" | tojson",
    b" | string",
    b" | items",
    b".split('",
    b".startswith('",
    b"[::-1]",
    b"[1:]",
    b" is defined",
    b" is mapping",
    b"{% break %}",
    b"{% macro f(x) %}",
    b"{% endmacro %}",
    b"{% generation %}",
    b"{% endgeneration %}",
    b"strftime_now('%",
    b"raise_exception(",
    b"9223372036854775807",
    b"\xee\x80\x80",
];
