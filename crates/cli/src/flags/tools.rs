//! The tools that a model may call, from a file.

use crate::exit::Usage;
use anyhow::Context as _;
use serde_json::{Value, json};

/// Reads definitions of tools: a list in the shape of OpenAI's API, or an object with such a list under `tools`. Functions that stand
/// there without their wrapping are wrapped, as templates want them.
///
/// # Errors
/// A file that can't be read or is no such list.
pub(crate) fn read_tools(path: &str) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {path}"))?;
    let value: Value = serde_json::from_str(&text).with_context(|| format!("{path} is no JSON"))?;
    let list = match value {
        Value::Object(mut fields) if fields.contains_key("tools") => fields.remove("tools"),
        other => Some(other),
    };
    let Some(Value::Array(tools)) = list else {
        return Err(wrong(format!("{path} is no list of tools")));
    };
    if tools.is_empty() {
        return Err(wrong(format!("{path} has no tools")));
    }
    let mut names: Vec<String> = Vec::new();
    let mut all = Vec::new();
    for (n, tool) in tools.into_iter().enumerate() {
        let function = tool.get("function").unwrap_or(&tool);
        let name = function.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(wrong(format!("tool {} of {path} has no name", n + 1)));
        }
        if names.contains(&name) {
            return Err(wrong(format!("{path} has two tools of the name '{name}'")));
        }
        let parameters = function.get("parameters");
        if parameters.is_some_and(|p| !p.is_object()) {
            return Err(wrong(format!("the parameters of '{name}' in {path} are no schema")));
        }
        names.push(name);
        let wrapped = tool.get("function").is_some();
        all.push(if wrapped { tool } else { json!({ "type": "function", "function": tool }) });
    }
    Ok(all)
}

fn wrong(what: String) -> anyhow::Error {
    let hint = r#"such as [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]"#;
    Usage::new(what, hint).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Value>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_tools(file.path().to_str().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn lists_with_and_without_wrapping() {
        let wrapped = json!([{ "type": "function", "function": { "name": "f", "description": "d" } }]);
        assert_eq!(read(&wrapped.to_string()).unwrap(), *wrapped.as_array().unwrap());
        assert_eq!(read(&json!({ "tools": wrapped }).to_string()).unwrap(), *wrapped.as_array().unwrap());
        assert_eq!(read(r#"[{"name": "f", "description": "d"}]"#).unwrap(), *wrapped.as_array().unwrap());
    }

    #[test]
    fn what_is_no_list_of_tools() {
        for (text, why) in [
            ("{", "no JSON"),
            ("{}", "no list"),
            ("3", "no list"),
            ("[]", "no tools"),
            ("[3]", "tool 1"),
            (r#"[{"name": "f"}, {"function": {"name": ""}}]"#, "tool 2"),
            (r#"[{"name": "f"}, {"function": {"name": "f"}}]"#, "two tools"),
            (r#"[{"name": "f", "parameters": []}]"#, "no schema"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(read_tools("no/such/file").is_err());
    }
}
