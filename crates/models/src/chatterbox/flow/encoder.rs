//! The encoder's graph.

use super::config::FlowConfig;
use super::positions::{block_name, position_states};
use crate::chatterbox::cfm::condition_states;
use crate::chatterbox::s3gen::config::short;
use crate::chatterbox::s3gen::tensors::Tensors;
use crate::error::ModelError;
use mynah_gguf::GgufFile;
use mynah_graph::{Activation, Conv1d, ElemType, Graph, GraphBuilder, Op, RelPosAttention, ValueId};

/// Added to the variances outside of blocks.
const EPS: f32 = 1e-5;
/// Slope of the look-ahead's rectifier, PyTorch's default.
const SLOPE: f32 = 0.01;

/// The shape an encoder graph is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowDims {
    /// Requests.
    pub batch: usize,
    /// Tokens of the longest, the voice's among them, rounded up to a bucket.
    pub tokens: usize,
    /// Also give what is between the stages.
    pub stages: bool,
}

/// i32 `tokens [B, T]`, `lengths [B]`, `frame_lengths [B]` (tokens and mel frames of each request), `positions [2T − 1]` and
/// `frame_positions [2·ratio·T − 1]` (rows of the position states), f32 `speaker [B, speaker]` of length one, `prompt
/// [B, ratio·T, bins]` (the voice's mel frames, then zeros), `noise` of the same shape, i32 `rows [B·ratio·T]` → those rows of the
/// solver's states: where it starts, and its conditions.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn flow_graph(file: &GgufFile, config: &FlowConfig, dims: &FlowDims) -> Result<Graph, ModelError> {
    let t = short(file);
    let mut g = GraphBuilder::new("flow");
    let (batch, time, width, bins) = (dims.batch, dims.tokens, config.width, config.bins);
    let frames = config.ratio * time;
    let tokens = g.input("tokens", ElemType::I32, [batch, time]);
    let lengths = g.input("lengths", ElemType::I32, [batch]);
    let frame_lengths = g.input("frame_lengths", ElemType::I32, [batch]);
    let positions = g.input("positions", ElemType::I32, [2 * time - 1]);
    let frame_positions = g.input("frame_positions", ElemType::I32, [2 * frames - 1]);
    let speaker = g.input("speaker", ElemType::F32, [batch, config.speaker]);
    let prompt = g.input("prompt", ElemType::F32, [batch, frames, bins]);
    let noise = g.input("noise", ElemType::F32, [batch, frames, bins]);
    let rows = g.input("rows", ElemType::I32, [batch * frames]);
    let mut kept = Vec::new();

    let table = t.weight(&mut g, "flow/input_embedding", [config.vocabulary, config.embedding])?;
    let mut x = g.gather(table, tokens);
    x = embed(&t, &mut g, config, "embed", x)?;
    // The look-ahead must find zeros behind a request's end.
    x = g.mask_rows(x, lengths);
    kept.push(("embed".to_owned(), x));
    x = lookahead(&t, &mut g, config, x)?;
    kept.push(("lookahead".to_owned(), x));
    let mut block = Block { t, config, lengths, positions, frames: time };
    for i in 0..config.blocks {
        x = g.scope(format!("block.{i}"), |g| block.forward(g, i, x))?;
        kept.push((format!("block.{i}"), x));
    }
    x = g.repeat_rows(x, config.ratio);
    let shape = [width, width, 2 * config.ratio + 1];
    let pad = Conv1d::padded(2 * config.ratio, 0);
    x = t.conv1d(&mut g, "flow/encoder/up_layer/conv", x, shape, pad)?;
    kept.push(("up".to_owned(), x));
    x = embed(&t, &mut g, config, "up_embed", x)?;
    kept.push(("up_embed".to_owned(), x));
    block = Block { lengths: frame_lengths, positions: frame_positions, frames, ..block };
    for i in 0..config.up_blocks {
        x = g.scope(format!("up_block.{i}"), |g| block.forward(g, config.blocks + i, x))?;
        kept.push((format!("up_block.{i}"), x));
    }
    x = t.layer_norm(&mut g, "flow/encoder/after_norm", x, EPS)?;
    kept.push(("after_norm".to_owned(), x));
    let mu = t.linear(&mut g, "flow/encoder_proj", x, [bins, width])?;
    kept.push(("mu".to_owned(), mu));

    let speaker = t.linear(&mut g, "flow/spk_embed_affine", speaker, [bins, config.speaker])?;
    kept.push(("spks".to_owned(), speaker));
    let speaker = g.reshape(speaker, &[batch, 1, bins]);
    let speaker = g.repeat_rows(speaker, frames);
    let conditions = g.op(Op::Concat { axis: 2 }, &[mu, speaker, prompt]);
    let values = [(noise, bins), (conditions, 3 * bins)];
    for (decl, (value, row)) in condition_states(bins).iter().zip(values) {
        let state = g.declare(decl);
        let value = g.reshape(value, &[batch * frames, row]);
        g.op(Op::StateScatter(state), &[rows, value]);
    }
    if dims.stages {
        kept.iter().for_each(|(name, value)| g.output(name, *value));
    }
    Ok(g.finish()?)
}

/// A linear layer, a norm, and the scale of Transformer embeddings.
fn embed(
    t: &Tensors<'_>,
    g: &mut GraphBuilder,
    config: &FlowConfig,
    name: &str,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let inputs = g.shape(x).last();
    let x = t.linear(g, &format!("flow/encoder/{name}/linear"), x, [config.width, inputs])?;
    let x = t.layer_norm(g, &format!("flow/encoder/{name}/norm"), x, EPS)?;
    Ok(g.scale(x, (config.width as f32).sqrt()))
}

/// Two convolutions around a shortcut, the first of which sees tokens to come.
fn lookahead(
    t: &Tensors<'_>,
    g: &mut GraphBuilder,
    config: &FlowConfig,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let (width, ahead, taps) = (config.width, config.lookahead, config.lookahead_taps);
    let name = "flow/encoder/pre_lookahead";
    let h = t.conv1d(g, &format!("{name}/conv1"), x, [width, width, ahead + 1], Conv1d::padded(0, ahead))?;
    let h = g.unary(Activation::LeakyRelu(SLOPE), h);
    let h = t.conv1d(g, &format!("{name}/conv2"), h, [width, width, taps], Conv1d::padded(taps - 1, 0))?;
    Ok(g.add(h, x))
}

/// What a block is given besides its input.
#[derive(Clone, Copy)]
struct Block<'a> {
    t: Tensors<'a>,
    config: &'a FlowConfig,
    lengths: ValueId,
    positions: ValueId,
    frames: usize,
}

impl Block<'_> {
    /// `x + MHSA(LN(x))`, then `+ FFN(LN(x))`.
    fn forward(&self, g: &mut GraphBuilder, index: usize, x: ValueId) -> Result<ValueId, ModelError> {
        let (t, config) = (&self.t, self.config);
        let name = block_name(config, index);
        let h = t.layer_norm(g, &format!("{name}/norm_mha"), x, config.eps)?;
        let h = self.attention(g, index, &format!("{name}/attn"), h)?;
        let x = g.add(h, x);
        let h = t.layer_norm(g, &format!("{name}/norm_ff"), x, config.eps)?;
        let (width, inner) = (config.width, config.feed_forward);
        let h = t.linear(g, &format!("{name}/ff/w1"), h, [inner, width])?;
        let h = g.silu(h);
        let h = t.linear(g, &format!("{name}/ff/w2"), h, [width, inner])?;
        Ok(g.add(h, x))
    }

    fn attention(
        &self,
        g: &mut GraphBuilder,
        index: usize,
        name: &str,
        x: ValueId,
    ) -> Result<ValueId, ModelError> {
        let (t, width, heads) = (&self.t, self.config.width, self.config.heads);
        let q = t.linear(g, &format!("{name}/q"), x, [width, width])?;
        let k = t.linear(g, &format!("{name}/k"), x, [width, width])?;
        let v = t.linear(g, &format!("{name}/v"), x, [width, width])?;
        let decl = &position_states(self.config)[index];
        let state = g.declare(decl);
        let positions = g.op(Op::StateGather(state), &[self.positions]);
        let head = width / heads;
        let u = t.weight(g, &format!("{name}/pos_bias_u"), [heads, head])?;
        let w = t.weight(g, &format!("{name}/pos_bias_v"), [heads, head])?;
        let attention = RelPosAttention {
            heads,
            scale: 1.0 / (head as f32).sqrt(),
            first_offset: self.frames as i64 - 1,
            window: None,
        };
        let h = g.rel_pos_attention(attention, &[q, k, v, positions, u, w, self.lengths]);
        t.linear(g, &format!("{name}/o"), h, [width, width])
    }
}
