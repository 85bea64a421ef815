//! A Qwen3.5 model's dimensions, read from the keys that llama.cpp's converter writes.
//!
//! Every dimension comes from the file. The vocabulary has no key of its own and is read off the embedding; all other tensors are
//! held against these numbers when a graph is built.

use super::keys::Keys;
use crate::error::ModelError;
use crate::params::Params;
use mynah_gguf::GgufFile;

/// The architectures this folder runs.
const ARCHITECTURES: &str = "qwen35, qwen35moe, qwen3next";
/// Layers of full attention are every so many, where the file doesn't say.
const INTERVAL: usize = 4;

/// What mixes tokens in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mixer {
    /// A gated delta net.
    Delta,
    /// Gated full attention.
    Attention,
}

/// Dimensions of the attention layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionConfig {
    /// Query heads, each with a gate.
    pub heads: usize,
    /// Heads of keys and values; divides the query heads.
    pub key_heads: usize,
    /// Width of a head.
    pub width: usize,
    /// Channels of a head that turn with the position.
    pub rotary: usize,
    /// Base of the rotary frequencies.
    pub theta: f32,
}

/// Dimensions of the gated delta nets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaConfig {
    /// Heads of queries and keys.
    pub key_heads: usize,
    /// Heads of values and of the state; a multiple of the key heads.
    pub heads: usize,
    /// Width of a head, and both extents of its state.
    pub width: usize,
    /// Taps of the convolution.
    pub taps: usize,
    /// Whether the value heads of one key head are neighbours: head h has key head h / (H/Hk), in place of h mod Hk.
    pub grouped: bool,
}

impl DeltaConfig {
    /// Channels of queries or keys.
    pub fn key_channels(&self) -> usize {
        self.key_heads * self.width
    }

    /// Channels of values.
    pub fn value_channels(&self) -> usize {
        self.heads * self.width
    }

    /// Channels that go through the convolution.
    pub fn conv_channels(&self) -> usize {
        2 * self.key_channels() + self.value_channels()
    }
}

/// Dimensions of the routed experts and of the one all tokens share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpertsConfig {
    /// Experts of a layer.
    pub count: usize,
    /// Experts of a token.
    pub used: usize,
    /// Width of an expert.
    pub width: usize,
    /// Width of the shared expert.
    pub shared: usize,
    /// Multiplies the weights of a token's experts.
    pub scale: f32,
}

/// What every layer has behind its mixer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FeedForward {
    /// A gated unit of this width.
    Dense(usize),
    /// Experts.
    Routed(ExpertsConfig),
}

/// Everything about a Qwen3.5 but its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Qwen35Config {
    /// `general.name`, or the architecture.
    pub name: String,
    /// Tokens of the longest sequence the model was made for.
    pub context: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// The feed-forward modules.
    pub feed_forward: FeedForward,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Added to mean squares.
    pub eps: f32,
    /// What each layer has; the layer that predicts further tokens is not among them.
    pub layers: Vec<Mixer>,
    /// Layers behind these that predict further tokens (`nextn`).
    pub predictors: usize,
    /// Whether the first of them is there to draft tokens.
    pub drafts: bool,
    /// Of the attention layers.
    pub attention: AttentionConfig,
    /// Of the gated delta nets.
    pub delta: DeltaConfig,
    /// Whether the head is the embedding.
    pub tied: bool,
}

impl Qwen35Config {
    /// Reads and checks a file's configuration.
    ///
    /// # Errors
    /// [`ModelError::Family`] for another family, otherwise the key or tensor that is missing or contradictory.
    pub fn read(file: &GgufFile) -> Result<Self, ModelError> {
        let architecture = file.get_str("general.architecture")?.unwrap_or_default();
        let routed = match architecture {
            "qwen35" => false,
            "qwen35moe" | "qwen3next" => true,
            _ => return Err(ModelError::Family { found: architecture.to_owned(), wanted: ARCHITECTURES }),
        };
        let keys = Keys { file, architecture };
        let params = Params::new(file);
        let (hidden, predictors) =
            (keys.need("embedding_length")?, keys.usize("nextn_predict_layers")?.unwrap_or(0));
        let embedding = "token_embd.weight";
        let table = params
            .shape(embedding)
            .ok_or_else(|| ModelError::MissingTensor { name: embedding.to_owned() })?;
        let vocabulary = table.dims().first().copied().unwrap_or(0);
        params.spec(embedding, [vocabulary, hidden])?;
        if vocabulary == 0 {
            return Err(ModelError::TensorShape {
                name: embedding.to_owned(),
                found: table,
                wanted: [1, hidden].into(),
            });
        }
        let layers = layers(&keys, &params, predictors)?;
        let first = format!("blk.{}.nextn.eh_proj.weight", layers.len());
        Ok(Self {
            name: file.get_str("general.name")?.unwrap_or(architecture).to_owned(),
            context: keys.need("context_length")?,
            hidden,
            feed_forward: if routed {
                FeedForward::Routed(experts(&keys)?)
            } else {
                FeedForward::Dense(keys.need("feed_forward_length")?)
            },
            vocabulary,
            eps: keys.need_f32("attention.layer_norm_rms_epsilon")?,
            drafts: predictors > 0 && params.has(&first),
            layers,
            predictors,
            attention: attention(&keys)?,
            delta: delta(&keys, architecture == "qwen3next")?,
            tied: !params.has("output.weight"),
        })
    }

    /// Layers with a gated delta net.
    pub fn delta_layers(&self) -> usize {
        self.layers.iter().filter(|&&m| m == Mixer::Delta).count()
    }

    /// Layers with attention.
    pub fn attention_layers(&self) -> usize {
        self.layers.len() - self.delta_layers()
    }
}

fn attention(keys: &Keys<'_>) -> Result<AttentionConfig, ModelError> {
    let attention = AttentionConfig {
        heads: keys.need("attention.head_count")?,
        key_heads: keys.need("attention.head_count_kv")?,
        width: keys.need("attention.key_length")?,
        rotary: keys.need("rope.dimension_count")?,
        theta: keys.need_f32("rope.freq_base")?,
    };
    let AttentionConfig { heads, key_heads, width, rotary, .. } = attention;
    if !heads.is_multiple_of(key_heads) {
        let reason = format!("{heads} query heads don't divide into so many groups");
        return Err(keys.bad("attention.head_count_kv", key_heads, reason));
    }
    let values = keys.need("attention.value_length")?;
    if values != width {
        let reason = format!("only the width of the keys, {width}, is known");
        return Err(keys.bad("attention.value_length", values, reason));
    }
    if !rotary.is_multiple_of(2) || rotary > width {
        return Err(keys.bad(
            "rope.dimension_count",
            rotary,
            format!("heads are {width} wide and turn in pairs"),
        ));
    }
    // Which pair turns by which of the positions in time, height and width. Those of text are equal, so only the sum matters.
    let sections = keys.file.get_i32_array(&keys.full("rope.dimension_sections"))?;
    if let Some(sections) = sections
        && sections.iter().map(|&n| i64::from(n)).sum::<i64>() != (rotary / 2) as i64
    {
        let reason = format!("the sections must add up to {}", rotary / 2);
        return Err(keys.bad("rope.dimension_sections", format!("{sections:?}"), reason));
    }
    unscaled(keys)?;
    Ok(attention)
}

/// Refuses what would turn by other angles than plain rotary positions. As llama.cpp reads these keys: a factor without a type is linear,
/// and none of them counts for the type `none`.
fn unscaled(keys: &Keys<'_>) -> Result<(), ModelError> {
    let kind = keys.file.get_str(&keys.full("rope.scaling.type"))?;
    if kind == Some("none") {
        return Ok(());
    }
    for key in ["rope.scaling.factor", "rope.scale_linear"] {
        let factor = keys.file.get_f32(&keys.full(key))?;
        if factor.is_some_and(|n| n != 0.0 && n != 1.0) {
            return Err(unsupported(keys, key, factor.unwrap_or_default()));
        }
    }
    match kind {
        // Without a factor it divides by one.
        None | Some("linear") => Ok(()),
        Some(other) => Err(unsupported(keys, "rope.scaling.type", other)),
    }
}

/// A key that asks for what isn't there.
fn unsupported(keys: &Keys<'_>, key: &str, found: impl std::fmt::Display) -> ModelError {
    ModelError::Unsupported { what: format!("'{}' = {found}", keys.full(key)) }
}

/// Refuses routers that choose in another way than these models': experts in groups of which only some may be used, scores that are no
/// softmax, weights that are not made to add up to one.
fn plain_routing(keys: &Keys<'_>) -> Result<(), ModelError> {
    let (groups, used) = (keys.usize("expert_group_count")?, keys.usize("expert_group_used_count")?);
    // All groups, or one, are no limit.
    if groups.is_some_and(|n| n > 1) && used != groups {
        return Err(unsupported(keys, "expert_group_count", groups.unwrap_or_default()));
    }
    let softmax = [None, Some(0), Some(1)];
    let gating = keys.usize("expert_gating_func")?;
    if !softmax.contains(&gating) {
        return Err(unsupported(keys, "expert_gating_func", gating.unwrap_or_default()));
    }
    if keys.file.get_bool(&keys.full("expert_weights_norm"))? == Some(false) {
        return Err(unsupported(keys, "expert_weights_norm", false));
    }
    Ok(())
}

fn experts(keys: &Keys<'_>) -> Result<ExpertsConfig, ModelError> {
    let (count, used) = (keys.need("expert_count")?, keys.need("expert_used_count")?);
    plain_routing(keys)?;
    if used > count {
        return Err(keys.bad("expert_used_count", used, format!("there are {count} experts")));
    }
    // As llama.cpp reads files that don't give the widths.
    let whole = match keys.usize("feed_forward_length")? {
        None | Some(0) => None,
        Some(_) => Some(keys.need("feed_forward_length")?),
    };
    let width = |key: &str, otherwise: Option<usize>| match (keys.usize(key)?, otherwise) {
        (None | Some(0), Some(n)) => Ok(n),
        _ => keys.need(key),
    };
    let scale = keys.file.get_f32(&keys.full("expert_weights_scale"))?.filter(|&n| n != 0.0).unwrap_or(1.0);
    if !scale.is_finite() {
        return Err(keys.bad("expert_weights_scale", scale, "it must be a number"));
    }
    Ok(ExpertsConfig {
        count,
        used,
        width: width("expert_feed_forward_length", whole.map(|n| n / used).filter(|&n| n > 0))?,
        shared: width("expert_shared_feed_forward_length", whole)?,
        scale,
    })
}

fn delta(keys: &Keys<'_>, grouped: bool) -> Result<DeltaConfig, ModelError> {
    let delta = DeltaConfig {
        key_heads: keys.need("ssm.group_count")?,
        heads: keys.need("ssm.time_step_rank")?,
        width: keys.need("ssm.state_size")?,
        taps: keys.need("ssm.conv_kernel")?,
        grouped,
    };
    if !delta.heads.is_multiple_of(delta.key_heads) {
        let reason = format!("it must be a multiple of the {} key heads", delta.key_heads);
        return Err(keys.bad("ssm.time_step_rank", delta.heads, reason));
    }
    let inner = keys.need("ssm.inner_size")?;
    if delta.heads.checked_mul(delta.width) != Some(inner) {
        let reason = format!("{} heads of {} are wanted", delta.heads, delta.width);
        return Err(keys.bad("ssm.inner_size", inner, reason));
    }
    // A state is heads · width · width.
    if inner.checked_mul(delta.width).is_none_or(|n| u32::try_from(n).is_err()) {
        return Err(keys.bad("ssm.state_size", delta.width, "a state of that size can't be"));
    }
    if delta.taps < 2 {
        return Err(keys.bad("ssm.conv_kernel", delta.taps, "a convolution has two taps at least"));
    }
    Ok(delta)
}

/// The list of the file, or the interval; either way the tensors must agree.
fn layers(keys: &Keys<'_>, params: &Params<'_>, predictors: usize) -> Result<Vec<Mixer>, ModelError> {
    let blocks = keys.need("block_count")?;
    let Some(count) = blocks.checked_sub(predictors).filter(|&n| n > 0) else {
        let reason = format!("{predictors} of them predict further tokens, and nothing is left");
        return Err(keys.bad("block_count", blocks, reason));
    };
    // A file of so many tensors can't have more layers, and what follows is as long as the number says.
    if count > keys.file.tensors().len() {
        return Err(keys.bad("block_count", blocks, "the file has fewer tensors than that"));
    }
    let (key, recurrent) = match keys.bools("attention.recurrent_layers")? {
        Some(list) if list.len() < count => {
            let reason = format!("{count} layers are wanted");
            return Err(keys.bad("attention.recurrent_layers", format!("{} long", list.len()), reason));
        }
        Some(list) => ("attention.recurrent_layers", list[..count].to_vec()),
        None => {
            let key = "full_attention_interval";
            let interval = if keys.usize(key)?.is_some() { keys.need(key)? } else { INTERVAL };
            (key, (1..=count).map(|i| !i.is_multiple_of(interval)).collect())
        }
    };
    for (i, &recurrent) in recurrent.iter().enumerate() {
        if params.has(&format!("blk.{i}.ssm_out.weight")) != recurrent {
            let [said, there] =
                if recurrent { ["a delta net", "attention"] } else { ["attention", "a delta net"] };
            let reason = format!("layer {i} should be {said}, the tensors are those of {there}");
            return Err(keys.bad(key, format!("{said} at {i}"), reason));
        }
    }
    let mixer = |&recurrent: &bool| if recurrent { Mixer::Delta } else { Mixer::Attention };
    Ok(recurrent.iter().map(mixer).collect())
}
