//! The languages a grammar can be written in.

use llguidance::api::TopLevelGrammar;
use serde_json::{Value, json};

use super::error::GrammarError;

/// What an answer has to look like.
#[derive(Debug, Clone, PartialEq)]
pub enum Grammar {
    /// A JSON object, whatever is in it (OpenAI's `json_object`).
    Json,
    /// JSON that fulfils a schema (draft 2020-12 and its forerunners as far as
    /// [llguidance goes](https://github.com/guidance-ai/llguidance/blob/main/docs/json_schema.md)); references stay inside the schema
    /// and are pointers (`#/$defs/…`). Properties come in the schema's order.
    JsonSchema(Value),
    /// The whole answer matches a regular expression (the syntax of the crate `regex`, no look-around).
    Regex(String),
    /// A context-free grammar in
    /// [llguidance's kind of Lark](https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md), from the rule `start`.
    Lark(String),
}

/// Between two parts of JSON. Unbounded white space is where small models get lost: they indent for ever.
const JSON_SPACE: &str = r"[\x20\x0A\x0D\x09]{1,40}";

/// Longest grammar that is tried, in bytes; a schema's as JSON.
const LONGEST: usize = 1 << 20;

impl Grammar {
    /// Reads a schema from a text of JSON.
    ///
    /// # Errors
    /// [`GrammarError::Schema`] with line and column if it is none.
    pub fn json_schema(text: &str) -> Result<Grammar, GrammarError> {
        let schema = serde_json::from_str(text);
        schema.map(Grammar::JsonSchema).map_err(|error| GrammarError::Schema { reason: error.to_string() })
    }

    /// In llguidance's form.
    pub(super) fn top_level(&self) -> Result<TopLevelGrammar, GrammarError> {
        let length = match self {
            Grammar::Json => 0,
            Grammar::JsonSchema(schema) => schema.to_string().len(),
            Grammar::Regex(text) | Grammar::Lark(text) => text.len(),
        };
        if length > LONGEST {
            return Err(self.fault(format!("it has {length} bytes, more than {LONGEST}")));
        }
        // The library passes over some faults, a backslash at the end for one.
        if let Grammar::Regex(regex) = self
            && let Err(error) = regex_syntax::parse(regex)
        {
            return Err(self.fault(error.to_string()));
        }
        Ok(match self {
            Grammar::Json => TopLevelGrammar::from_json_schema(spaced(json!({ "type": "object" }))),
            Grammar::JsonSchema(schema) => TopLevelGrammar::from_json_schema(spaced(schema.clone())),
            Grammar::Regex(regex) => TopLevelGrammar::from_regex(regex),
            Grammar::Lark(grammar) => TopLevelGrammar::from_lark(grammar.clone()),
        })
    }

    /// An error for this kind of grammar.
    pub(super) fn fault(&self, reason: String) -> GrammarError {
        match self {
            Grammar::Json | Grammar::JsonSchema(_) => GrammarError::Schema { reason },
            Grammar::Regex(_) => GrammarError::Regex { reason },
            Grammar::Lark(_) => GrammarError::Lark { reason },
        }
    }
}

/// The schema with bounded white space, unless it says itself what it wants.
pub(super) fn spaced(mut schema: Value) -> Value {
    if let Value::Object(fields) = &mut schema {
        fields.entry("x-guidance").or_insert_with(|| json!({ "whitespace_pattern": JSON_SPACE }));
    }
    schema
}
