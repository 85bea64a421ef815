//! A T3's dimensions, read from the tensors and the keys that chatterbox.cpp's converters write.
//!
//! Tensors win where both tell something, and a contradiction is an error; what only a key can tell and an old file lacks is what all
//! released models have.

use super::keys::Keys;
use crate::chatterbox::s3gen::Variant;
use crate::error::ModelError;
use crate::params::Params;
use mynah_gguf::GgufFile;
use mynah_graph::{Rope, RopeScaling};

/// Width of a head where a file says nothing of heads.
const HEAD: usize = 64;
/// The released models' ids, where a file has none of its own.
const START_SPEECH: usize = 6561;
const STOP_SPEECH: usize = 6562;
const START_TEXT: usize = 255;
const STOP_TEXT: usize = 0;
/// Silence in the codebook of S3TokenizerV2 (`S3GEN_SIL`).
const SILENCE: usize = 4299;
/// Text tokens of the original English model.
const ENGLISH: usize = 704;

/// What only the Llama backbone has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LlamaConfig {
    /// Rotary positions of a head.
    pub rope: Rope,
    /// Rows of the table of text positions; start and stop of the text count.
    pub text_positions: usize,
    /// Rows of the table of speech positions.
    pub speech_positions: usize,
    /// Put before the text.
    pub start_text: u32,
    /// Put behind the text.
    pub stop_text: u32,
    /// Rows that the perceiver makes of a prompt.
    pub queries: usize,
    /// Heads of the perceiver.
    pub perceiver_heads: usize,
    /// Whether a row tells how excited the voice is.
    pub emotion: bool,
}

/// What lies between embeddings and head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Backbone {
    /// Multilingual and the original English model.
    Llama(LlamaConfig),
    /// Turbo and Nano.
    Gpt2 {
        /// Rows of the table of positions, and so of the longest sequence.
        positions: usize,
    },
}

/// Everything about a T3 but its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct T3Config {
    /// `general.name`, or the variant.
    pub name: String,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Heads of keys and values; divides the query heads.
    pub key_heads: usize,
    /// Width of a head.
    pub head_width: usize,
    /// Width of the feed-forward modules.
    pub feed_forward: usize,
    /// Added to variances or mean squares in the backbone.
    pub eps: f32,
    /// The backbone.
    pub backbone: Backbone,
    /// Tokens of the text vocabulary.
    pub text_vocabulary: usize,
    /// Tokens of the speech vocabulary; logits are as many.
    pub speech_vocabulary: usize,
    /// Begins speech. Tokens below it are audio, those from it on are not.
    pub start_speech: i32,
    /// Ends speech.
    pub stop_speech: i32,
    /// Numbers of a speaker embedding.
    pub speaker: usize,
    /// Tokens that the prompts of the released voices have.
    pub prompt: usize,
}

impl T3Config {
    /// Reads and checks a file's configuration.
    ///
    /// # Errors
    /// [`ModelError::Family`] for another family, otherwise the key or tensor that is missing or contradictory.
    pub fn read(file: &GgufFile) -> Result<Self, ModelError> {
        let architecture = file.get_str("general.architecture")?.unwrap_or_default();
        if architecture != "chatterbox" {
            return Err(ModelError::Family { found: architecture.to_owned(), wanted: "chatterbox" });
        }
        let (keys, params) = (Keys(file), Params::new(file));
        // Files made before there were several have no such key.
        let variant = keys.str("variant")?.unwrap_or("t3_turbo");
        let llama = match variant {
            "t3_turbo" => false,
            "t3_mtl" => true,
            other => return Err(ModelError::Unsupported { what: format!("T3 of variant '{other}'") }),
        };
        let [text_vocabulary, hidden] = matrix(&params, "chatterbox/text_emb")?;
        let [speech_vocabulary, _] = matrix(&params, "chatterbox/speech_emb")?;
        let [_, speaker] = matrix(&params, "chatterbox/cond_spkr/w")?;
        keys.agrees(&["n_embd"], hidden)?;
        keys.agrees(&["embedding_length"], hidden)?;
        keys.agrees(&["text_vocab_size"], text_vocabulary)?;
        keys.agrees(&["speech_vocab_size"], speech_vocabulary)?;
        keys.agrees(&["speaker_embed_size"], speaker)?;
        let layers = layers(&keys, &params)?;
        let (heads, key_heads, head_width) = heads(&keys, hidden, llama)?;
        let first = if llama { "model/h0/mlp/gate/w" } else { "model/h0/mlp/c_fc/w" };
        let [feed_forward, _] = matrix(&params, first)?;
        keys.agrees(&["intermediate_size"], feed_forward)?;
        let speech = |names: &[&str], default| id(&keys, names, default, speech_vocabulary);
        Ok(Self {
            name: file.get_str("general.name")?.unwrap_or(variant).to_owned(),
            hidden,
            layers,
            heads,
            key_heads,
            head_width,
            feed_forward,
            eps: keys.positive(if llama { "rms_norm_eps" } else { "layer_norm_eps" }, 1e-5)?,
            backbone: if llama {
                Backbone::Llama(llama_config(&keys, &params, [text_vocabulary, hidden, head_width])?)
            } else {
                Backbone::Gpt2 { positions: matrix(&params, "model/wpe")?[0] }
            },
            text_vocabulary,
            speech_vocabulary,
            start_speech: speech(&["start_speech_token"], START_SPEECH)? as i32,
            stop_speech: speech(&["stop_speech_token"], STOP_SPEECH)? as i32,
            speaker,
            prompt: keys.count(&["speech_cond_prompt_len", "cond_prompt_length"])?.unwrap_or(if llama {
                150
            } else {
                375
            }),
        })
    }

    /// Of the Llama backbone.
    pub fn llama(&self) -> Option<&LlamaConfig> {
        match &self.backbone {
            Backbone::Llama(llama) => Some(llama),
            Backbone::Gpt2 { .. } => None,
        }
    }

    /// Which S3Gen makes sound of its tokens, and which voices it was trained on.
    pub fn variant(&self) -> Variant {
        if self.llama().is_some() { Variant::Multilingual } else { Variant::Turbo }
    }

    /// Whether this is the original English model, by its vocabulary.
    pub fn is_english(&self) -> bool {
        self.llama().is_some() && self.text_vocabulary == ENGLISH
    }

    /// The token of silence that Turbo puts behind speech, where the vocabulary has it.
    pub fn silence(&self) -> Option<i32> {
        let fits = self.llama().is_none() && (SILENCE as i32) < self.start_speech;
        fits.then_some(SILENCE as i32)
    }

    /// Whether a token is audio.
    pub fn is_audio(&self, token: i32) -> bool {
        (0..self.start_speech).contains(&token)
    }
}

/// Extents of a matrix, neither of them zero.
fn matrix(params: &Params<'_>, name: &str) -> Result<[usize; 2], ModelError> {
    let found = params.shape(name).ok_or_else(|| ModelError::MissingTensor { name: name.to_owned() })?;
    match found.dims() {
        &[rows, columns] if rows > 0 && columns > 0 && rows.max(columns) < 1 << 24 => Ok([rows, columns]),
        _ => Err(ModelError::TensorShape { name: name.to_owned(), found, wanted: [1, 1].into() }),
    }
}

/// Layers there are tensors of, held against the key.
fn layers(keys: &Keys<'_>, params: &Params<'_>) -> Result<usize, ModelError> {
    let norm = |i: usize| ["ln_attn", "ln_1"].map(|part| format!("model/h{i}/{part}/g"));
    let count = (0..).take_while(|&i| norm(i).iter().any(|name| params.has(name))).count();
    keys.agrees(&["block_count"], count)?;
    keys.agrees(&["n_layer"], count)?;
    if count == 0 {
        return Err(ModelError::MissingTensor { name: "model/h0".to_owned() });
    }
    Ok(count)
}

fn heads(keys: &Keys<'_>, hidden: usize, llama: bool) -> Result<(usize, usize, usize), ModelError> {
    let names = ["attention.head_count", "n_head"];
    let heads = match keys.count(&names)? {
        Some(heads) => heads,
        None if hidden.is_multiple_of(HEAD) => hidden / HEAD,
        None => return Err(ModelError::MissingKey { key: format!("chatterbox.{}", names[0]) }),
    };
    if !llama {
        if !hidden.is_multiple_of(heads) {
            return Err(Keys::bad("n_head", heads, format!("{hidden} channels don't divide into so many")));
        }
        return Ok((heads, heads, hidden / heads));
    }
    let key_heads = keys.count(&["n_kv_head", "attention.head_count_kv"])?.unwrap_or(heads);
    if !heads.is_multiple_of(key_heads) {
        let reason = format!("{heads} query heads don't divide into so many groups");
        return Err(Keys::bad("n_kv_head", key_heads, reason));
    }
    let width = match keys.count(&["head_dim"])? {
        Some(width) => width,
        None if hidden.is_multiple_of(heads) => hidden / heads,
        None => return Err(ModelError::MissingKey { key: "chatterbox.head_dim".to_owned() }),
    };
    if !width.is_multiple_of(2) {
        return Err(Keys::bad("head_dim", width, "heads turn in pairs of channels"));
    }
    Ok((heads, key_heads, width))
}

/// An id of a vocabulary.
fn id(keys: &Keys<'_>, names: &[&str], default: usize, vocabulary: usize) -> Result<usize, ModelError> {
    let id = keys.id(names)?.unwrap_or(default);
    if id < vocabulary {
        return Ok(id);
    }
    Err(Keys::bad(names[0], id, format!("the vocabulary has {vocabulary} tokens")))
}

fn llama_config(
    keys: &Keys<'_>,
    params: &Params<'_>,
    [vocabulary, hidden, width]: [usize; 3],
) -> Result<LlamaConfig, ModelError> {
    let scaling = match keys.str("rope.scaling_type")? {
        Some("none") => None,
        None | Some("llama3") => Some(RopeScaling {
            factor: keys.positive("rope.scaling_factor", 8.0)?,
            low: keys.positive("rope.low_freq_factor", 1.0)?,
            high: keys.positive("rope.high_freq_factor", 4.0)?,
            original: keys.count(&["rope.original_max_position"])?.unwrap_or(8192) as f32,
        }),
        Some(other) => {
            return Err(ModelError::Unsupported { what: format!("rotary scaling of kind '{other}'") });
        }
    };
    let rope = Rope { dims: width, theta: keys.positive("rope_theta", 5e5)?, scaling };
    if !rope.is_sound() {
        return Err(Keys::bad(
            "rope.high_freq_factor",
            format!("{scaling:?}"),
            "no frequencies come of that",
        ));
    }
    let queries = "chatterbox/perceiver/pre_attention_query";
    let shape =
        params.shape(queries).ok_or_else(|| ModelError::MissingTensor { name: queries.to_owned() })?;
    let rows = match shape.dims() {
        &[rows, columns] | &[1, rows, columns] if columns == hidden && rows > 0 => rows,
        _ => {
            return Err(ModelError::TensorShape {
                name: queries.to_owned(),
                found: shape,
                wanted: [1, 1, hidden].into(),
            });
        }
    };
    keys.agrees(&["perceiver_query_tokens"], rows)?;
    let perceiver_heads = keys.count(&["perceiver_num_heads"])?.unwrap_or(4);
    if !hidden.is_multiple_of(perceiver_heads) {
        let reason = format!("{hidden} channels don't divide into so many");
        return Err(Keys::bad("perceiver_num_heads", perceiver_heads, reason));
    }
    Ok(LlamaConfig {
        rope,
        text_positions: matrix(params, "chatterbox/text_pos_emb")?[0],
        speech_positions: matrix(params, "chatterbox/speech_pos_emb")?[0],
        start_text: id(keys, &["start_text_token"], START_TEXT, vocabulary)? as u32,
        stop_text: id(keys, &["stop_text_token"], STOP_TEXT, vocabulary)? as u32,
        queries: rows,
        perceiver_heads,
        emotion: keys.bool("emotion_adv")?.unwrap_or(true) && params.has("chatterbox/emotion_adv_fc/w"),
    })
}
