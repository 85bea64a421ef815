//! The FastConformer encoder (Rekesh et al. 2023; Gulati et al. 2020), NeMo's `ConformerEncoder`.
//!
//! A block is `x + ½FFN(x) → + MHSA → + Conv → + ½FFN → LayerNorm`, each branch behind its own layer norm.

use crate::error::ModelError;
use crate::parakeet::config::{ConvNorm, ParakeetConfig, SUBSAMPLING, Window, ctc_weight};
use crate::parakeet::subsample::front;
use crate::params::Params;
use mynah_gguf::GgufFile;
use mynah_graph::{ElemType, Graph, GraphBuilder, Op, RelPosAttention, ValueId};

/// Added to variances by every norm of the model.
const EPS: f32 = 1e-5;

/// The shape an encoder graph is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderDims {
    /// Clips in the batch.
    pub batch: usize,
    /// Encoder frames of the longest clip, rounded up to a bucket.
    pub frames: usize,
    /// Attention window; `None` for full attention.
    pub window: Option<Window>,
    /// Also compute the CTC head's log-probabilities.
    pub ctc: bool,
    /// Also compute the joint's projection of each frame.
    pub transducer: bool,
    /// What else to give.
    pub keep: Keep,
}

/// What an encoder's run gives besides the outputs of its heads. What nobody reads should not have to come back from a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// Nothing.
    Heads,
    /// `encoded`, the last block's output.
    Encoded,
    /// `encoded`, and every block's output: `layer.0` and so on.
    Layers,
}

impl EncoderDims {
    /// The largest relative offset, which row 0 of the position table stands for, and the table's rows.
    pub(crate) fn positions(&self) -> (i64, usize) {
        let span = self.frames - 1;
        let [left, right] = self.window.unwrap_or([span; 2]).map(|side| side.min(span));
        (left as i64, left + right + 1)
    }
}

/// `frames [B, T, d]`, `lengths [B]`, `positions [R, d]` → as asked `ctc [B, T, V+1]` log-probabilities,
/// `projected [B, T, joint]`, `encoded [B, T, d]`, `layer.i [B, T, d]`.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn encoder_graph(
    file: &GgufFile,
    config: &ParakeetConfig,
    dims: &EncoderDims,
) -> Result<Graph, ModelError> {
    let mut g = GraphBuilder::new("encoder");
    let frames = g.input("frames", ElemType::F32, [dims.batch, dims.frames, config.d_model]);
    encode(&Params::new(file), &mut g, config, dims, frames)?;
    Ok(g.finish()?)
}

/// Subsampling and encoder in one, for a device that takes whole clips: what is between them never leaves it. `together` clips go
/// through the convolutions at a time, whose tensors are much the largest. Inputs of
/// `front_graph`, then those of [`encoder_graph`] without `frames`; outputs of the latter.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn listening_graph(
    file: &GgufFile,
    config: &ParakeetConfig,
    dims: &EncoderDims,
    together: usize,
) -> Result<Graph, ModelError> {
    let params = Params::new(file);
    let mut g = GraphBuilder::new("listening");
    let frames = front(&params, &mut g, config, [dims.batch, together], SUBSAMPLING * dims.frames)?;
    encode(&params, &mut g, config, dims, frames)?;
    Ok(g.finish()?)
}

/// The nodes of [`encoder_graph`] from its frames on.
fn encode(
    params: &Params<'_>,
    g: &mut GraphBuilder,
    config: &ParakeetConfig,
    dims: &EncoderDims,
    frames: ValueId,
) -> Result<(), ModelError> {
    let d = config.d_model;
    let lengths = g.input("lengths", ElemType::I32, [dims.batch]);
    let positions = g.input("positions", ElemType::F32, [dims.positions().1, d]);
    let block = Block { params: *params, config, dims, lengths, positions };

    let mut x = frames;
    for i in 0..config.layers {
        x = g.scope(format!("layers.{i}"), |g| block.forward(g, &format!("encoder.layers.{i}"), x))?;
        if dims.keep == Keep::Layers {
            g.output(&format!("layer.{i}"), x);
        }
    }
    if dims.keep >= Keep::Encoded {
        g.output("encoded", x);
    }
    if let (true, Some(name)) = (dims.ctc, ctc_weight(params)) {
        let logits = params.linear(g, name, x, [config.vocabulary + 1, d])?;
        let log_probs = g.op(Op::LogSoftmax, &[logits]);
        g.output("ctc", log_probs);
    }
    if let (true, Some(t)) = (dims.transducer, &config.transducer) {
        let projected = params.linear(g, "joint.enc", x, [t.joint, d])?;
        g.output("projected", projected);
    }
    Ok(())
}

/// One conformer block's surroundings.
struct Block<'a> {
    params: Params<'a>,
    config: &'a ParakeetConfig,
    dims: &'a EncoderDims,
    lengths: ValueId,
    positions: ValueId,
}

impl Block<'_> {
    fn forward(&self, g: &mut GraphBuilder, name: &str, x: ValueId) -> Result<ValueId, ModelError> {
        let p = &self.params;
        let h = p.layer_norm(g, &format!("{name}.norm_feed_forward1"), x, EPS)?;
        let h = self.feed_forward(g, &format!("{name}.feed_forward1"), h)?;
        let h = g.scale(h, 0.5);
        let x = g.add(x, h);

        let h = p.layer_norm(g, &format!("{name}.norm_self_att"), x, EPS)?;
        let h = self.attention(g, &format!("{name}.self_attn"), h)?;
        let x = g.add(x, h);

        let h = p.layer_norm(g, &format!("{name}.norm_conv"), x, EPS)?;
        let h = self.convolution(g, &format!("{name}.conv"), h)?;
        let x = g.add(x, h);

        let h = p.layer_norm(g, &format!("{name}.norm_feed_forward2"), x, EPS)?;
        let h = self.feed_forward(g, &format!("{name}.feed_forward2"), h)?;
        let h = g.scale(h, 0.5);
        let x = g.add(x, h);
        p.layer_norm(g, &format!("{name}.norm_out"), x, EPS)
    }

    fn feed_forward(&self, g: &mut GraphBuilder, name: &str, x: ValueId) -> Result<ValueId, ModelError> {
        let (d, ff) = (self.config.d_model, self.config.feed_forward);
        let h = self.params.linear(g, &format!("{name}.linear1"), x, [ff, d])?;
        let h = g.silu(h);
        self.params.linear(g, &format!("{name}.linear2"), h, [d, ff])
    }

    fn attention(&self, g: &mut GraphBuilder, name: &str, x: ValueId) -> Result<ValueId, ModelError> {
        let (d, heads) = (self.config.d_model, self.config.heads);
        let p = &self.params;
        let q = p.linear(g, &format!("{name}.linear_q"), x, [d, d])?;
        let k = p.linear(g, &format!("{name}.linear_k"), x, [d, d])?;
        let v = p.linear(g, &format!("{name}.linear_v"), x, [d, d])?;
        let pos = p.linear(g, &format!("{name}.linear_pos"), self.positions, [d, d])?;
        let head_width = d / heads;
        let bias_u = p.weight(g, &format!("{name}.pos_bias_u"), [heads, head_width])?;
        let bias_v = p.weight(g, &format!("{name}.pos_bias_v"), [heads, head_width])?;
        let attention = RelPosAttention {
            heads,
            scale: 1.0 / (head_width as f32).sqrt(),
            first_offset: self.dims.positions().0,
            window: self.dims.window,
        };
        let h = g.rel_pos_attention(attention, &[q, k, v, pos, bias_u, bias_v, self.lengths]);
        p.linear(g, &format!("{name}.linear_out"), h, [d, d])
    }

    fn convolution(&self, g: &mut GraphBuilder, name: &str, x: ValueId) -> Result<ValueId, ModelError> {
        let (d, kernel) = (self.config.d_model, self.config.conv_kernel);
        let p = &self.params;
        let h = p.linear(g, &format!("{name}.pointwise_conv1"), x, [2 * d, d])?;
        let h = g.glu(h);
        let h = g.mask_rows(h, self.lengths);
        let w = p.weight(g, &format!("{name}.depthwise_conv.weight"), [d, 1, kernel])?;
        let b = p.optional(g, &format!("{name}.depthwise_conv.bias"), [d])?;
        let side = (kernel - 1) / 2;
        let h = g.depthwise_conv1d(h, w, b, [side, side]);
        let h = self.conv_norm(g, &format!("{name}.batch_norm"), h)?;
        let h = g.silu(h);
        p.linear(g, &format!("{name}.pointwise_conv2"), h, [d, d])
    }

    fn conv_norm(&self, g: &mut GraphBuilder, name: &str, x: ValueId) -> Result<ValueId, ModelError> {
        let (p, d) = (&self.params, self.config.d_model);
        if self.config.conv_norm == ConvNorm::Layer {
            return p.layer_norm(g, name, x, EPS);
        }
        let mut operands = vec![x];
        for part in ["weight", "bias", "running_mean", "running_var"] {
            operands.push(p.weight(g, &format!("{name}.{part}"), [d])?);
        }
        Ok(g.op(Op::BatchNorm { eps: EPS }, &operands))
    }
}
