//! One tool call as a model wrote it, to a name and arguments; `None` for what is no call.
//!
//! Tags: `<function=NAME>`, then for each argument `<parameter=KEY>`, a line break, the value, a line break,
//! `</parameter>`; then `</function>`. JSON: `{"name": …, "arguments": {…}}`.

use serde_json::{Map, Value};

use super::schema::Schemas;
use super::tags::{FUNCTION, FUNCTION_END};
use crate::chat::{ToolCall, object};

const PARAMETER: &str = "<parameter=";
const PARAMETER_END: &str = "</parameter>";

/// Reads what stands between `<tool_call>` and `</tool_call>`.
pub(super) fn parse(body: &str, schemas: &Schemas) -> Option<ToolCall> {
    let body = body.trim();
    if body.starts_with(FUNCTION) { tagged(body, schemas) } else { hermes(body) }
}

fn hermes(body: &str) -> Option<ToolCall> {
    let Value::Object(mut call) = serde_json::from_str(body).ok()? else { return None };
    let name = call.get("name")?.as_str().filter(|name| !name.is_empty())?.to_owned();
    let arguments = call.remove("arguments").or_else(|| call.remove("parameters"));
    match object(arguments.unwrap_or_else(|| Value::Object(Map::new()))) {
        arguments @ Value::Object(_) => Some(ToolCall::new(name, arguments)),
        _ => None,
    }
}

fn tagged(body: &str, schemas: &Schemas) -> Option<ToolCall> {
    let (name, mut rest) = body.strip_prefix(FUNCTION)?.split_once('>')?;
    let name = name.trim();
    if name.is_empty() || name.contains(['<', '\n']) {
        return None;
    }
    let mut arguments = Map::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(FUNCTION_END) {
            return after.trim().is_empty().then(|| ToolCall::new(name, Value::Object(arguments)));
        }
        let (key, after) = rest.strip_prefix(PARAMETER)?.split_once('>')?;
        let (value, after) = value(after)?;
        arguments.insert(key.trim().to_owned(), schemas.value(name, key.trim(), value));
        rest = after;
    }
}

/// A value without the line breaks that set it off, and what comes after its end tag. An end tag inside a value is told
/// from its own by what follows: another parameter or the end of the function.
fn value(text: &str) -> Option<(&str, &str)> {
    let mut ends = text.match_indices(PARAMETER_END);
    let (at, after) = ends.find_map(|(at, tag)| {
        let after = text[at + tag.len()..].trim_start();
        (after.starts_with(PARAMETER) || after.starts_with(FUNCTION_END)).then_some((at, after))
    })?;
    let value = &text[..at];
    let value = value.strip_prefix('\n').unwrap_or(value);
    Some((value.strip_suffix('\n').unwrap_or(value), after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: &str) -> Option<(String, Value)> {
        let schemas =
            Schemas::new(&[json!({"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}})]);
        parse(body, &schemas).map(|call| (call.function.name, call.function.arguments))
    }

    #[test]
    fn tags() {
        let body = "\n<function=f>\n<parameter=n>\n3\n</parameter>\n<parameter=text>\n\none\n two\n\n</parameter>\n</function>\n";
        assert_eq!(read(body), Some(("f".into(), json!({"n": 3, "text": "\none\n two\n"}))));
        assert_eq!(read("<function=f></function>"), Some(("f".into(), json!({}))));
        let inside = "<function=f><parameter=a>x</parameter> y</parameter></function>";
        assert_eq!(read(inside), Some(("f".into(), json!({"a": "x</parameter> y"}))));
    }

    #[test]
    fn json() {
        assert_eq!(
            read("\n{\"name\": \"f\", \"arguments\": {\"n\": 3}}\n"),
            Some(("f".into(), json!({"n": 3})))
        );
        assert_eq!(read(r#"{"name": "f", "arguments": "{\"n\": 3}"}"#), Some(("f".into(), json!({"n": 3}))));
        assert_eq!(read(r#"{"name": "f"}"#), Some(("f".into(), json!({}))));
    }

    #[test]
    fn no_call() {
        for body in [
            "",
            "f(1)",
            "<function=>\n</function>",
            "<function=f",
            "<function=f>",
            "<function=f>text</function>",
            "<function=f><parameter=a>1</function>",
            "<function=f><parameter=a>1</parameter>",
            "<function=f></function> more",
            "{\"name\": \"f\", \"arguments\": {",
            "{\"name\": \"f\", \"arguments\": [1]}",
            "{\"name\": 1}",
            "[]",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
        assert_eq!(read(&"[".repeat(100_000)), None);
    }
}
