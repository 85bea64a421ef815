//! An answer on its way: events of the engine become text for the listener.

use super::answer::{Generated, Output, StopReason};
use crate::error::Error;
use mynah_runtime::{Choice, Event, Finish, SequenceId};
use mynah_text::bpe::Tokenizer;
use mynah_text::stream::TextStream;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Who listens.
type Listener<'a> = &'a mut dyn FnMut(Output<&str>) -> ControlFlow<()>;

/// One answer.
pub(super) struct Stream<'a> {
    tokenizer: &'a Tokenizer,
    characters: TextStream,
    text: String,
    choices: Vec<Choice>,
    prompt: usize,
    reused: usize,
    drafted: usize,
    accepted: usize,
    begun: Instant,
    first: Option<Instant>,
    last: Instant,
    /// The listener has enough.
    left: bool,
}

impl<'a> Stream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer, stops: &[String], begun: Instant) -> Self {
        let (text, choices) = (String::new(), Vec::new());
        let characters = TextStream::new(stops);
        Self {
            tokenizer,
            characters,
            text,
            choices,
            prompt: 0,
            reused: 0,
            drafted: 0,
            accepted: 0,
            begun,
            first: None,
            last: begun,
            left: false,
        }
    }

    /// Whether nothing more is wanted.
    pub(super) fn is_over(&self) -> bool {
        self.left || self.characters.stopped()
    }

    fn tell(&mut self, output: Output<&str>, each: Listener<'_>) {
        if !self.left {
            self.left = each(output).is_break();
        }
    }

    fn say(&mut self, text: &str, each: Listener<'_>) {
        if !text.is_empty() && !self.left {
            self.text += text;
            self.tell(Output::Piece(text), each);
        }
    }

    /// Takes an event; `Some` when the answer is over.
    ///
    /// # Errors
    /// [`Error::Engine`] if it could not go on.
    pub(super) fn hear(
        &mut self,
        id: SequenceId,
        event: Event,
        each: Listener<'_>,
    ) -> Result<Option<StopReason>, Error> {
        match event {
            Event::Prompt { sequence, done, reused, of } if sequence == id => {
                (self.prompt, self.reused) = (of, reused);
                self.tell(Output::Prompt { done, of }, each);
            }
            Event::Token { sequence, choice } if sequence == id && !self.is_over() => {
                self.last = Instant::now();
                self.first.get_or_insert(self.last);
                let text = self.characters.push(self.tokenizer, choice.token);
                self.choices.push(choice);
                // A model may have more rows than its tokenizer has tokens; those say nothing.
                self.say(&text.unwrap_or_default(), each);
            }
            Event::Drafted { sequence, drafted, accepted } if sequence == id => {
                self.drafted += drafted;
                self.accepted += accepted;
            }
            Event::Finished { sequence, reason } if sequence == id => {
                return match reason {
                    Finish::End | Finish::Stop => Ok(Some(StopReason::End)),
                    Finish::Length => Ok(Some(StopReason::Length)),
                    Finish::Context => Ok(Some(StopReason::Context)),
                    Finish::Cancelled => Ok(Some(StopReason::Cancelled)),
                    Finish::Failed(error) => Err(error.into()),
                };
            }
            _ => {}
        }
        Ok(None)
    }

    /// The whole answer; what was held back becomes certain.
    pub(super) fn finish(mut self, reason: StopReason, each: Listener<'_>) -> Generated {
        let stopped = self.characters.stopped();
        let rest = self.characters.finish();
        self.say(&rest, each);
        let stopped = stopped || self.characters.stopped();
        let first = self.first.unwrap_or(self.last);
        Generated {
            text: self.text,
            choices: self.choices,
            reason: if stopped && !self.left { StopReason::Stop } else { reason },
            prompt_tokens: self.prompt,
            reused_tokens: self.reused,
            drafted_tokens: self.drafted,
            accepted_tokens: self.accepted,
            prompt_time: first.duration_since(self.begun),
            answer_time: if self.first.is_some() { self.last.duration_since(first) } else { Duration::ZERO },
        }
    }
}
