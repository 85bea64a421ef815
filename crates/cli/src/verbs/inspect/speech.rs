//! What `mynah inspect` says of the files of a speaking model: T3's, S3Gen's, and voices that were saved.

use crate::units;
use mynah::{Device, Policy, Voice, VoiceParts};
use mynah_gguf::GgufFile;
use mynah_models::ModelError;
use mynah_models::chatterbox::s3gen::{self, S3GenConfig, S3GenError, SAMPLE_RATE, TOKEN_RATE, Variant};
use mynah_models::chatterbox::t3::{Lengths, Sampling, T3, T3Config};
use mynah_models::chatterbox::voice::{VOICE_ARCHITECTURE, VoiceError, VoiceSource};
use mynah_text::speech::FrontEnd;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Seconds of speech that memory is told for: a sentence, a piece of the usual length, the longest piece.
const SECONDS: [usize; 3] = [5, 10, 40];
/// Tokens of a text that memory is told for, about what is said in ten seconds.
const TEXT: usize = 64;
/// Speech tokens of a voice where the file has none.
const PROMPT: usize = 250;

/// Bytes for so many seconds of speech.
pub(super) struct Need {
    seconds: usize,
    weights: u64,
    /// Keys and values, or states.
    kept: u64,
    activations: u64,
}

impl Need {
    fn total(&self) -> u64 {
        self.weights + self.kept + self.activations
    }
}

/// One of the files.
pub(super) enum Speech {
    /// Text to speech tokens.
    Tokens {
        config: Box<T3Config>,
        languages: Vec<String>,
        voice: Option<usize>,
        encoder: bool,
        memory: Vec<Need>,
    },
    /// Speech tokens to samples.
    Sound { config: Box<S3GenConfig>, voice: Option<usize>, encoders: bool, memory: Vec<Need> },
    /// A voice, or part of one.
    Voice(Box<VoiceParts>),
}

impl Speech {
    /// Reads the configuration and plans the largest steps.
    ///
    /// # Errors
    /// [`ModelError::Family`] for another family; else what is wrong with the file.
    pub(super) fn read(file: &GgufFile, device: &dyn Device) -> Result<Self, ModelError> {
        match file.get_str("general.architecture")?.unwrap_or_default() {
            s3gen::ARCHITECTURE => Self::sound(file, device),
            VOICE_ARCHITECTURE => match VoiceParts::read_file(file) {
                Ok(parts) => Ok(Self::Voice(Box::new(parts.unwrap_or_default()))),
                Err(VoiceError::Model(error)) => Err(error),
                Err(error) => Err(ModelError::Unsupported { what: error.to_string() }),
            },
            _ => Self::tokens(file, device),
        }
    }

    fn tokens(file: &GgufFile, device: &dyn Device) -> Result<Self, ModelError> {
        let config = Box::new(T3Config::read(file)?);
        let front = FrontEnd::from_metadata(file.metadata());
        let languages = front.map(|front| front.languages().into_iter().map(str::to_owned).collect());
        let guided = Sampling::of(&config).cfg_weight > 0.0;
        let memory = SECONDS.map(|seconds| {
            let speech = seconds * TOKEN_RATE as usize;
            let lengths = Lengths { requests: 1, guided, text: TEXT, speech };
            let need = T3::estimate(file, device, &Policy::default(), &lengths)?;
            let total = need.total(lengths.batch(&config), lengths.rows(&config));
            let kept = total - need.weights - need.activations;
            Ok(Need { seconds, weights: need.weights, kept, activations: need.activations })
        });
        Ok(Self::Tokens {
            languages: languages.unwrap_or_default(),
            voice: length(file, "chatterbox/builtin/cond_prompt_speech_tokens"),
            encoder: file.tensor("voice_encoder/proj/weight").is_some(),
            memory: memory.into_iter().collect::<Result<_, ModelError>>()?,
            config,
        })
    }

    fn sound(file: &GgufFile, device: &dyn Device) -> Result<Self, ModelError> {
        let config = Box::new(S3GenConfig::read(file)?);
        let voice = length(file, "s3gen/builtin/prompt_token");
        let memory = SECONDS.map(|seconds| {
            let tokens = voice.unwrap_or(PROMPT) + seconds * TOKEN_RATE as usize;
            let need = s3gen::estimate(file, &config, device, 1, tokens).map_err(|error| match error {
                S3GenError::Model(error) => error,
                error => ModelError::Unsupported { what: error.to_string() },
            })?;
            let (kept, activations) = (need.states, need.arenas + need.host);
            Ok(Need { seconds, weights: need.weights, kept, activations })
        });
        let encoders =
            ["campplus/xvector/dense/linear/weight", "s3tokv2/quantizer/_codebook/project_down/weight"];
        Ok(Self::Sound {
            voice,
            encoders: encoders.iter().all(|name| file.tensor(name).is_some()),
            memory: memory.into_iter().collect::<Result<_, ModelError>>()?,
            config,
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = match self {
            Self::Tokens { config, languages, voice, encoder, memory } => {
                tokens(&mut text, config, languages).and_then(|()| {
                    writeln!(text, "voice         {}", voices(*voice, *encoder))?;
                    needs(&mut text, memory, "keys and values")
                })
            }
            Self::Sound { config, voice, encoders, memory } => sound(&mut text, config).and_then(|()| {
                writeln!(text, "voice         {}", voices(*voice, *encoders))?;
                needs(&mut text, memory, "states")
            }),
            Self::Voice(parts) => saved(&mut text, parts),
        };
        text
    }

    pub(super) fn json(&self) -> Value {
        let need = |need: &Need| {
            json!({
                "seconds": need.seconds,
                "weights": need.weights,
                "states": need.kept,
                "activations": need.activations,
                "total": need.total(),
            })
        };
        match self {
            Self::Tokens { config: c, languages, voice, encoder, memory } => json!({
                "family": "chatterbox",
                "task": "speak",
                "part": "t3",
                "kind": kind(c),
                "languages": languages,
                "layers": c.layers,
                "hidden": c.hidden,
                "feed_forward": c.feed_forward,
                "attention_heads": c.heads,
                "key_heads": c.key_heads,
                "text_vocabulary": c.text_vocabulary,
                "speech_vocabulary": c.speech_vocabulary,
                "voice_tokens": voice,
                "makes_voices": encoder,
                "memory": memory.iter().map(need).collect::<Vec<_>>(),
            }),
            Self::Sound { config: c, voice, encoders, memory } => json!({
                "family": "chatterbox",
                "task": "speak",
                "part": "s3gen",
                "kind": c.variant.name(),
                "steps": c.cfm.steps,
                "guidance": c.cfm.guidance,
                "flow": { "width": c.flow.width, "heads": c.flow.heads, "blocks": c.flow.blocks, "up_blocks": c.flow.up_blocks },
                "estimator": { "channels": c.cfm.channels, "stages": c.cfm.mid_blocks + 2, "transformers": c.cfm.transformers },
                "vocoder": { "channels": c.hift.channels, "stages": c.hift.stages.len(), "sample_rate": SAMPLE_RATE },
                "mel_bands": c.flow.bins,
                "speech_vocabulary": c.flow.vocabulary,
                "voice_tokens": voice,
                "makes_voices": encoders,
                "memory": memory.iter().map(need).collect::<Vec<_>>(),
            }),
            Self::Voice(parts) => json!({
                "family": "chatterbox",
                "task": "speak",
                "part": "voice",
                "name": parts.name,
                "source": parts.source.map(VoiceSource::name),
                "kind": parts.kind.map(Variant::name),
                "voice_tokens": parts.prompt_tokens.as_ref().map(Vec::len),
                "missing": parts.missing(),
            }),
        }
    }
}

/// Elements of a tensor that is there.
fn length(file: &GgufFile, name: &str) -> Option<usize> {
    file.tensor(name).map(|tensor| tensor.shape.numel())
}

fn kind(config: &T3Config) -> &'static str {
    match config.llama() {
        None => "turbo",
        Some(_) if config.is_english() => "english",
        Some(_) => "multilingual",
    }
}

fn tokens(text: &mut String, c: &T3Config, languages: &[String]) -> std::fmt::Result {
    writeln!(text, "family        Chatterbox T3, text to speech tokens; S3Gen's file makes sound of them")?;
    let layers = if c.llama().is_some() { "Llama's" } else { "GPT-2's" };
    writeln!(text, "kind          {}, with {layers} layers", kind(c))?;
    let (heads, width) = (c.heads, c.head_width);
    writeln!(
        text,
        "layers        {} of {}, {heads} heads of {width}, feed-forward {}",
        c.layers, c.hidden, c.feed_forward
    )?;
    writeln!(
        text,
        "vocabularies  {} tokens of text, {} of speech, {TOKEN_RATE} of which are a second",
        c.text_vocabulary, c.speech_vocabulary
    )?;
    if languages.len() > 1 {
        writeln!(text, "languages     {}", languages.join(", "))?;
    }
    Ok(())
}

fn sound(text: &mut String, c: &S3GenConfig) -> std::fmt::Result {
    writeln!(text, "family        Chatterbox S3Gen, speech tokens to sound; T3's file makes them of text")?;
    let steps = if c.cfm.meanflow { "mean flow" } else { "flow matching" };
    let guided = if c.cfm.guidance > 0.0 { format!(", guidance {}", c.cfm.guidance) } else { String::new() };
    writeln!(text, "kind          {}: {steps} in {} steps{guided}", c.variant.name(), c.cfm.steps)?;
    writeln!(
        text,
        "flow          {} and {} blocks of {}, {} heads; {} mel bands",
        c.flow.blocks, c.flow.up_blocks, c.flow.width, c.flow.heads, c.flow.bins
    )?;
    writeln!(
        text,
        "estimator     {} stages of {}, {} transformers in each",
        c.cfm.mid_blocks + 2,
        c.cfm.channels,
        c.cfm.transformers
    )?;
    writeln!(
        text,
        "vocoder       {} channels, {} stages up to {SAMPLE_RATE} Hz",
        c.hift.channels,
        c.hift.stages.len()
    )
}

/// The voice that a file brings, and whether it can make others.
fn voices(built_in: Option<usize>, encoders: bool) -> String {
    let own = match built_in {
        Some(tokens) => format!("built in, a prompt of {:.1} s", tokens as f64 / f64::from(TOKEN_RATE)),
        None => "none built in".to_owned(),
    };
    let others = if encoders { "others are made of recordings" } else { "no encoders to make others" };
    format!("{own}; {others}")
}

fn needs(text: &mut String, memory: &[Need], kept: &str) -> std::fmt::Result {
    for need in memory {
        let [total, weights, states, steps] =
            [need.total(), need.weights, need.kept, need.activations].map(units::bytes);
        let parts = format!("(weights {weights}, {kept} {states}, activations {steps})");
        writeln!(text, "memory        {total} for {} s of speech {parts}", need.seconds)?;
    }
    Ok(())
}

fn saved(text: &mut String, parts: &VoiceParts) -> std::fmt::Result {
    writeln!(text, "family        a voice of Chatterbox, for `mynah speak --voice`")?;
    let source = parts.source.map_or("nobody knows where", VoiceSource::name);
    writeln!(
        text,
        "name          {}, from {source}",
        if parts.name.is_empty() { "none" } else { &parts.name }
    )?;
    let made_for = match parts.kind {
        Some(Variant::Turbo) => "Turbo",
        Some(Variant::Multilingual) => "Multilingual and English",
        None => "nobody knows which models",
    };
    writeln!(text, "made for      {made_for}")?;
    let missing = parts.missing();
    if missing.is_empty() {
        let whole: Result<Voice, _> = parts.clone().complete();
        return match whole {
            Ok(voice) => {
                let seconds = voice.prompt_tokens().len() as f64 / f64::from(TOKEN_RATE);
                writeln!(
                    text,
                    "prompts       {} tokens for T3, {seconds:.1} s for S3Gen",
                    voice.t3_prompt_tokens().len()
                )
            }
            Err(error) => writeln!(text, "faulty        {error}"),
        };
    }
    writeln!(text, "missing       {}; the model's own voice supplies it", missing.join(", "))
}
