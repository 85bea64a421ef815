//! A language model for the verbs that talk: the file after `-m` as a [`Generator`], how it samples, the grammars it is held to.
//!
//! [`Mind::open`] loads, [`Mind::answer`] goes on from a prompt, `output` writes what comes.

pub(crate) mod answer;
mod output;

use crate::exit::Usage;
use crate::flags::{ModelFlags, SamplingFlags};
use crate::notes::Volume;
use anyhow::Context as _;
use mynah::{Device, GenerateOptions, Generated, Generator, Policy};
use mynah_gguf::GgufFile;
use mynah_models::language;
use mynah_runtime::EngineOptions;
use mynah_runtime::grammar::{Constraint, Grammar, GrammarCompiler, Scope};
use mynah_runtime::sample::{Chooser, Sampler, SamplerOptions};
use mynah_text::bpe::Specials;
use mynah_text::chat::{ChatRequest, ChatTemplate};
use serde_json::Value;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

pub(crate) use output::{Form, Output};

/// A language model ready to be asked.
pub(crate) struct Mind {
    pub(crate) generator: Generator,
    /// What the flags say, and the file where they don't.
    pub(crate) sampler: SamplerOptions,
    /// Made when a grammar is first asked for.
    grammars: Option<GrammarCompiler>,
}

/// What is asked.
pub(crate) struct Ask<'a> {
    /// The tokens to go on from.
    pub(crate) prompt: Vec<u32>,
    pub(crate) max_tokens: Option<usize>,
    pub(crate) sampler: SamplerOptions,
    pub(crate) constraint: Option<Constraint>,
    pub(crate) stops: &'a [String],
}

/// The file that the flags name.
fn path(flags: &ModelFlags) -> anyhow::Result<&Path> {
    let hint = "name a GGUF file of a language model with -m; none is built in";
    flags.model.as_deref().ok_or_else(|| Usage::new("no model was given", hint).into())
}

fn read(path: &Path) -> anyhow::Result<GgufFile> {
    let file = GgufFile::open(path).map_err(mynah::Error::from);
    file.with_context(|| format!("can't use the model {}", path.display()))
}

/// The model that the flags name, with its tokenizer and template.
///
/// # Errors
/// What is wrong with the file, the options or the device.
pub(crate) fn generator(
    flags: &ModelFlags,
    engine: EngineOptions,
    volume: Volume,
) -> anyhow::Result<Generator> {
    let path = path(flags)?;
    on(read(path)?, path, flags, engine, volume)
}

fn on(
    file: GgufFile,
    path: &Path,
    flags: &ModelFlags,
    engine: EngineOptions,
    volume: Volume,
) -> anyhow::Result<Generator> {
    let options = flags.options();
    // A device that can't be opened is no fault of the model.
    let devices = mynah::open_devices(options.device, options.threads)?;
    let generator = Generator::on(file, devices, &options, engine);
    let generator = generator.with_context(|| format!("can't use the model {}", path.display()))?;
    volume.detail(&format!("model {}, {}", path.display(), generator.name()));
    Ok(generator)
}

/// A model without anything around it, to be measured.
pub(crate) struct Loaded {
    pub(crate) file: Arc<GgufFile>,
    pub(crate) model: Box<dyn language::LanguageModel>,
    /// Where it runs.
    pub(crate) device: Arc<dyn Device>,
    /// The fast routes that it may take.
    pub(crate) policy: Policy,
}

/// Loads the model that the flags name without its words, which a file of random weights has none of.
///
/// # Errors
/// What is wrong with the file, the options or the device.
pub(crate) fn load(flags: &ModelFlags, drafts: usize, volume: Volume) -> anyhow::Result<Loaded> {
    let path = path(flags)?;
    let file = Arc::new(read(path)?);
    let options = flags.options();
    let devices = mynah::open_devices(options.device, options.threads)?;
    let executor = options.executor(devices.device.as_ref())?;
    let policy = executor.policy.clone();
    let device = Arc::clone(&devices.device);
    let model = language::open(Arc::clone(&file), devices.device, devices.fallback, executor, drafts);
    let model = model.map_err(mynah::Error::from);
    let model = model.with_context(|| format!("can't use the model {}", path.display()))?;
    volume.detail(&format!("model {}, {}", path.display(), model.name()));
    Ok(Loaded { file, model, device, policy })
}

impl Mind {
    /// Loads the model that the flags name.
    ///
    /// # Errors
    /// What is wrong with the file, the options or the device.
    pub(crate) fn open(
        flags: &ModelFlags,
        sampling: &SamplingFlags,
        engine: EngineOptions,
        volume: Volume,
    ) -> anyhow::Result<Self> {
        let path = path(flags)?;
        let file = read(path)?;
        let sampler = sampling.options(file.metadata())?;
        sampler.check().map_err(|error| Usage::plain(error.to_string()))?;
        Ok(Self { generator: on(file, path, flags, engine, volume)?, sampler, grammars: None })
    }

    /// The tokens of a chat as the file's template lays it out, and whether the answer begins inside a thought.
    ///
    /// # Errors
    /// No template, or one that fails or refuses the messages.
    pub(crate) fn render(&self, request: &ChatRequest<'_>) -> anyhow::Result<(Vec<u32>, bool)> {
        let tokenizer = self.generator.tokenizer();
        let prompt = self.generator.template()?.render(request, tokenizer.specials());
        let prompt = prompt.map_err(mynah::Error::from)?;
        Ok((tokenizer.encode_prompt(&prompt), prompt.opens_thought()))
    }

    /// What an answer that begins inside a thought or not is held to: the grammar, in place of which a tool may be called; without a
    /// grammar the calls.
    ///
    /// # Errors
    /// A grammar that can't be used, tools that can't be called by name.
    pub(crate) fn constrain(
        &mut self,
        form: Option<&Grammar>,
        tools: &[Value],
        in_thought: bool,
    ) -> anyhow::Result<Option<Constraint>> {
        let call = if tools.is_empty() { None } else { self.token("<tool_call>") };
        if let Some(grammar) = form {
            let after = if in_thought { self.token("</think>") } else { None };
            return self.compile(grammar, Scope { after, unless: call, again: false }).map(Some);
        }
        let called = self.generator.template().ok().and_then(ChatTemplate::call_form);
        match (call, called) {
            (Some(_), Some(called)) => {
                let calls = Grammar::calls(tools, called).map_err(|error| Usage::plain(error.to_string()))?;
                self.compile(&calls, Scope { after: call, unless: None, again: true }).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The token that is this tag, if there is one.
    fn token(&self, tag: &str) -> Option<u32> {
        match self.generator.tokenizer().encode(tag, Specials::UserDefined).as_slice() {
            &[token] => Some(token),
            _ => None,
        }
    }

    fn compile(&mut self, grammar: &Grammar, scope: Scope) -> anyhow::Result<Constraint> {
        let compiler = match self.grammars.take() {
            Some(compiler) => compiler,
            None => {
                let vocabulary = self.generator.engine().model().vocabulary();
                GrammarCompiler::new(self.generator.tokenizer(), vocabulary)?
            }
        };
        let compiler = self.grammars.insert(compiler);
        let constraint = compiler.compile(grammar, scope);
        let constraint = constraint.map_err(|error| Usage::plain(error.to_string()))?;
        for warning in constraint.warnings() {
            crate::notes::warn(warning);
        }
        Ok(constraint)
    }

    /// Goes on from a prompt. `each` gets the text as it becomes certain; `interrupted` is asked whenever something came.
    ///
    /// # Errors
    /// A prompt that doesn't fit, a model that fails, what `each` returns.
    pub(crate) fn answer(
        &mut self,
        ask: Ask<'_>,
        each: &mut dyn FnMut(&str) -> anyhow::Result<()>,
        interrupted: &dyn Fn() -> bool,
    ) -> anyhow::Result<Generated> {
        let chooser = Box::new(Chooser::new(Sampler::new(ask.sampler)?, ask.constraint));
        let options = GenerateOptions { max_tokens: ask.max_tokens, stops: ask.stops.to_vec(), chooser };
        let mut failed = None;
        let answer = self.generator.generate(ask.prompt, options, &mut |output| {
            if let mynah::Output::Piece(text) = output {
                failed = each(text).err();
            }
            if failed.is_some() || interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        failed.map_or(Ok(answer), Err)
    }
}
