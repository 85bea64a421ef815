//! Answers: taken apart whole and in pieces, with stop strings.

use mynah_text::answer::{Answer, AnswerParser, Part};
use mynah_text::stream::{StopStrings, Utf8Stream};
use serde_json::json;

use crate::Target;

/// The target.
pub const TARGET: Target = Target { name: "answer", run, seeds, dictionary: DICTIONARY };

/// The first byte says how long pieces are, whether it begins in a thought and whether there are tools; the rest was written by a
/// model.
///
/// # Panics
/// When pieces make another answer than the whole.
pub fn run(bytes: &[u8]) -> u64 {
    let Some((&how, bytes)) = bytes.split_first() else { return 0 };
    let (piece, thinking, calls) = (usize::from(how & 0x3f) + 1, how & 0x40 != 0, how & 0x80 != 0);
    let tools = [
        json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {
            "n": {"type": "integer"}, "list": {"type": "array"}, "any": {}, "text": {"type": "string"},
        }}}}),
    ];
    let tools = if calls { &tools[..] } else { &[] };
    let whole = String::from_utf8_lossy(bytes).into_owned();
    let expected = Answer::parse(&whole, thinking, tools);

    let mut characters = Utf8Stream::default();
    let mut parser = AnswerParser::new(thinking, tools);
    let mut found = Answer::default();
    let mut said = String::new();
    let mut take = |parts: Vec<Part>| {
        for part in parts {
            match part {
                Part::Reasoning(more) => found.reasoning += &more,
                Part::Text(more) => found.text += &more,
                Part::Call { call, .. } => found.calls.push(call),
            }
        }
    };
    for piece in bytes.chunks(piece) {
        let text = characters.push(piece);
        said += &text;
        take(parser.push(&text));
    }
    let text = characters.finish();
    said += &text;
    take(parser.push(&text));
    take(parser.finish());
    assert_eq!(said, whole, "characters in pieces");
    assert_eq!(found, expected, "parts in pieces");

    let stops = ["</", "\n\n", "é!"];
    let mut watch = StopStrings::new(stops);
    let mut before = watch.push(&whole);
    before += &watch.finish();
    assert!(whole.starts_with(&before) && !stops.iter().any(|stop| before.contains(stop)));
    let shape = [expected.calls.len(), expected.text.len(), expected.reasoning.len()];
    shape.iter().fold(u64::from(how >> 6), |answer, &n| {
        answer * 33 + n.checked_ilog2().map_or(0, |n| u64::from(n) + 1)
    })
}

fn seeds() -> Vec<Vec<u8>> {
    let answers: [(u8, &str); 5] = [
        (0x43, "Let me think.\n</think>\n\nFour."),
        (0x07, "<think>\nhm\n</think>\n\nYes é!"),
        (
            0x82,
            "I look.\n<tool_call>\n<function=f>\n<parameter=n>\n3\n</parameter>\n<parameter=text>\n<b>\n\n</parameter>\n</function>\n</tool_call>",
        ),
        (
            0xc5,
            "a</think><tool_call>\n{\"name\": \"f\", \"arguments\": {\"list\": [1, 2]}}\n</tool_call><tool_call>{}</tool_call>",
        ),
        (0x80, "<tool_call><function=f><parameter=text>x</tool_call> y</parameter></function></tool_call>"),
    ];
    answers.iter().map(|(how, text)| [&[*how], text.as_bytes()].concat()).collect()
}

const DICTIONARY: &[&[u8]] = &[
    b"<think>",
    b"</think>",
    b"<tool_call>",
    b"</tool_call>",
    b"<function=f>",
    b"</function>",
    b"<parameter=n>",
    b"<parameter=",
    b"</parameter>",
    b"{\"name\": \"f\", \"arguments\": ",
    b"{\"a\":1}",
    b"\n",
    b"</",
    b"\xc3\xa9",
    b"\xf0\x9f\x98\x80",
    b"\xe2\x82",
];
