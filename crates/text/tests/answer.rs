//! Answers of models, well-formed and not: nothing is lost, and pieces make no difference.

use mynah_text::answer::{Answer, AnswerParser, Part};
use proptest::prelude::*;
use serde_json::{Value, json};

fn tools() -> Vec<Value> {
    vec![
        json!({"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {
        "a": {"type": "integer"}, "b": {"type": "integer"}, "note": {"type": "string"}}}}}),
    ]
}

fn calls(answer: &Answer) -> Vec<(&str, &Value)> {
    answer.calls.iter().map(|call| (call.function.name.as_str(), &call.function.arguments)).collect()
}

const TAGGED: &str = "<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=note>\nx\ny\n</parameter>\n</function>\n</tool_call>";
const HERMES: &str =
    "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"note\": \"x\\ny\"}}\n</tool_call>";

#[test]
fn a_thought_a_text_and_calls() {
    for call in [TAGGED, HERMES] {
        let text = format!("I must add.\n</think>\n\nLet me see.\n\n{call}\n{call}");
        let answer = Answer::parse(&text, true, &tools());
        assert_eq!(answer.reasoning, "I must add.");
        assert_eq!(answer.text, "Let me see.");
        assert_eq!(calls(&answer), [("add", &json!({"a": 1, "note": "x\ny"})); 2]);
    }
}

#[test]
fn a_thought_may_open_itself() {
    for text in ["<think>\nHm.\n</think>\n\nYes.", "\n<think>Hm.</think>Yes."] {
        let answer = Answer::parse(text, false, &[]);
        assert_eq!((answer.reasoning.as_str(), answer.text.as_str()), ("Hm.", "Yes."));
    }
    assert_eq!(Answer::parse("Say <think> twice.", false, &[]).text, "Say <think> twice.");
    assert_eq!(Answer::parse("No </think> here.", false, &[]).text, "No </think> here.");
    assert_eq!(Answer::parse("Cut of", true, &[]).reasoning, "Cut of");
    assert_eq!(
        Answer::parse("\n\n</think>\n\nYes.", true, &[]),
        Answer { text: "Yes.".into(), ..Answer::default() }
    );
    assert_eq!(Answer::parse("  \n", false, &[]).text, "  \n");
}

#[test]
fn calls_without_tools_are_text() {
    assert_eq!(Answer::parse(TAGGED, false, &[]).text, TAGGED);
}

#[test]
fn a_function_without_its_opening_tag() {
    let answer = Answer::parse(&TAGGED["<tool_call>\n".len()..], false, &tools());
    assert_eq!(calls(&answer), [("add", &json!({"a": 1, "note": "x\ny"}))]);
}

#[test]
fn a_call_may_miss_its_end() {
    for call in [TAGGED, HERMES] {
        let answer = Answer::parse(call.trim_end_matches("\n</tool_call>"), false, &tools());
        assert_eq!((calls(&answer).len(), answer.text.as_str()), (1, ""));
    }
}

#[test]
fn malformed_calls_are_text() {
    for call in [
        "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}\n</tool_call>",
        "<tool_call>\nadd(1, 2)\n</tool_call>",
        "<tool_call></tool_call>",
        "<tool_call>\n<function=add>\n<parameter=a>\n1\n</function>\n</tool_call>",
        "<tool_call>\n<function=add>\n<parameter=a>\n1",
        "<tool_call",
        "<function=",
    ] {
        let answer = Answer::parse(&format!("So: {call}"), false, &tools());
        let expected = if call.ends_with('>') { format!("So:{call}") } else { format!("So: {call}") };
        assert_eq!(answer.text.replace(": ", ":"), expected.replace(": ", ":"), "{call}");
        assert!(answer.calls.is_empty(), "{call}");
    }
    let two = format!("<tool_call>\nwhat?\n</tool_call>\n{HERMES}");
    let answer = Answer::parse(&two, false, &tools());
    assert_eq!((answer.text.as_str(), answer.calls.len()), ("<tool_call>\nwhat?\n</tool_call>", 1));
}

#[test]
fn a_value_may_quote_the_tags() {
    let quote = "<tool_call>\n<function=add>\n<parameter=note>\nWrite </tool_call> or </parameter> at the end.\n</parameter>\n</function>\n</tool_call>";
    let answer = Answer::parse(quote, false, &tools());
    assert_eq!(calls(&answer), [("add", &json!({"note": "Write </tool_call> or </parameter> at the end."}))]);
}

#[test]
fn endless_quotes_are_given_up() {
    let answer = format!("<tool_call><function=add><parameter=a>{}", "</tool_call>".repeat(20_000));
    assert_eq!(Answer::parse(&answer, false, &tools()).text, answer);
}

/// Neighbours of one kind joined.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut out: Vec<Part> = Vec::new();
    for part in parts {
        match (out.last_mut(), part) {
            (Some(Part::Text(before)), Part::Text(more)) => before.push_str(&more),
            (Some(Part::Reasoning(before)), Part::Reasoning(more)) => before.push_str(&more),
            (_, part) => out.push(part),
        }
    }
    out
}

fn parsed<'a>(pieces: impl IntoIterator<Item = &'a str>, thinking: bool) -> Vec<Part> {
    let mut parser = AnswerParser::new(thinking, &tools());
    let mut parts: Vec<Part> = pieces.into_iter().flat_map(|piece| parser.push(piece)).collect();
    parts.extend(parser.finish());
    joined(parts)
}

fn solid(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

proptest! {
    #[test]
    fn nothing_is_lost_and_pieces_do_not_matter(
        pieces in prop::collection::vec(prop_oneof![
            prop::sample::select(vec![
                "<think>", "</think>", "<tool_call>", "</tool_call>", "<function=add>", "</function>", "<parameter=a>",
                "</parameter>", "{\"name\": \"add\"", ", \"arguments\": {}}", "\n", " ", "1", "é", "<", TAGGED, HERMES,
            ]).prop_map(str::to_owned),
            "[a-z<>/_ \n]{1,8}",
        ], 0..14),
        thinking in any::<bool>(),
    ) {
        let text = pieces.concat();
        let whole = parsed([text.as_str()], thinking);
        let single: Vec<String> = text.chars().map(String::from).collect();
        prop_assert_eq!(&parsed(single.iter().map(String::as_str), thinking), &whole);
        prop_assert_eq!(&parsed(pieces.iter().map(String::as_str), thinking), &whole);

        let mut rest = solid(&text);
        // The tags of a thought are all that may be missing.
        let opened = !thinking && rest.starts_with("<think>");
        if opened {
            rest = rest["<think>".len()..].to_owned();
        }
        if thinking || opened {
            rest = rest.replacen("</think>", "", 1);
        }
        let kept: String = whole.iter().map(|part| match part {
            Part::Reasoning(text) | Part::Text(text) | Part::Call { source: text, .. } => solid(text),
        }).collect();
        prop_assert_eq!(kept, rest);
    }
}
