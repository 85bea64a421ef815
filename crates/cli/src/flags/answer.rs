//! What an answer of a language model may be: its length, where it stops, what it has to look like.

use super::values;
use crate::exit::Usage;
use anyhow::Context as _;
use clap::Args;
use mynah_models::language::MAX_DRAFTS;
use mynah_runtime::grammar::Grammar;
use std::path::Path;

/// Length, stop strings, grammars.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Answer")]
pub(crate) struct AnswerFlags {
    /// Most tokens that are written; by default until the model ends or the context is full
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) max_tokens: Option<usize>,

    /// Tokens of prompt and answer together that there is room for; by default what the model was made for. Memory is taken as
    /// they come
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) context: Option<u32>,

    /// Tokens that the model's own layer drafts for each step; 0 for none. The text is the same, found in fewer steps; the file must
    /// have such a layer (multi-token prediction)
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=MAX_DRAFTS as i64))]
    pub(crate) draft: u8,

    /// End before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,

    /// Only JSON that fulfils this schema: a file, or the schema itself
    #[arg(long, value_name = "FILE|JSON", group = "form")]
    pub(crate) json_schema: Option<String>,

    /// Only a JSON object
    #[arg(long, group = "form")]
    pub(crate) json_object: bool,

    /// Only text that this regular expression matches as a whole
    #[arg(long, value_name = "REGEX", group = "form")]
    pub(crate) regex: Option<String>,

    /// Only what this grammar describes: a file, or the grammar itself (Lark, from the rule `start`)
    #[arg(long, value_name = "FILE|LARK", group = "form")]
    pub(crate) grammar: Option<String>,

    /// Whether the model thinks before it answers; by default as its template has it
    #[arg(long, value_name = "on|off", value_parser = values::on_off)]
    pub(crate) think: Option<bool>,
}

impl AnswerFlags {
    /// What the answer has to look like, if anything was asked for.
    ///
    /// # Errors
    /// A file that can't be read, a schema that is no JSON.
    pub(crate) fn form(&self) -> anyhow::Result<Option<Grammar>> {
        if let Some(schema) = &self.json_schema {
            let inline = schema.trim_start().starts_with(['{', '[']);
            let text = if inline { schema.clone() } else { read(schema, "--json-schema")? };
            let name = if inline { "--json-schema" } else { schema };
            return Ok(Some(Grammar::json_schema(&text).with_context(|| format!("can't use {name}"))?));
        }
        if let Some(grammar) = &self.grammar {
            let inline = grammar.contains(':') && !Path::new(grammar).exists();
            let text = if inline { grammar.clone() } else { read(grammar, "--grammar")? };
            return Ok(Some(Grammar::Lark(text)));
        }
        let regex = self.regex.clone().map(Grammar::Regex);
        Ok(regex.or_else(|| self.json_object.then_some(Grammar::Json)))
    }
}

fn read(path: &str, flag: &str) -> anyhow::Result<String> {
    if path.is_empty() {
        return Err(Usage::new(format!("{flag} is empty"), "give a file, or the text itself").into());
    }
    std::fs::read_to_string(path).with_context(|| format!("can't read {path}"))
}
