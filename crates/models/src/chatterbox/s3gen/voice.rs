//! Whose voice it is: a prompt the flow goes on from, and a speaker embedding.

use super::config::S3GenConfig;
use super::config::short;
use super::error::S3GenError;
use crate::error::ModelError;
use mynah_gguf::GgufFile;

/// A voice as S3Gen hears it.
#[derive(Clone, Debug, PartialEq)]
pub struct S3Voice {
    prompt_tokens: Vec<u32>,
    prompt_mel: Vec<f32>,
    embedding: Vec<f32>,
}

impl S3Voice {
    /// A voice of the speech tokens of a prompt (25 a second), its mel spectrogram `[frames, bins]` (24 kHz, two frames a token)
    /// and a CAMPPlus embedding. What tokens or frames have in excess of the others is left out, as in the reference.
    ///
    /// # Errors
    /// [`S3GenError::Voice`] for a spectrogram that has no whole frames, another width of the embedding or numbers that are none;
    /// [`S3GenError::Token`] for a token the model does not know.
    pub fn new(
        config: &S3GenConfig,
        mut prompt_tokens: Vec<u32>,
        mut prompt_mel: Vec<f32>,
        embedding: Vec<f32>,
    ) -> Result<Self, S3GenError> {
        let fail = |what: &'static str, reason: String| S3GenError::Voice { what, reason };
        let flow = &config.flow;
        if !prompt_mel.len().is_multiple_of(flow.bins) {
            let reason = format!("has {} numbers, no multiple of {} bins", prompt_mel.len(), flow.bins);
            return Err(fail("mel spectrogram", reason));
        }
        if embedding.len() != flow.speaker {
            let reason = format!("has {} channels, the model wants {}", embedding.len(), flow.speaker);
            return Err(fail("embedding", reason));
        }
        for (what, numbers) in [("mel spectrogram", &prompt_mel), ("embedding", &embedding)] {
            if let Some(at) = numbers.iter().position(|x| !x.is_finite()) {
                return Err(fail(what, format!("has {} at {at}", numbers[at])));
            }
        }
        check_tokens(config, &prompt_tokens)?;
        let tokens = prompt_tokens.len().min(prompt_mel.len() / flow.bins / flow.ratio);
        prompt_tokens.truncate(tokens);
        prompt_mel.truncate(tokens * flow.ratio * flow.bins);
        Ok(Self { prompt_tokens, prompt_mel, embedding })
    }

    /// The voice that a file brings, `None` when it brings none.
    ///
    /// # Errors
    /// As [`S3Voice::new`], or what is wrong with its tensors.
    pub fn built_in(file: &GgufFile, config: &S3GenConfig) -> Result<Option<Self>, S3GenError> {
        let name = "s3gen/builtin/prompt_token";
        let t = short(file);
        if !t.has(name) {
            return Ok(None);
        }
        let [tokens] = t.dims(name)?;
        let numbers = integers(file, name, tokens)?;
        let token = |(index, &n): (usize, &i64)| {
            let vocabulary = config.flow.vocabulary;
            u32::try_from(n).map_err(|_| S3GenError::Token { index, token: u32::MAX, vocabulary })
        };
        let prompt_tokens = numbers.iter().enumerate().map(token).collect::<Result<_, _>>()?;
        let [frames, bins] = t.dims("s3gen/builtin/prompt_feat")?;
        let mel = t.elements("s3gen/builtin/prompt_feat", [frames, bins])?;
        let embedding = t.elements("s3gen/builtin/embedding", [config.flow.speaker])?;
        if bins != config.flow.bins {
            let reason = format!("has {bins} bins, the model {}", config.flow.bins);
            return Err(S3GenError::Voice { what: "mel spectrogram", reason });
        }
        Self::new(config, prompt_tokens, mel, embedding).map(Some)
    }

    /// Speech tokens of the prompt.
    pub fn prompt_tokens(&self) -> &[u32] {
        &self.prompt_tokens
    }

    /// Its mel spectrogram `[frames, bins]`.
    pub fn prompt_mel(&self) -> &[f32] {
        &self.prompt_mel
    }

    /// The speaker embedding.
    pub fn embedding(&self) -> &[f32] {
        &self.embedding
    }

    /// The embedding divided by its length, which the flow takes.
    pub(crate) fn direction(&self) -> Vec<f32> {
        let length = libm::sqrt(self.embedding.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>());
        self.embedding.iter().map(|&x| (f64::from(x) / length.max(1e-12)) as f32).collect()
    }
}

/// Refuses a token without an embedding.
pub(crate) fn check_tokens(config: &S3GenConfig, tokens: &[u32]) -> Result<(), S3GenError> {
    let vocabulary = config.flow.vocabulary;
    match tokens.iter().enumerate().find(|(_, t)| **t as usize >= vocabulary) {
        Some((index, &token)) => Err(S3GenError::Token { index, token, vocabulary }),
        None => Ok(()),
    }
}

/// The elements of a tensor of integers, or of floats that stand for them.
fn integers(file: &GgufFile, name: &str, len: usize) -> Result<Vec<i64>, S3GenError> {
    let missing = || ModelError::MissingTensor { name: name.to_owned() };
    let tensor = file.tensor(name).ok_or_else(missing)?;
    let host = file.host_tensor(tensor).map_err(ModelError::from)?;
    let numbers = match host.dtype() {
        mynah_tensor::DType::I32 => {
            let words = host.data().chunks_exact(4);
            words.map(|b| i64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
        }
        _ => host.to_f32().iter().map(|&x| x as i64).collect::<Vec<_>>(),
    };
    if numbers.len() != len {
        let what = format!("tensor '{name}' with {} elements of {len}", numbers.len());
        return Err(ModelError::Unsupported { what }.into());
    }
    Ok(numbers)
}
