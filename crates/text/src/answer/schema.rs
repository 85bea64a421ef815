//! Arguments written as plain text to JSON values, by what the tool's definition says of the parameter. A model that
//! writes `<parameter=n>3` means a number or a string, and only the definition knows which.

use std::collections::HashMap;

use serde_json::Value;

/// The parameters of each tool.
#[derive(Debug, Clone, Default)]
pub(super) struct Schemas {
    tools: HashMap<String, Value>,
}

impl Schemas {
    /// Reads definitions in the form of OpenAI's API, with or without the wrapping `function`. What has no name or no
    /// parameters is passed over.
    pub(super) fn new(tools: &[Value]) -> Schemas {
        let tools = tools.iter().filter_map(|tool| {
            let function = tool.get("function").unwrap_or(tool);
            let name = function.get("name")?.as_str()?.to_owned();
            Some((name, function.get("parameters").cloned().unwrap_or_default()))
        });
        Schemas { tools: tools.collect() }
    }

    /// The value of `text` for a parameter. Text that does not fit the parameter's types, or a parameter without types,
    /// stays text: the tool can complain of it, while a guess would hide it.
    pub(super) fn value(&self, tool: &str, parameter: &str, text: &str) -> Value {
        let mut types = Vec::new();
        if let Some(whole) = self.tools.get(tool)
            && let Some(schema) = whole.get("properties").and_then(|all| all.get(parameter))
        {
            collect(schema, whole, &mut types, &mut { PARTS });
        }
        let trimmed = text.trim();
        let value = serde_json::from_str(trimmed).ok().or_else(|| python_literal(trimmed));
        match value {
            Some(value) if types.iter().any(|name| is(&value, name)) => value,
            _ => Value::String(text.to_owned()),
        }
    }
}

/// Whether the text of a parameter of this schema is taken as it is: where it may be a string, or nothing is said of its types. What it
/// refers to is looked up in itself.
#[must_use]
pub fn text_parameter(schema: &Value) -> bool {
    let mut types = Vec::new();
    collect(schema, schema, &mut types, &mut { PARTS });
    types.is_empty() || types.contains(&"string")
}

/// Parts of a schema that are looked at: one that refers to itself has no end.
const PARTS: usize = 256;

/// The names of the types a schema allows, strings left out since everything is one.
fn collect<'a>(schema: &'a Value, whole: &'a Value, types: &mut Vec<&'a str>, left: &mut usize) {
    let Some(fewer) = left.checked_sub(1) else { return };
    *left = fewer;
    match schema.get("type") {
        Some(Value::String(name)) => types.push(name),
        Some(Value::Array(names)) => types.extend(names.iter().filter_map(Value::as_str)),
        _ => {}
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for inner in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            collect(inner, whole, types, left);
        }
    }
    let at = schema.get("$ref").and_then(Value::as_str).and_then(|at| at.strip_prefix('#'));
    if let Some(meant) = at.and_then(|at| whole.pointer(at)) {
        collect(meant, whole, types, left);
    }
}

/// Templates print arguments of earlier calls with Python's `str`, and models imitate what they read.
fn python_literal(text: &str) -> Option<Value> {
    match text {
        "True" => Some(Value::Bool(true)),
        "False" => Some(Value::Bool(false)),
        "None" => Some(Value::Null),
        _ => None,
    }
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|float| float.fract() == 0.0)
        }
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn definitions_decide() {
        let schemas = Schemas::new(&[
            json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {
                "s": {"type": "string"}, "i": {"type": "integer"}, "n": {"type": "number"}, "b": {"type": "boolean"},
                "l": {"type": "array"}, "o": {"type": "object"}, "x": {"type": ["integer", "null", "string"]},
                "y": {"anyOf": [{"type": "integer"}, {"type": "array"}]}, "z": {},
                "r": {"$ref": "#/$defs/n"}, "w": {"$ref": "#/$defs/w"}, "v": {"$ref": "elsewhere"}
            }, "$defs": {"n": {"type": "integer"}, "w": {"$ref": "#/$defs/w"}}}}}),
            json!({"name": "bare", "parameters": {"properties": {"i": {"type": "integer"}}}}),
            json!({"name": 3}),
            json!("nonsense"),
        ]);
        for (parameter, text, value) in [
            ("s", "3", json!("3")),
            ("s", " {\"a\": 1}\n", json!(" {\"a\": 1}\n")),
            ("i", "3", json!(3)),
            ("i", " 3 ", json!(3)),
            ("i", "3.5", json!("3.5")),
            ("i", "three", json!("three")),
            ("n", "3.5", json!(3.5)),
            ("b", "True", json!(true)),
            ("b", "false", json!(false)),
            ("l", "[1, \"a\"]", json!([1, "a"])),
            ("l", "[1,", json!("[1,")),
            ("o", "{\"a\": {}}", json!({"a": {}})),
            ("x", "None", json!(null)),
            ("x", "7", json!(7)),
            ("x", "true", json!("true")),
            ("y", "[]", json!([])),
            ("z", "1", json!("1")),
            ("r", "1", json!(1)),
            ("w", "1", json!("1")),
            ("v", "1", json!("1")),
            ("unknown", "1", json!("1")),
        ] {
            assert_eq!(schemas.value("f", parameter, text), value, "{parameter} {text}");
        }
        assert_eq!(schemas.value("bare", "i", "1"), json!(1));
        assert_eq!(schemas.value("nobody", "i", "1"), json!("1"));
    }
}
