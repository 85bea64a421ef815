//! A loaded language model with its tokenizer and chat template: text in, text out.
//!
//! ```text
//! chat ─► template ─► tokens ─► engine ─► tokens ─► whole characters, stop strings ─► thoughts, text, calls
//! ```
//!
//! One answer at a time; a server that has many at once steps the [`Engine`] itself.

mod answer;
mod options;
mod stream;

pub use answer::{ChatAnswer, Generated, Output, StopReason};
pub use options::GenerateOptions;

use crate::device::{Devices, open_devices};
use crate::error::Error;
use crate::transcriber::Options;
use mynah_device::{Device, Policy};
use mynah_gguf::GgufFile;
use mynah_models::language::{self, MemoryEstimate, Workload};
use mynah_runtime::{Engine, EngineOptions, Request};
use mynah_text::answer::{Answer, AnswerParser, Part};
use mynah_text::bpe::{Specials, Tokenizer};
use mynah_text::chat::{ChatError, ChatRequest, ChatTemplate};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use stream::Stream;

/// Plans kept: a step has one for each number of sequences, of tokens and, doubled, of pages.
const PLANS: usize = 128;

/// A language model.
pub struct Generator {
    engine: Engine,
    tokenizer: Tokenizer,
    template: Result<ChatTemplate, ChatError>,
}

impl Generator {
    /// Loads a GGUF file; the attention of the options doesn't count.
    ///
    /// # Errors
    /// What is wrong with the file, the options or the device; [`Error::Memory`] if it can't fit.
    pub fn open(path: impl AsRef<Path>, options: &Options, engine: EngineOptions) -> Result<Self, Error> {
        let devices = open_devices(options.device, options.threads)?;
        Self::on(GgufFile::open(path)?, devices, options, engine)
    }

    /// Loads a GGUF file on devices that are open already; the device, threads and attention of the options don't count.
    ///
    /// # Errors
    /// What is wrong with the file or the options; [`Error::Memory`] if it can't fit.
    pub fn on(
        file: GgufFile,
        devices: Devices,
        options: &Options,
        engine: EngineOptions,
    ) -> Result<Self, Error> {
        let Devices { device, fallback } = devices;
        let executor = mynah_plan::Options { max_plans: PLANS, ..options.executor(device.as_ref())? };
        // A file of another kind is better refused for that than for its tokenizer.
        let estimate = Self::estimate(&file, device.as_ref(), &executor.policy, &engine)?;
        let tokenizer = Tokenizer::from_metadata(file.metadata())?;
        let template = ChatTemplate::from_metadata(file.metadata(), &tokenizer);
        let (needed, available) = (estimate.total(1, 1), device.report().memory);
        if let Some(available) = available.filter(|&available| needed > available) {
            return Err(Error::Memory { needed, available });
        }
        let model = language::open(Arc::new(file), device, fallback, executor, engine.drafts)?;
        Ok(Self { engine: Engine::new(model, engine)?, tokenizer, template })
    }

    /// The memory that a file's model will need on a device under a policy, before it is loaded.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn estimate(
        file: &GgufFile,
        device: &dyn Device,
        policy: &Policy,
        engine: &EngineOptions,
    ) -> Result<MemoryEstimate, Error> {
        let context = engine.context.unwrap_or(engine.chunk).max(engine.chunk);
        let EngineOptions { sequences, chunk, drafts, .. } = *engine;
        let workload = Workload { sequences, chunk, context, drafts };
        Ok(language::estimate(file, device, policy, &workload)?)
    }

    /// What the file calls the model.
    pub fn name(&self) -> &str {
        self.engine.model().name()
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The chat template, if the file has one that can be read.
    ///
    /// # Errors
    /// [`Error::Template`].
    pub fn template(&self) -> Result<&ChatTemplate, Error> {
        self.template.as_ref().map_err(|error| Error::Template(error.clone()))
    }

    /// The engine, for those who run several sequences at a time. What it holds must be run to its end before this generates again.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The tokens of a text, behind the token that begins texts if the model has one.
    pub fn encode(&self, text: &str, specials: Specials) -> Vec<u32> {
        let first = self.tokenizer.bos().filter(|_| self.tokenizer.adds_bos());
        first.into_iter().chain(self.tokenizer.encode(text, specials)).collect()
    }

    /// Goes on from a text. Special tokens in it are recognised, as somebody wrote them by hand; words of strangers belong into
    /// [`Generator::chat`].
    ///
    /// # Errors
    /// As [`Generator::generate`].
    pub fn complete(
        &mut self,
        text: &str,
        options: GenerateOptions,
        each: &mut dyn FnMut(Output<&str>) -> ControlFlow<()>,
    ) -> Result<Generated, Error> {
        let tokens = self.encode(text, Specials::All);
        self.generate(tokens, options, each)
    }

    /// Answers a chat. `each` is given the parts of the answer as they become certain, and may end it.
    ///
    /// # Errors
    /// [`Error::Template`] if there is no template or it refuses the messages; as [`Generator::generate`].
    pub fn chat(
        &mut self,
        request: &ChatRequest<'_>,
        options: GenerateOptions,
        each: &mut dyn FnMut(Output<Part>) -> ControlFlow<()>,
    ) -> Result<ChatAnswer, Error> {
        let prompt = self.template()?.render(request, self.tokenizer.specials())?;
        let tokens = self.tokenizer.encode_prompt(&prompt);
        let mut parser = AnswerParser::new(prompt.opens_thought(), request.tools);
        let mut answer = Answer::default();
        let mut hear = |parts: Vec<Part>, each: &mut dyn FnMut(Output<Part>) -> ControlFlow<()>| {
            for part in parts {
                match &part {
                    Part::Reasoning(more) => answer.reasoning += more,
                    Part::Text(more) => answer.text += more,
                    Part::Call { call, .. } => answer.calls.push(call.clone()),
                }
                each(Output::Piece(part))?;
            }
            ControlFlow::Continue(())
        };
        let generated = self.generate(tokens, options, &mut |output| match output {
            Output::Piece(text) => hear(parser.push(text), each),
            Output::Prompt { done, of } => each(Output::Prompt { done, of }),
        })?;
        // Whatever is said to the last part, the answer is over.
        let _ = hear(parser.finish(), each);
        Ok(ChatAnswer { answer, generated })
    }

    /// Goes on from tokens. `each` is given the text as it becomes certain, and may end the answer.
    ///
    /// # Errors
    /// [`Error::Engine`]: no tokens, more than fit, or what running the model reports.
    pub fn generate(
        &mut self,
        prompt: Vec<u32>,
        options: GenerateOptions,
        each: &mut dyn FnMut(Output<&str>) -> ControlFlow<()>,
    ) -> Result<Generated, Error> {
        let GenerateOptions { max_tokens, stops, chooser } = options;
        let ends = self.tokenizer.ends().to_vec();
        let begun = Instant::now();
        let id = self.engine.submit(Request { prompt, max_tokens, ends, chooser })?;
        let mut stream = Stream::new(&self.tokenizer, &stops, begun);
        loop {
            let events = self.engine.step();
            for event in events {
                if let Some(reason) = stream.hear(id, event, each)? {
                    return Ok(stream.finish(reason, each));
                }
            }
            if stream.is_over() {
                self.engine.cancel(id);
            }
        }
    }
}
