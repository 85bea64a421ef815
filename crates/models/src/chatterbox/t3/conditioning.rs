//! A voice as it is given, and as the backbone reads it.

use super::config::T3Config;
use super::error::T3Error;
use super::model::T3;
use super::perceiver::voice_graph;
use super::step::number;
use crate::error::ModelError;
use mynah_device::Data;
use mynah_gguf::GgufFile;
use mynah_plan::PlanKey;
use mynah_tensor::DType;

/// Exaggeration where nobody asks for another.
const NEUTRAL: f32 = 0.5;

/// A voice: what the voice encoder and the speech tokenizer made of a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct T3Voice {
    /// The speaker, [`T3Config::speaker`] numbers of length one together.
    pub speaker_embedding: Vec<f32>,
    /// Speech tokens of the sample's beginning: of 6 seconds at most in Python's Multilingual, of 15 in its Turbo
    /// ([`T3Config::prompt`] tokens). May be empty.
    pub prompt_tokens: Vec<i32>,
    /// How excited the voice is, 0.5 by default; the Llama alone has it.
    pub exaggeration: f32,
}

impl T3Voice {
    /// The voice that a file brings along, if it does.
    ///
    /// # Errors
    /// A tensor of a type that holds no such numbers.
    pub fn builtin(file: &GgufFile) -> Result<Option<Self>, ModelError> {
        let names = ["chatterbox/builtin/speaker_emb", "chatterbox/builtin/cond_prompt_speech_tokens"];
        let [Some(speaker), prompt] = names.map(|name| file.tensor(name)) else { return Ok(None) };
        let prompt_tokens = match prompt {
            None => Vec::new(),
            Some(info) if info.dtype()? == DType::I32 => {
                let (numbers, _) = file.data(info)?.as_chunks::<4>();
                numbers.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect()
            }
            Some(info) => {
                let what = format!("tensor '{}' of type {}", info.name, info.dtype()?);
                return Err(ModelError::Unsupported { what });
            }
        };
        let speaker_embedding = file.host_tensor(speaker)?.to_f32();
        Ok(Some(Self { speaker_embedding, prompt_tokens, exaggeration: NEUTRAL }))
    }
}

/// A voice as rows that sequences begin with. Made once for a voice and used for any number of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditioning {
    /// `[count, hidden]`.
    pub(super) rows: Vec<f32>,
    pub(super) count: usize,
    /// How excited the voice is. It is a row of its own, so it may be changed at any time.
    pub exaggeration: f32,
}

impl Conditioning {
    /// The rows, `[count, hidden]`.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// How many rows there are; exaggeration is not among them.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// Holds a voice against the model.
fn check(config: &T3Config, voice: &T3Voice) -> Result<(), T3Error> {
    let found = voice.speaker_embedding.len();
    if found != config.speaker {
        return Err(T3Error::Speaker { found, wanted: config.speaker });
    }
    let vocabulary = config.speech_vocabulary;
    let known = |token: i32| usize::try_from(token).is_ok_and(|t| t < vocabulary);
    if let Some(&token) = voice.prompt_tokens.iter().find(|&&t| !known(t)) {
        return Err(T3Error::Token { what: "prompt", token: token.into(), vocabulary });
    }
    // GPT-2's table has room for prompt and text together; that is seen when there is a text.
    let limit = config.llama().map_or(usize::MAX, |llama| llama.speech_positions);
    let found = voice.prompt_tokens.len();
    if found > limit {
        return Err(T3Error::TooLong { what: "the prompt of the voice", unit: "tokens", found, limit });
    }
    Ok(())
}

impl T3 {
    /// Makes the rows of a voice.
    ///
    /// # Errors
    /// A speaker of another size, a token that isn't in the vocabulary, a prompt longer than the table of positions, or what running
    /// the graph reports.
    pub fn condition(&mut self, voice: &T3Voice) -> Result<Conditioning, T3Error> {
        check(&self.config, voice)?;
        let prompt = voice.prompt_tokens.len();
        let (file, config) = (&self.file, &self.config);
        let key = PlanKey { graph: "voice", dims: [prompt, 0, 0, 0] };
        let plan = self.executor.plan(key, || voice_graph(file, config, prompt))?;
        let positions: Vec<i32> = (0..prompt).map(number).collect();
        let lengths = [[number(prompt)], [number(config.llama().map_or(0, |llama| llama.queries))]];
        let mut inputs = vec![Data::F32(&voice.speaker_embedding)];
        if prompt > 0 {
            inputs.push(Data::I32(&voice.prompt_tokens));
            if config.llama().is_some() {
                inputs.push(Data::I32(&positions));
                inputs.extend(lengths.iter().map(|length| Data::I32(length)));
            }
        }
        self.executor.run(plan, &inputs, &[], &[])?;
        let rows = self.executor.output(plan, "rows")?.to_vec();
        let count = rows.len() / self.config.hidden;
        Ok(Conditioning { rows, count, exaggeration: voice.exaggeration })
    }
}
