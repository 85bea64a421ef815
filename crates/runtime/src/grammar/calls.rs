//! The grammar of a tool call, from the tools' definitions: what stands between `<tool_call>` and `</tool_call>`.
//!
//! Two forms, those that [`mynah_text::answer`] reads. In tags a string is free text up to its end tag, since nothing in it is quoted;
//! everything else is JSON by its schema. Arguments come in the order of the definition, required ones always.

use serde_json::{Map, Value, json};

use super::error::GrammarError;
use super::kinds::{Grammar, spaced};
use mynah_text::answer::{CallForm, text_parameter};

impl Grammar {
    /// The grammar of one call of these tools, definitions in the shape of OpenAI's API, with or without the wrapping `function`. It
    /// begins after `<tool_call>` and ends before `</tool_call>`, both of which are tokens of their own.
    ///
    /// # Errors
    /// [`GrammarError::Tool`] for none at all, or for a name that doesn't fit the form.
    pub fn calls(tools: &[Value], form: CallForm) -> Result<Grammar, GrammarError> {
        if tools.is_empty() {
            return Err(fault("", "there are no tools"));
        }
        let mut rules = String::new();
        let mut calls = Vec::new();
        for (n, tool) in tools.iter().enumerate() {
            let tool = tool.get("function").unwrap_or(tool);
            let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)) {
                return Err(fault(name, "a name has letters, digits, and _ - . only"));
            }
            let parameters = tool.get("parameters").filter(|p| p.is_object());
            match form {
                CallForm::Tags => tagged(&mut rules, n, name, parameters)?,
                CallForm::Json => {
                    let call = hermes(name, parameters);
                    rules += &format!("call_{n}: %json {call}\n");
                }
            }
            calls.push(format!("call_{n}"));
        }
        let calls = calls.join(" | ");
        let start = match form {
            CallForm::Tags => format!("start: \"\\n<function=\" ({calls}) \"</function>\\n\"\n{TEXT}"),
            CallForm::Json => format!("start: \"\\n\" ({calls}) \"\\n\"\n"),
        };
        Ok(Grammar::Lark(start + &rules))
    }
}

/// A string of any kind and the tag that ends it.
const TEXT: &str = "text[suffix=\"\\n</parameter>\\n\"]: /(?s:.*)/\n";

fn fault(tool: &str, reason: &str) -> GrammarError {
    GrammarError::Tool { tool: tool.to_owned(), reason: reason.to_owned() }
}

/// The rules of a call in tags.
fn tagged(rules: &mut String, n: usize, name: &str, parameters: Option<&Value>) -> Result<(), GrammarError> {
    let all = parameters.and_then(|p| p.get("properties")).and_then(Value::as_object);
    let needed = parameters.and_then(|p| p.get("required")).and_then(Value::as_array);
    let mut call = format!("call_{n}: {}", literal(&format!("{name}>\n")));
    for (m, (key, schema)) in all.into_iter().flatten().enumerate() {
        if key.is_empty() || key.trim() != key || key.contains(['>', '<', '\n']) {
            return Err(fault(name, &format!("'{key}' can't be the name of a parameter")));
        }
        let needed = needed.is_some_and(|list| list.iter().any(|k| k.as_str() == Some(key)));
        call += &format!(" argument_{n}_{m}{}", if needed { "" } else { "?" });
        let open = literal(&format!("<parameter={key}>\n"));
        let end = literal("\n</parameter>\n");
        let schema = with_definitions(schema, parameters);
        let value = match (words(schema.as_ref()), schema) {
            (Some(words), _) => format!("({}) {end}", words.join(" | ")),
            (None, Some(schema)) if !text_parameter(&schema) => {
                *rules += &format!("value_{n}_{m}: %json {}\n", spaced(schema));
                format!("value_{n}_{m} {end}")
            }
            _ => "text".to_owned(),
        };
        *rules += &format!("argument_{n}_{m}: {open} {value}\n");
    }
    *rules += &(call + "\n");
    Ok(())
}

/// The strings that a schema lists, if it lists nothing else.
fn words(schema: Option<&Value>) -> Option<Vec<String>> {
    let schema = schema?;
    let listed = match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(listed)), _) => listed.as_slice(),
        (None, Some(one)) => std::slice::from_ref(one),
        _ => return None,
    };
    let words: Option<Vec<String>> = listed.iter().map(|word| word.as_str().map(literal)).collect();
    words.filter(|words| !words.is_empty())
}

/// A call as an object of JSON.
fn hermes(name: &str, parameters: Option<&Value>) -> Value {
    let any = || json!({ "type": "object" });
    let arguments = parameters.map_or_else(|| Some(any()), |p| with_definitions(p, Some(p)));
    let mut arguments = arguments.unwrap_or_else(any);
    let mut call = json!({
        "type": "object",
        "properties": { "name": { "const": name } },
        "required": ["name", "arguments"],
        "additionalProperties": false,
    });
    // References are looked up from the root.
    for key in DEFINITIONS {
        if let Some(definitions) = arguments.as_object_mut().and_then(|fields| fields.shift_remove(key)) {
            call[key] = definitions;
        }
    }
    // What isn't defined can't be meant, unless the definition says so.
    if let Some(fields) = arguments.as_object_mut().filter(|fields| fields.contains_key("properties")) {
        fields.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    call["properties"]["arguments"] = arguments;
    spaced(call)
}

/// Where schemas keep what they refer to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// A schema out of the parameters, with the definitions it may refer to; none if it refers to anything else, which would not be found.
fn with_definitions(schema: &Value, parameters: Option<&Value>) -> Option<Value> {
    let mut schema = schema.clone();
    let mut found = Vec::new();
    references(&schema, &mut found, 0);
    if found.is_empty() {
        return Some(schema);
    }
    let fields: &mut Map<String, Value> = schema.as_object_mut()?;
    for key in DEFINITIONS {
        if let Some(definitions) = parameters.and_then(|p| p.get(key)) {
            references(definitions, &mut found, 0);
            fields.insert(key.to_owned(), definitions.clone());
        }
    }
    let known = |at: &String| DEFINITIONS.iter().any(|key| at.starts_with(&format!("#/{key}/")));
    found.iter().all(known).then_some(schema)
}

fn references(schema: &Value, found: &mut Vec<String>, depth: usize) {
    if depth > 64 {
        // Deeper than any reader goes: as good as a reference to nowhere.
        return found.push(String::new());
    }
    match schema {
        Value::Object(fields) => {
            if let Some(at) = fields.get("$ref").and_then(Value::as_str) {
                found.push(at.to_owned());
            }
            fields.values().for_each(|value| references(value, found, depth + 1));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found, depth + 1)),
        _ => {}
    }
}

/// A text as Lark writes it.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}
