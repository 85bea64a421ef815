//! A chat: the messages so far, and the model that goes on.

use crate::exit::Usage;
use crate::interrupt;
use crate::mind::{Ask, Form, Mind, Output, answer};
use crate::notes::Volume;
use anyhow::Context as _;
use mynah::{Generated, StopReason};
use mynah_runtime::grammar::Grammar;
use mynah_runtime::sample::SamplerOptions;
use mynah_text::chat::{ChatRequest, Message, ToolCall};
use mynah_text::output::write_atomic;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// A chat with a model.
pub(super) struct Session {
    pub(super) mind: Mind,
    pub(super) form: Option<Grammar>,
    /// Definitions of the tools that may be called.
    pub(super) tools: Vec<Value>,
    pub(super) max_tokens: Option<usize>,
    pub(super) stops: Vec<String>,
    pub(super) think: Option<bool>,
    pub(super) volume: Volume,
    pub(super) messages: Vec<Message>,
    /// Answers given so far; each has a seed of its own, or a second one to the same message would be the first.
    pub(super) answers: u64,
    pub(super) last: Option<Generated>,
}

/// A chat in a file.
#[derive(Serialize, Deserialize)]
struct Saved {
    messages: Vec<Message>,
}

impl Session {
    /// Answers a message.
    ///
    /// # Errors
    /// What rendering or running the model reports; the message is then forgotten.
    pub(super) fn say(&mut self, text: String) -> anyhow::Result<()> {
        if let Some(call) = self.waiting().first() {
            let what = format!("the model waits for what {} has come to", call.function.name);
            return Err(Usage::new(what, "/tool RESULT says it, /regen and /reset go back").into());
        }
        self.messages.push(Message::new("user", text));
        let done = self.answer();
        if done.is_err() {
            self.messages.pop();
        }
        done
    }

    /// The calls of the last answer that have no result yet.
    fn waiting(&self) -> &[ToolCall] {
        let answer = self.messages.iter().rposition(|message| message.role != "tool");
        let called = answer.and_then(|at| Some((at, self.messages.get(at)?.tool_calls.as_deref()?)));
        // Results come in the order of the calls.
        called.map_or(&[], |(at, calls)| calls.get(self.messages.len() - 1 - at..).unwrap_or_default())
    }

    /// Gives the first call that waits its result, and answers when none waits any more.
    ///
    /// # Errors
    /// As [`Session::say`], and when nothing waits.
    pub(super) fn result(&mut self, text: String) -> anyhow::Result<()> {
        let Some(call) = self.waiting().first() else {
            return Err(Usage::plain("no call waits for a result").into());
        };
        let message = Message { tool_call_id: call.id.clone(), ..Message::new("tool", text) };
        self.messages.push(message);
        if self.waiting().is_empty() {
            let done = self.answer();
            if done.is_err() {
                self.messages.pop();
            }
            return done;
        }
        self.tell_waiting();
        Ok(())
    }

    fn tell_waiting(&self) {
        if let Some(call) = self.waiting().first() {
            let name = &call.function.name;
            self.volume.note(&format!("{name} was called; /tool RESULT says what it has come to"));
        }
    }

    /// Answers the last message again. False if there is none.
    ///
    /// # Errors
    /// As [`Session::say`]; the answer that was there then stays.
    pub(super) fn again(&mut self) -> anyhow::Result<bool> {
        let Some(asked) = self.messages.iter().rposition(|message| message.role == "user") else {
            return Ok(false);
        };
        let before = self.messages.split_off(asked + 1);
        let done = self.answer();
        if done.is_err() {
            self.messages.extend(before);
        }
        done.map(|()| true)
    }

    fn answer(&mut self) -> anyhow::Result<()> {
        let request = ChatRequest {
            messages: &self.messages,
            tools: &self.tools,
            add_generation_prompt: true,
            enable_thinking: self.think,
            ..ChatRequest::default()
        };
        let (prompt, in_thought) = self.mind.render(&request)?;
        let constraint = self.mind.constrain(self.form.as_ref(), &self.tools, in_thought)?;
        let seed = self.mind.sampler.seed.wrapping_add(self.answers);
        let sampler = SamplerOptions { seed, ..self.mind.sampler.clone() };
        let ask = Ask { prompt, max_tokens: self.max_tokens, sampler, constraint, stops: &self.stops };
        let mut output = Output::new(Form::Txt, true, Some((in_thought, self.tools.as_slice())), self.volume);
        let mind = &mut self.mind;
        let told =
            interrupt::interruptible(|pressed| mind.answer(ask, &mut |text| output.take(text), pressed))?;
        output.finish(&told, self.mind.generator.tokenizer(), seed)?;
        let (text, reasoning) = output.said();
        let mut message = Message::new("assistant", text);
        message.reasoning_content = (!reasoning.is_empty()).then(|| reasoning.to_owned());
        if !output.calls().is_empty() {
            let mut calls = output.calls().to_vec();
            for (n, call) in calls.iter_mut().enumerate() {
                call.id = Some(format!("call_{}_{n}", self.answers));
            }
            message.tool_calls = Some(calls);
        }
        self.messages.push(message);
        self.answers += 1;
        if told.reason == StopReason::Cancelled {
            self.volume.note("interrupted");
        }
        self.volume.note(&answer::summary(&told));
        self.last = Some(told);
        self.tell_waiting();
        Ok(())
    }

    /// Sets what the model is told before everything else.
    pub(super) fn set_system(&mut self, text: Option<String>) {
        self.messages.retain(|message| message.role != "system");
        if let Some(text) = text {
            self.messages.insert(0, Message::new("system", text));
        }
    }

    /// Forgets everything but the system text.
    pub(super) fn reset(&mut self) {
        self.messages.retain(|message| message.role == "system");
    }

    /// Writes the chat, whole or not at all.
    ///
    /// # Errors
    /// The file, and what the system says of it.
    pub(super) fn save(&self, path: &str) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&Saved { messages: self.messages.clone() })? + "\n";
        Ok(interrupt::unbroken(|| write_atomic(Path::new(path), text.as_bytes()))?)
    }

    /// Goes on from a chat that was written.
    ///
    /// # Errors
    /// A file that can't be read or is no chat; nothing changes then.
    pub(super) fn load(&mut self, path: &str) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(path).with_context(|| format!("can't read {path}"))?;
        let saved: Saved = serde_json::from_str(&text).with_context(|| format!("{path} is no chat"))?;
        self.messages = saved.messages;
        Ok(())
    }

    /// Lines about the chat and the model.
    pub(super) fn stats(&mut self) -> String {
        let turns = crate::units::count(self.messages.len(), "message", "messages");
        let engine = self.mind.generator.engine();
        let (context, memory) = (engine.context(), crate::units::bytes(engine.model().memory() as u64));
        let mut text = format!("{turns}; context of {context} tokens; {memory} on the device\n");
        if let Some(last) = &self.last {
            text += &format!("last answer: {}\n", answer::summary(last));
        }
        text
    }
}
