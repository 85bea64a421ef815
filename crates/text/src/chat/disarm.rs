//! Keeps special tokens in messages from becoming special tokens of the prompt.
//!
//! A template joins its own marks and the users' words to one string, and then nobody can tell whose `<|im_end|>` it
//! was. So before rendering, each special token in a message gets a character put inside that occurs nowhere else; after
//! rendering the characters are taken out and their places noted. The character is inside the token, never beside it,
//! so that a template which cuts texts into pieces can't carry it next to a mark of its own.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Prompt;
use crate::bpe::{SpecialTokens, Specials};

/// Which special tokens are taken for text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The model's own earlier words: its tags (`<think>`, `<tool_call>`) are what it wrote, so that templates find
    /// them and the history encodes as it was generated. Turn marks are not.
    Model,
    /// Anybody else's: no special token.
    Others,
}

pub(super) struct Disarm<'a> {
    specials: &'a SpecialTokens,
    marker: char,
}

impl<'a> Disarm<'a> {
    /// Chooses a marker: the first character of the last private-use plane that occurs in none of the texts. There are
    /// 65,534 of them; if all occur, the texts are no texts and the last one serves.
    pub(super) fn new(specials: &'a SpecialTokens, template: &str, values: &[Value]) -> Disarm<'a> {
        let mut taken = HashSet::new();
        note(template, &mut taken);
        for value in values {
            visit(value, &mut |text| note(text, &mut taken));
        }
        let marker = PLANE.into_iter().find(|c| !taken.contains(c)).unwrap_or('\u{10fffd}');
        Disarm { specials, marker }
    }

    /// A message with its special tokens disarmed, names of fields apart.
    pub(super) fn message(&self, mut message: Value) -> Value {
        let whose = match message.get("role").and_then(Value::as_str) {
            Some("assistant") => Whose::Model,
            _ => Whose::Others,
        };
        if let Value::Object(fields) = &mut message {
            for (_, value) in fields.iter_mut() {
                *value = self.value(std::mem::take(value), whose);
            }
        }
        message
    }

    /// Any value: strings and keys at every depth.
    pub(super) fn value(&self, value: Value, whose: Whose) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text, whose)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item, whose)).collect(),
            Value::Object(fields) => {
                let fields =
                    fields.into_iter().map(|(key, item)| (self.text(key, whose), self.value(item, whose)));
                Value::Object(fields.collect::<Map<_, _>>())
            }
            other => other,
        }
    }

    fn text(&self, text: String, whose: Whose) -> String {
        let mut out = String::new();
        let (mut done, mut from) = (0, 0);
        let find = |from| match whose {
            Whose::Model => self.specials.find_control(&text, from),
            Whose::Others => self.specials.find(&text, from, Specials::All),
        };
        while let Some((found, _)) = find(from) {
            let inside = found.start + text[found.start..].chars().next().map_or(1, char::len_utf8);
            if inside < found.end {
                out.push_str(&text[done..inside]);
                out.push(self.marker);
                done = inside;
            }
            // Another token may begin inside this one.
            from = inside;
        }
        if done == 0 {
            return text;
        }
        out.push_str(&text[done..]);
        out
    }

    /// Takes the markers out again.
    pub(super) fn prompt(&self, rendered: &str) -> Prompt {
        let mut prompt = Prompt::default();
        for (at, piece) in rendered.split(self.marker).enumerate() {
            if at > 0 {
                prompt.literal.push(prompt.text.len());
            }
            prompt.text.push_str(piece);
        }
        prompt
    }
}

const PLANE: std::ops::RangeInclusive<char> = '\u{100000}'..='\u{10fffd}';

fn note(text: &str, taken: &mut HashSet<char>) {
    taken.extend(text.chars().filter(|c| PLANE.contains(c)));
}

fn visit(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
        Value::Object(fields) => {
            for (key, item) in fields {
                see(key);
                visit(item, see);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
