//! An answer on standard output: text as it comes, or JSON.

use super::answer;
use crate::notes::Volume;
use crate::out;
use crate::screen::Screen;
use clap::ValueEnum;
use mynah::Generated;
use mynah_runtime::Choice;
use mynah_text::answer::{AnswerParser, Part};
use mynah_text::bpe::Tokenizer;
use serde_json::{Value, json};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// The text
    Txt,
    /// An object with the text, why it ended, counts, times and log probabilities
    Json,
}

/// Takes the text of an answer and writes it; thoughts go to stderr.
pub(crate) struct Output {
    form: Form,
    streams: bool,
    /// For chats.
    parser: Option<AnswerParser>,
    shows_thoughts: bool,
    screen: Screen,
    thoughts: Screen,
    text: String,
    reasoning: String,
}

impl Output {
    /// `chat` is whether a chat's answer begins inside a thought, `None` for plain text.
    pub(crate) fn new(form: Form, streams: bool, chat: Option<bool>, volume: Volume) -> Self {
        let thoughts = Screen::stderr();
        // In a pipe nobody waits for the answer, so nobody needs to see that something goes on.
        let shows = volume > Volume::Quiet && (thoughts.is_terminal() || volume == Volume::Verbose);
        Self {
            form,
            streams,
            parser: chat.map(|in_thought| AnswerParser::new(in_thought, &[])),
            shows_thoughts: shows && form == Form::Txt,
            screen: Screen::stdout(),
            thoughts,
            text: String::new(),
            reasoning: String::new(),
        }
    }

    /// What the model said so far, and what it thought.
    pub(crate) fn said(&self) -> (&str, &str) {
        (&self.text, &self.reasoning)
    }

    /// Takes more of the answer.
    ///
    /// # Errors
    /// A closed pipe.
    pub(crate) fn take(&mut self, text: &str) -> anyhow::Result<()> {
        match &mut self.parser {
            None => self.part(Part::Text(text.to_owned())),
            Some(parser) => {
                let parts = parser.push(text);
                parts.into_iter().try_for_each(|part| self.part(part))
            }
        }
    }

    fn part(&mut self, part: Part) -> anyhow::Result<()> {
        match part {
            Part::Reasoning(more) => {
                self.reasoning += &more;
                if self.form == Form::Json && self.streams {
                    out::write(&format!("{}\n", json!({ "reasoning": more })))?;
                } else if self.shows_thoughts {
                    crate::notes::raw(&self.thoughts.dim(&more));
                }
            }
            // Calls are not looked for without tools.
            Part::Text(more) | Part::Call { source: more, .. } => {
                if self.text.is_empty() && !self.reasoning.is_empty() && self.shows_thoughts {
                    crate::notes::raw("\n\n");
                }
                self.text += &more;
                match (self.form, self.streams) {
                    (Form::Txt, true) => out::write(&self.screen.text(&more))?,
                    (Form::Json, true) => out::write(&format!("{}\n", json!({ "text": more })))?,
                    (_, false) => {}
                }
            }
        }
        Ok(())
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// A closed pipe.
    pub(crate) fn finish(
        &mut self,
        told: &Generated,
        tokenizer: &Tokenizer,
        seed: u64,
    ) -> anyhow::Result<()> {
        if let Some(mut parser) = self.parser.take() {
            parser.finish().into_iter().try_for_each(|part| self.part(part))?;
        }
        match self.form {
            Form::Txt => {
                if !self.streams {
                    out::write(&self.screen.text(&self.text))?;
                }
                if !self.text.ends_with('\n') {
                    out::write("\n")?;
                }
            }
            Form::Json => {
                let value = self.json(told, tokenizer, seed);
                if self.streams { out::write(&format!("{value}\n"))? } else { out::write_json(&value)? }
            }
        }
        Ok(())
    }

    fn json(&self, told: &Generated, tokenizer: &Tokenizer, seed: u64) -> Value {
        let mut value = json!({});
        if !self.streams {
            value["text"] = json!(self.text);
            if !self.reasoning.is_empty() {
                value["reasoning"] = json!(self.reasoning);
            }
        }
        value["finish"] = json!(answer::reason(told.reason));
        value["prompt_tokens"] = json!(told.prompt_tokens);
        value["tokens"] = json!(told.choices.len());
        if told.drafted_tokens > 0 {
            value["drafts"] = json!({ "drafted": told.drafted_tokens, "accepted": told.accepted_tokens });
        }
        value["seed"] = json!(seed);
        value["seconds"] =
            json!({ "prompt": told.prompt_time.as_secs_f64(), "answer": told.answer_time.as_secs_f64() });
        value["tokens_per_second"] = json!(answer::speed(told));
        if told.choices.iter().any(|choice| choice.logprob.is_some()) {
            let all = told.choices.iter().map(|choice| logprobs(choice, tokenizer));
            value["logprobs"] = all.collect();
        }
        value
    }
}

/// A token in the shape of OpenAI's `logprobs.content`, with its id.
fn logprobs(choice: &Choice, tokenizer: &Tokenizer) -> Value {
    let of = |id: u32, logprob: Option<f32>| {
        let bytes = tokenizer.token_bytes(id).unwrap_or_default();
        json!({ "id": id, "token": String::from_utf8_lossy(bytes), "bytes": bytes, "logprob": logprob })
    };
    let mut value = of(choice.token, choice.logprob);
    value["top_logprobs"] = choice.top.iter().map(|t| of(t.token, Some(t.logprob))).collect();
    value
}
