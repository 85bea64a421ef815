//! Messages in the shape of OpenAI's chat API, which is also what templates are written for.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One message of a chat. Fields that are absent stay absent for the template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or what else the template knows.
    pub role: String,
    /// A string, or a list of parts such as `{"type": "text", "text": "…"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
    /// What an assistant thought before its answer. Templates also get it under the name `thinking`, and get here what
    /// came as `thinking` or `reasoning`, as in transformers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The calls an assistant made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// The call that a tool's message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Everything else, handed to the template as it is.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The name of this call, by which its result refers to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`.
    #[serde(rename = "type", default = "function")]
    pub kind: String,
    /// What is called.
    pub function: FunctionCall,
}

/// A function and its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// The name of the function.
    pub name: String,
    /// An object, by the names of the parameters. OpenAI's API has it as a string of JSON; templates get the object.
    #[serde(default, deserialize_with = "arguments")]
    pub arguments: Value,
}

impl Message {
    /// A message of plain text.
    #[must_use]
    pub fn new(role: &str, content: impl Into<String>) -> Message {
        Message { role: role.to_owned(), content: Some(Value::String(content.into())), ..Message::default() }
    }

    /// The message as templates have it.
    pub(super) fn to_value(&self) -> Result<Value, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        if let Value::Object(fields) = &mut value {
            let reason = ["reasoning_content", "thinking", "reasoning"]
                .into_iter()
                .find_map(|name| fields.get(name).filter(|reason| !reason.is_null()).cloned());
            if let Some(reason) = reason {
                fields.entry("thinking").or_insert_with(|| reason.clone());
                fields.insert("reasoning_content".to_owned(), reason);
            }
        }
        Ok(value)
    }
}

impl ToolCall {
    /// A call without an id.
    #[must_use]
    pub fn new(name: impl Into<String>, arguments: Value) -> ToolCall {
        ToolCall { id: None, kind: function(), function: FunctionCall { name: name.into(), arguments } }
    }
}

fn function() -> String {
    "function".to_owned()
}

/// A string that holds a JSON object becomes that object; anything else stays what it is.
fn arguments<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Value::deserialize(deserializer).map(object)
}

pub(crate) fn object(value: Value) -> Value {
    match value {
        Value::String(text) => match serde_json::from_str::<Map<String, Value>>(&text) {
            Ok(map) => Value::Object(map),
            Err(_) => Value::String(text),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a broken message is a failed test")]
    use super::*;
    use serde_json::json;

    #[test]
    fn openai_messages_read_and_write() {
        let given = json!({
            "role": "assistant", "name": "x",
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{\"b\": 1, \"a\": [2]}"}}],
        });
        let message: Message = serde_json::from_value(given).unwrap();
        assert_eq!(message.content, None);
        assert_eq!(
            serde_json::to_string(&message).unwrap(),
            r#"{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":{"b":1,"a":[2]}}}],"name":"x"}"#
        );
    }

    #[test]
    fn arguments_that_are_no_object_stay() {
        for text in ["{\"a\": ", "[1]", "", "12"] {
            let call: FunctionCall = serde_json::from_value(json!({"name": "f", "arguments": text})).unwrap();
            assert_eq!(call.arguments, json!(text));
        }
    }
}
