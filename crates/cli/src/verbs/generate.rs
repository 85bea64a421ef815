//! `mynah generate`: goes on from a text, or answers it.
//!
//! The prompt is taken as it is, or with `--chat` laid out by the file's template.

use crate::exit::{Exit, Usage};
use crate::flags::{AnswerFlags, ModelFlags, SamplingFlags, VolumeFlags};
use crate::given;
use crate::interrupt;
use crate::mind::{Ask, Form, Mind, Output, answer};
use clap::Args;
use mynah::StopReason;
use mynah_runtime::EngineOptions;
use mynah_runtime::sample::SamplerOptions;
use mynah_text::bpe::Specials;
use mynah_text::chat::{ChatRequest, Message};
use serde_json::Value;

pub(crate) const EXAMPLES: &str = "\
Examples:
  mynah generate -m qwen3.5-0.8b.gguf -p 'Once upon a time' -n 100
  mynah generate -m qwen3.5-0.8b.gguf --chat --think off -p 'Name three birds.'
  mynah generate -m qwen3.5-0.8b.gguf --tools tools.json --think off -p 'Weather in Oslo?'
  git diff | mynah generate -m MODEL.gguf --system 'Write a commit message.'
  mynah generate -m MODEL.gguf --chat -p 'Ada, 36' -f json \\
      --json-schema '{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}},\"required\":[\"name\"]}'";

/// Flags of `mynah generate`.
#[derive(Args, Debug)]
pub(crate) struct Generate {
    /// The text to go on from; without it standard input
    #[arg(short, long, value_name = "TEXT", conflicts_with = "file")]
    prompt: Option<String>,

    /// The file of the text to go on from; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<String>,

    /// Lay the text out as a user's message by the file's template and print the answer; thoughts go to stderr. --tools does it too
    #[arg(long)]
    chat: bool,

    /// What the model is told before the message; implies --chat
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,

    /// How the answer is written
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t = Form::Txt)]
    format: Form,

    /// Write as it comes; the default for txt. JSON then is an object a line, the last with all but the text
    #[arg(long, overrides_with = "no_stream")]
    stream: bool,

    /// Write when it is complete; the default for json
    #[arg(long, overrides_with = "stream")]
    no_stream: bool,

    /// Give the log probability of each token, and those of the N likeliest; needs -f json. They are the model's own, before
    /// sampling
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    logprobs: Option<u16>,

    #[command(flatten)]
    answer: AnswerFlags,

    #[command(flatten)]
    sampling: SamplingFlags,

    #[command(flatten)]
    model: ModelFlags,

    #[command(flatten)]
    volume: VolumeFlags,
}

impl Generate {
    /// Runs the verb.
    ///
    /// # Errors
    /// Flags that contradict each other, a prompt or model that can't be used.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let chats = self.chat || self.system.is_some() || self.answer.tools.is_some();
        if self.logprobs.is_some() && self.format != Form::Json {
            return Err(Usage::new("log probabilities don't fit into plain text", "add -f json").into());
        }
        if self.answer.think.is_some() && !chats {
            return Err(Usage::new("--think is about chats", "add --chat").into());
        }
        let volume = self.volume.volume();
        let form = self.answer.form()?;
        let tools = self.answer.tools()?;
        let hint = "-p TEXT, --file FILE, or a pipe; `mynah chat` is for talking";
        let text = given::text(self.prompt.as_deref(), self.file.as_deref(), hint)?;
        let context = self.answer.context.map(|c| c as usize);
        let drafts = usize::from(self.answer.draft);
        let options =
            EngineOptions { sequences: 1, checkpoints: 0, context, drafts, ..EngineOptions::default() };
        let mut mind = Mind::open(&self.model, &self.sampling, options, volume)?;
        let logprobs = self.logprobs.map(usize::from);
        let sampler = SamplerOptions { logprobs, ..mind.sampler.clone() };
        let (prompt, in_thought) = if chats {
            self.chat(&mind, &text, &tools)?
        } else {
            // What stands in a text is text, `<|im_end|>` too.
            (mind.generator.encode(&text, Specials::None), false)
        };
        let constraint = mind.constrain(form.as_ref(), &tools, in_thought)?;
        let ask =
            Ask { prompt, max_tokens: self.answer.max_tokens, sampler, constraint, stops: &self.answer.stop };
        let streams = if self.format == Form::Txt { !self.no_stream } else { self.stream };
        let mut output =
            Output::new(self.format, streams, chats.then_some((in_thought, tools.as_slice())), volume);
        // Ctrl-C keeps what came so far.
        let told =
            interrupt::interruptible(|pressed| mind.answer(ask, &mut |text| output.take(text), pressed))?;
        output.finish(&told, mind.generator.tokenizer(), self.sampling.seed)?;
        volume.note(&answer::summary(&told));
        Ok(if told.reason == StopReason::Cancelled { Exit::Interrupted } else { Exit::Success })
    }

    /// The tokens of a chat of one message, and whether the answer begins inside a thought.
    fn chat(&self, mind: &Mind, text: &str, tools: &[Value]) -> anyhow::Result<(Vec<u32>, bool)> {
        let system = self.system.as_deref().map(|system| Message::new("system", system));
        let messages: Vec<Message> =
            system.into_iter().chain([Message::new("user", text.trim_end())]).collect();
        let request = ChatRequest {
            messages: &messages,
            tools,
            add_generation_prompt: true,
            enable_thinking: self.answer.think,
            ..ChatRequest::default()
        };
        mind.render(&request)
    }
}
