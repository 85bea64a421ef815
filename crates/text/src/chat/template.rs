//! A chat template in the surroundings that transformers gives it: block trimming, loop controls, Python's string and
//! dict methods, `tojson`, `raise_exception`, `strftime_now`.
//!
//! A template is a program that came with a file, so it gets a limited number of steps, a stack that those steps can't
//! exhaust, and can reach nothing but its arguments. Its memory is not limited: minijinja has no means for that, so a
//! template that doubles a string over and over is stopped by the allocator only.

use std::error::Error as _;
use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value as Jinja, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind};
use mynah_gguf::Metadata;
use serde_json::{Map, Value};

use super::disarm::{Disarm, Whose};
use super::json::{float_repr, tojson};
use super::{ChatError, Clock, Message, Prompt};
use crate::answer::CallForm;
use crate::bpe::{SpecialTokens, Tokenizer};

/// How many steps a template may take. A turn of a chat takes a few hundred.
const STEPS: u64 = 3_000_000;

/// The stack a template runs on. A list in a list in a list, a level for every few steps, is dropped recursively. Memory
/// is taken only as far as the stack is used.
const STACK_BYTES: usize = 256 << 20;

const NAME: &str = "chat_template";

/// A template that parsed.
#[derive(Debug)]
pub struct ChatTemplate {
    source: String,
    environment: Environment<'static>,
    /// `bos_token` and its like, by name.
    tokens: Map<String, Value>,
}

/// What a prompt is made of.
#[derive(Debug, Clone, Default)]
pub struct ChatRequest<'a> {
    /// The chat so far.
    pub messages: &'a [Message],
    /// Definitions of tools, in the form of OpenAI's API: `{"type": "function", "function": {…}}`.
    pub tools: &'a [Value],
    /// Whether the prompt ends with the beginning of an assistant's turn, for the model to continue.
    pub add_generation_prompt: bool,
    /// Whether the model is to think before it answers; `None` leaves that to the template.
    pub enable_thinking: Option<bool>,
    /// Further variables of the template. They come before all others, as keyword arguments do in transformers.
    pub variables: Map<String, Value>,
    /// What `strftime_now` reads.
    pub clock: Clock,
}

impl ChatTemplate {
    /// Parses a template.
    ///
    /// # Errors
    /// [`ChatError::Syntax`].
    pub fn new(source: &str) -> Result<ChatTemplate, ChatError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| syntax_error(&error))?);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_fuel(Some(STEPS));
        environment.add_filter("tojson", |value: &Jinja, options: Kwargs| tojson(value, &options));
        environment.add_filter("string", |value: &Jinja| Jinja::from(python_str(value)));
        environment.set_formatter(|out, _, value| Ok(write!(out, "{}", python_str(value))?));
        environment.add_test("iterable", |value: &Jinja| is_iterable(value));
        environment.add_test("sequence", |value: &Jinja| is_sequence(value));
        environment.add_function("raise_exception", |message: String| -> Result<Jinja, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
        });
        let plain = without_generation_tags(source);
        environment.add_template_owned(NAME, plain).map_err(|error| syntax_error(&error))?;
        Ok(ChatTemplate { source: source.to_owned(), environment, tokens: Map::new() })
    }

    /// The template of a file, which may print the names of the tokenizer's special tokens.
    ///
    /// # Errors
    /// [`ChatError::NoTemplate`] if the file has none or it is no string, [`ChatError::Syntax`].
    pub fn from_metadata(metadata: &Metadata, tokenizer: &Tokenizer) -> Result<ChatTemplate, ChatError> {
        let source =
            metadata.get_str("tokenizer.chat_template").ok().flatten().ok_or(ChatError::NoTemplate)?;
        let mut template = ChatTemplate::new(source)?;
        for (name, id) in [
            ("bos_token", tokenizer.bos()),
            ("eos_token", tokenizer.eos()),
            ("pad_token", tokenizer.padding()),
            ("unk_token", tokenizer.unknown()),
        ] {
            if let Some(text) = id.and_then(|id| tokenizer.special_name(id)) {
                template.tokens.insert(name.to_owned(), Value::String(text.to_owned()));
            }
        }
        Ok(template)
    }

    /// The template as it was given.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How a model with this template calls tools, as far as its text tells; none if it knows no calls.
    #[must_use]
    pub fn call_form(&self) -> Option<CallForm> {
        let has = |text: &str| self.source.contains(text);
        if has("<function=") {
            Some(CallForm::Tags)
        } else {
            (has("<tool_call>") && has("arguments")).then_some(CallForm::Json)
        }
    }

    /// Renders a chat. `specials` are the tokenizer's; those that stand in the request are marked as text in the
    /// prompt. In an assistant's messages that holds for control tokens only.
    ///
    /// # Errors
    /// [`ChatError::Raised`] if the template refuses the messages, [`ChatError::Endless`], [`ChatError::Render`].
    pub fn render(&self, request: &ChatRequest<'_>, specials: &SpecialTokens) -> Result<Prompt, ChatError> {
        let messages: Result<Vec<Value>, _> = request.messages.iter().map(Message::to_value).collect();
        let messages = messages.map_err(|error| ChatError::Messages { detail: error.to_string() })?;
        let variables = Value::Object(request.variables.clone());
        let tools = request.tools.to_vec();
        let given = [&messages[..], &tools, std::slice::from_ref(&variables)].concat();
        let disarm = Disarm::new(specials, &self.source, &given);

        let tools = match tools.is_empty() {
            true => Value::Null,
            false => disarm.value(Value::Array(tools), Whose::Others),
        };
        let mut context = self.tokens.clone();
        context.insert("documents".to_owned(), Value::Null);
        context.insert("tools".to_owned(), tools);
        context.insert("add_generation_prompt".to_owned(), Value::Bool(request.add_generation_prompt));
        if let Some(thinking) = request.enable_thinking {
            context.insert("enable_thinking".to_owned(), Value::Bool(thinking));
        }
        if let Value::Object(variables) = disarm.value(variables, Whose::Others) {
            context.extend(variables);
        }
        let messages = messages.into_iter().map(|message| disarm.message(message)).collect();
        context.insert("messages".to_owned(), Value::Array(messages));

        let clock = request.clock;
        let mut environment = self.environment.clone();
        environment.add_function("strftime_now", move |format: &str| -> Result<String, Error> {
            clock.format(format).map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
        });
        // Errors can hold values, so they too must end there.
        let render = || {
            let rendered =
                environment.get_template(NAME).and_then(|template| template.render(Serde(&context)));
            rendered.map_err(|error| failure(&error))
        };
        let rendered = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, render);
            thread.map_err(|error| failed(format!("no thread to run it on: {error}"))).and_then(|thread| {
                thread.join().map_err(|_| failed("its interpreter panicked".to_owned()))?
            })
        })?;
        Ok(disarm.prompt(&rendered))
    }
}

/// What `raise_exception` leaves in an error, to tell it from errors of the template itself.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

fn failed(detail: String) -> ChatError {
    ChatError::Render { line: 0, detail }
}

fn failure(error: &Error) -> ChatError {
    let line = error.line().unwrap_or(0);
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(Raised(message)) = cause.downcast_ref() {
            return ChatError::Raised { line, message: message.clone() };
        }
        if cause.downcast_ref::<Error>().is_some_and(|inner| inner.kind() == ErrorKind::OutOfFuel) {
            return ChatError::Endless { line, steps: STEPS };
        }
        source = cause.source();
    }
    match error.kind() {
        ErrorKind::OutOfFuel => ChatError::Endless { line, steps: STEPS },
        _ => ChatError::Render { line, detail: describe(error) },
    }
}

fn syntax_error(error: &Error) -> ChatError {
    ChatError::Syntax { line: error.line().unwrap_or(0), detail: describe(error) }
}

fn describe(error: &Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// What Python prints for a value. Floats apart, that is what minijinja prints.
fn python_str(value: &Jinja) -> String {
    match f64::try_from(value.clone()) {
        Ok(float) if value.kind() == ValueKind::Number && !value.is_integer() && float.is_finite() => {
            float_repr(float)
        }
        _ => value.to_string(),
    }
}

/// What Python can iterate over: not `None`, which minijinja takes for an empty list, but Jinja's undefined.
fn is_iterable(value: &Jinja) -> bool {
    value.kind() == ValueKind::Iterable || is_sequence(value)
}

/// What has a length and items: for Jinja also texts, dicts and the undefined value.
fn is_sequence(value: &Jinja) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Undefined)
}

/// Transformers knows a block `{% generation %}` that marks what an assistant said, for training. It prints what is in
/// it, as a block that is always taken does.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out.push_str(before);
        let inner = tag.trim_start_matches(['-', '+']).trim_start();
        let lead = &tag[..tag.len() - inner.len()];
        out.push_str(lead);
        rest = inner;
        for (name, instead) in [("generation", "if true"), ("endgeneration", "endif")] {
            let Some(after) = inner.strip_prefix(name) else { continue };
            if after.trim_start().trim_start_matches(['-', '+']).starts_with("%}") {
                out.push_str(instead);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_tags_become_plain_blocks() {
        assert_eq!(
            without_generation_tags("a{%- generation -%} b {% endgeneration +%}{% generations %}{%"),
            "a{%- if true -%} b {% endif +%}{% generations %}{%"
        );
    }
}
