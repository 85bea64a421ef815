//! The operations of the IR, each with its inputs, its meaning and its source.
//!
//! Shapes are row-major with the last dimension contiguous. Activations are f32, ids and lengths i32. Sequences are
//! `[batch, time, channels]`: channels last, because that makes a pointwise convolution a matrix product and lets a
//! depthwise one vectorise over channels. Shape rules are in [`crate::shape`], meanings in [`crate::interp`].

use crate::decoder::{CausalAttention, CausalConv1d, Rope};
use crate::experts::{ExpertChoice, ExpertGateUp, ExpertWeights};
use crate::heads::Heads;
use crate::ir::{SlotId, StateId};
use crate::prologue::Prologue;
use crate::transducer::{TransducerAdvance, TransducerJoin};
use crate::vocoder::{Attention, Conv1d, ConvTranspose1d, InverseStft};

/// A function applied to each element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`, also called swish (Ramachandran et al. 2017).
    Silu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `x · Φ(x)` with the error function (Hendrycks and Gimpel 2016).
    Gelu,
    /// The tanh approximation of [`Activation::Gelu`].
    GeluTanh,
    /// `exp(x)`.
    Exp,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `1 / sqrt(x)`.
    Rsqrt,
    /// `x` above zero, the slope times `x` below (Maas et al. 2013).
    LeakyRelu(f32),
    /// `x` above zero, `exp(x) − 1` below (Clevert et al. 2016).
    Elu,
    /// `x · tanh(ln(1 + exp(x)))` (Misra 2020).
    Mish,
    /// Sine of an angle in radians.
    Sin,
    /// Cosine of an angle in radians.
    Cos,
    /// Square root.
    Sqrt,
    /// `|x|`.
    Abs,
}

/// A function of two elements; the second operand broadcasts to the first (NumPy rules).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `a + b`.
    Add,
    /// `a − b`.
    Sub,
    /// `a · b`.
    Mul,
    /// `a / b`.
    Div,
}

/// What a product does to its accumulator before it stores it: `scale · act(acc + bias) + residual`.
///
/// The extra operands follow the op's own inputs in the order bias, residual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epilogue {
    /// An input `[N]` is added to each row.
    pub bias: bool,
    /// Applied after the bias.
    pub activation: Option<Activation>,
    /// Multiplies the result before the residual is added.
    pub scale: f32,
    /// An input of the output's shape is added last.
    pub residual: bool,
}

impl Default for Epilogue {
    fn default() -> Self {
        Self { bias: false, activation: None, scale: 1.0, residual: false }
    }
}

impl Epilogue {
    /// How many operands follow the op's own inputs.
    pub fn extra_inputs(&self) -> usize {
        usize::from(self.bias) + usize::from(self.residual)
    }

    /// Whether the epilogue changes nothing.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// A 2-D convolution over channels-last input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2d {
    /// Steps along height and width.
    pub stride: [usize; 2],
    /// Zero rows added before and after the height.
    pub pad_height: [usize; 2],
    /// Zero columns added before and after the width.
    pub pad_width: [usize; 2],
    /// Channel groups; equal to the input channels for a depthwise convolution.
    pub groups: usize,
    /// Applied per output channel.
    pub epilogue: Epilogue,
}

/// Multi-head attention with relative positions of Transformer-XL (Dai et al. 2019), as NeMo's
/// `RelPositionMultiHeadAttention`: `softmax(((q+u)·kᵀ + (q+v)·p[i−j]ᵀ) · scale) · values`.
///
/// The shift is index arithmetic: the table row for the offset `o = i − j` of query `i` and key `j` is
/// `first_offset − o`, so no `T × (2T−1)` matrix is ever stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RelPosAttention {
    /// Number of heads; divides the model width.
    pub heads: usize,
    /// Multiplies the scores, `1/sqrt(head width)` in NeMo.
    pub scale: f32,
    /// The offset `i − j` which row 0 of the position table stands for.
    pub first_offset: i64,
    /// Keys seen to the left and right of a query; `None` sees all (NeMo `rel_pos_local_attn` otherwise).
    pub window: Option<[usize; 2]>,
}

/// Gated delta rule (Yang et al. 2024, "Gated Delta Networks") with a gate per head, or per key channel as in Kimi Delta
/// Attention. For each sequence and value head `h`, with key head `h mod Hk` and a matrix `M[value][key]`:
///
/// ```text
/// M ← M · exp(g);   d = (v − M k) · beta;   M ← M + d kᵀ;   out = M q / √S
/// ```
///
/// A sequence is given by three numbers: its row of the state tensor, how many of the `T` tokens are its own, and the snapshot it
/// goes on from. Tokens past its own change nothing and give zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GatedDeltaNet {
    /// Holds the matrices, rows of `[snapshots · Hv, S, S]`: snapshot 0 is the state after the last token, snapshot `n` the one `n`
    /// tokens earlier, which speculative decoding goes back to. A run of fewer tokens writes as many snapshots as it has tokens.
    pub state: StateId,
    /// Snapshots kept, at least one.
    pub snapshots: usize,
}

/// Where a [`Op::Slice`] begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// A constant index.
    Fixed(usize),
    /// The value of a slot at run time.
    Slot(SlotId),
}

/// One operation. The comment of each names its inputs in order, then its output.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `x [.., K]`, weight `w [N, K]`, epilogue operands → `[.., N]`: each row times `wᵀ`.
    MatMul(Epilogue),
    /// `x [.., K]`, weight `w [N, K]`, what the prologue takes besides, epilogue operands → `[.., N]`: each row after the prologue
    /// times `wᵀ`.
    MatMulAfter(Prologue, Epilogue),
    /// `x [B, H, W, Cin]`, weight `[Cout, Cin/groups, kh, kw]`, epilogue operands → `[B, H', W', Cout]`.
    Conv2d(Conv2d),
    /// `x [B, T, C]`, weight `[C, 1, K]`, epilogue operands → `[B, T + left + right − K + 1, C]`.
    DepthwiseConv1d {
        /// Zero frames added on the left and the right.
        pad: [usize; 2],
        /// Applied per channel.
        epilogue: Epilogue,
    },
    /// `x [B, T, Ci]`, weight `[Co, Ci, K]`, epilogue operands → `[B, T', Co]`.
    Conv1d(Conv1d),
    /// `x [B, T, Ci]`, weight `[Ci, Co, K]`, epilogue operands → `[B, (T − 1)·stride + K − left − right, Co]`.
    ConvTranspose1d(ConvTranspose1d),
    /// `a`, `b` (broadcast to `a`) → the shape of `a`.
    Binary(BinaryOp),
    /// `x` → same shape.
    Unary(Activation),
    /// `x` → `factor · x`.
    Scale(f32),
    /// `x` → same shape, within two bounds: `min(max(x, min), max)`.
    Clamp {
        /// The least value.
        min: f32,
        /// The largest value, at least `min`.
        max: f32,
    },
    /// `x [.., C]`, `alpha [C]` → `x + sin²(alpha·x) / (alpha + 1e-9)` (Ziyin et al. 2020).
    Snake,
    /// `x [.., 2C]` → `[.., C]`: first half times `sigmoid` of the second (Dauphin et al. 2016).
    Glu,
    /// `a`, `b` of one shape → `a · act(b)`: the gated unit of two products (Shazeer 2020), and any other gate.
    Gated(Activation),
    /// `x [.., C]`, `gain [C]`, `bias [C]` → same shape: normalised over the last dimension (Ba et al. 2016).
    LayerNorm {
        /// Added to the variance.
        eps: f32,
    },
    /// `x [.., C]`, `gain [C]` → same shape: divided by the root mean square (Zhang and Sennrich 2019).
    RmsNorm {
        /// Added to the mean square.
        eps: f32,
    },
    /// `x [.., C]` → same shape: `x / sqrt(Σx² + eps)` over the last dimension.
    L2Norm {
        /// Added to the sum of squares, under the root.
        eps: f32,
    },
    /// `x [.., C]`, `gain [C]`, `bias [C]`, `mean [C]`, `variance [C]` → same shape, with stored statistics.
    BatchNorm {
        /// Added to the variance.
        eps: f32,
    },
    /// `gain [C]`, `variance [C]` → `gain / sqrt(variance + eps)`: what a folded [`Op::BatchNorm`] multiplies a
    /// convolution's kernel by.
    BatchNormScale {
        /// Added to the variance.
        eps: f32,
    },
    /// `x [.., C]` → same shape, over the last dimension.
    Softmax,
    /// `x [.., C]` → same shape, over the last dimension.
    LogSoftmax,
    /// `x [.., C]` → i32 `[..]`: the first index of the largest element.
    Argmax,
    /// `table [V, D]`, i32 `ids [..]` → `[.., D]`. An id outside the table is a run error.
    Gather,
    /// `x [B, T, ..]`, i32 `lengths [B]` → same shape with rows at or past `lengths[b]` set to zero.
    MaskRows,
    /// `q`, `k`, `v` `[B, T, C]`, positions `p [R, C]`, biases `u`, `v` `[heads, C/heads]`, i32 `lengths [B]`
    /// → `[B, T, C]`. Keys at or past the length are not seen; a query that sees no key gives zeros, as do
    /// queries at or past the length.
    RelPosAttention(RelPosAttention),
    /// `q [B, T, H, D]`, `k`, `v` `[B, S, H, D]`, i32 `lengths [B]` → `[B, T, H, D]`.
    Attention(Attention),
    /// `gates [B, 4H]` in the order input, forget, cell, output (PyTorch `nn.LSTM`), `c [B, H]` → `[B, 2H]`:
    /// the new hidden state, then the new cell state.
    LstmCell,
    /// `q`, `k` `[B, T, Hk, S]`, `v` `[B, T, Hv, S]`, log decays `g` `[B, T, Hv]` or one for each key channel
    /// `[B, T, Hv, S]`, `beta` `[B, T, Hv]`, i32 `sequences` `[B, 3]` → `[B, T, Hv, S]`.
    GatedDeltaNet(GatedDeltaNet),
    /// `x [B, T, H, D]`, i32 `positions [B, T]` → same shape.
    Rope(Rope),
    /// `x [B, T, C]`, weight `[C, 1, K]`, i32 `sequences [B, 3]` as for [`Op::GatedDeltaNet`] → `[B, T, C]`.
    CausalConv1d(CausalConv1d),
    /// `q [B, T, H, D]`, `k`, `v` `[B, T, Hk, D]`, i32 `sequences [B, 2]`, i32 `pages [B, N]` → `[B, T, H, D]`. Query head `h` uses
    /// key head `h / (H/Hk)`.
    CausalAttention(CausalAttention),
    /// `logits [.., E]`, the bias `[E]` where there is one → i32 `[.., used]`.
    ExpertChoice(ExpertChoice),
    /// `logits [.., E]`, i32 `ids [.., k]` → `[.., k]`.
    ExpertWeights(ExpertWeights),
    /// `x [.., K]`, i32 `ids [.., k]`, stacks `gate` and `up` `[E, F, K]`, or both in one `[E, 2F, K]` → `[.., k, F]`.
    ExpertGateUp(ExpertGateUp),
    /// `h [.., k, F]`, i32 `ids [.., k]`, `weights [.., k]`, stack `down [E, N, F]` → `[.., N]`: each token's rows times the `downᵀ`
    /// of their experts, weighted and summed in the order of the ids.
    ExpertDown,
    /// What the heads of a layer do between its projections. [`Heads::Delta`]: `mixed [B, T, (2·Hk + Hv)·S]`, `steps [B, T, Hv]`,
    /// `rates [Hv]`, `beta [B, T, Hv]`, `gain [S]`, `z [B, T, Hv, S]`, i32 `sequences [B, 3]`, with a convolution its kernel →
    /// `[B, T, Hv, S]`.
    /// [`Heads::Attention`]: `both [B, T, H, 2·D]`, `k`, `v` `[B, T, Hk, D]`, gains of q and k `[D]`, i32 `positions [B, T]`,
    /// `sequences [B, 2]`, `pages [B, N]` → `[B, T, H, D]`.
    Heads(Heads),
    /// `x [B, T, C]` → `[B, T·n, C]`: each row `n` times, one after the other.
    RepeatRows {
        /// How often.
        times: usize,
    },
    /// `x [B, T, C]` → `[B, ⌈T/len⌉, C]`: the means of stretches of `len` rows, of the last over the rows it has.
    SegmentMean {
        /// Rows of a segment.
        len: usize,
    },
    /// `x [B, F, 2·(n/2 + 1)]`, the real parts of a frame's spectrum, then the imaginary ones → `[B, hop·(F − 1)]`.
    InverseStft(InverseStft),
    /// `x` → the same elements under another shape.
    Reshape(Vec<usize>),
    /// `x` → dimension `i` of the output is dimension `perm[i]` of the input.
    Permute(Vec<usize>),
    /// `x` → `len` entries of one axis.
    Slice {
        /// The axis that is cut.
        axis: usize,
        /// First entry.
        start: Start,
        /// Number of entries.
        len: usize,
    },
    /// Two or more inputs → joined along one axis.
    Concat {
        /// The axis that grows.
        axis: usize,
    },
    /// i32 `rows [B]` → `[B, row shape]`: rows of a state tensor.
    StateGather(StateId),
    /// i32 `rows [B]`, `value [B, row shape]` → `value`, written to those rows of a state tensor. The rows must
    /// differ. Reads of the same state that come later in the graph see the new rows.
    StateScatter(StateId),
    /// `value [n, row shape]` → `value`, written to rows `slot .. slot + n` of a state tensor.
    StateAppend {
        /// The tensor written.
        state: StateId,
        /// Holds the first row at run time.
        at: SlotId,
    },
    /// i32 `rows [B]` → i32 `[B]`: one number of each of those rows of a state tensor. One that is not whole, or whose magnitude
    /// reaches 2^24, is a run error.
    StateNumbers {
        /// The tensor read.
        state: StateId,
        /// Which number of a row.
        column: usize,
    },
    /// `gates [B, 4H]` as for [`Op::LstmCell`], i32 `rows [B]`, i32 `active [B]` → `[B, H]`: a step of an LSTM layer whose hidden and
    /// cell state are rows of state tensors. Where `active` is 0 the sequence stays as it is. Gives the hidden state each sequence
    /// then has. The rows must differ.
    LstmStep {
        /// Hidden states, rows of `[H]`.
        hidden: StateId,
        /// Cell states, rows of `[H]`.
        cell: StateId,
    },
    /// `predicted [B, J]`, i32 `rows [B]` (those of the cursors) → `[B, ahead, J]`: `relu(frame + predicted)` for the next frames of
    /// each clip; a frame past the clip's end counts as zeros.
    TransducerJoin(TransducerJoin),
    /// `logits [B, ahead, labels + durations]` of the frames from each cursor on, i32 `rows [B]` → the new rows `[B, row]`. Frames past
    /// the clip's end are not looked at. The rows must differ.
    TransducerAdvance(TransducerAdvance),
}

impl Op {
    /// The name used in dumps, reports and placement snapshots.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MatMul(_) => "matmul",
            Self::MatMulAfter(Prologue::RmsNorm { .. }, _) => "rms_norm_matmul",
            Self::MatMulAfter(Prologue::LayerNorm { .. }, _) => "layer_norm_matmul",
            Self::MatMulAfter(Prologue::Gated(_), _) => "gated_matmul",
            Self::Conv2d(_) => "conv2d",
            Self::DepthwiseConv1d { .. } => "depthwise_conv1d",
            Self::Conv1d(_) => "conv1d",
            Self::ConvTranspose1d(_) => "conv_transpose1d",
            Self::Binary(BinaryOp::Add) => "add",
            Self::Binary(BinaryOp::Sub) => "sub",
            Self::Binary(BinaryOp::Mul) => "mul",
            Self::Binary(BinaryOp::Div) => "div",
            Self::Unary(a) => a.name(),
            Self::Scale(_) => "scale",
            Self::Clamp { .. } => "clamp",
            Self::Snake => "snake",
            Self::Glu => "glu",
            Self::Gated(_) => "gated",
            Self::LayerNorm { .. } => "layer_norm",
            Self::RmsNorm { .. } => "rms_norm",
            Self::L2Norm { .. } => "l2_norm",
            Self::BatchNorm { .. } => "batch_norm",
            Self::BatchNormScale { .. } => "batch_norm_scale",
            Self::Softmax => "softmax",
            Self::LogSoftmax => "log_softmax",
            Self::Argmax => "argmax",
            Self::Gather => "gather",
            Self::MaskRows => "mask_rows",
            Self::RelPosAttention(_) => "rel_pos_attention",
            Self::Attention(_) => "attention",
            Self::LstmCell => "lstm_cell",
            Self::GatedDeltaNet(_) => "gated_delta_net",
            Self::Rope(_) => "rope",
            Self::CausalConv1d(_) => "causal_conv1d",
            Self::CausalAttention(_) => "causal_attention",
            Self::ExpertChoice(_) => "expert_choice",
            Self::ExpertWeights(_) => "expert_weights",
            Self::ExpertGateUp(_) => "expert_gate_up",
            Self::ExpertDown => "expert_down",
            Self::Heads(Heads::Delta(_)) => "delta_heads",
            Self::Heads(Heads::Attention(_)) => "attention_heads",
            Self::RepeatRows { .. } => "repeat_rows",
            Self::SegmentMean { .. } => "segment_mean",
            Self::InverseStft(_) => "inverse_stft",
            Self::Reshape(_) => "reshape",
            Self::Permute(_) => "permute",
            Self::Slice { .. } => "slice",
            Self::Concat { .. } => "concat",
            Self::StateGather(_) => "state_gather",
            Self::StateScatter(_) => "state_scatter",
            Self::StateAppend { .. } => "state_append",
            Self::StateNumbers { .. } => "state_numbers",
            Self::LstmStep { .. } => "lstm_step",
            Self::TransducerJoin(_) => "transducer_join",
            Self::TransducerAdvance(_) => "transducer_advance",
        }
    }

    /// Whether the op writes a state tensor, and so may neither be removed nor moved past a read of it.
    pub fn has_effect(&self) -> bool {
        let moves = matches!(self, Self::StateScatter(_) | Self::StateAppend { .. });
        let steps =
            matches!(self, Self::GatedDeltaNet(_) | Self::LstmStep { .. } | Self::TransducerAdvance(_));
        moves || steps || matches!(self, Self::CausalConv1d(_) | Self::CausalAttention(_) | Self::Heads(_))
    }

    /// The epilogue, for the ops that carry one.
    pub fn epilogue(&self) -> Option<&Epilogue> {
        match self {
            Self::MatMul(e) | Self::MatMulAfter(_, e) | Self::DepthwiseConv1d { epilogue: e, .. } => Some(e),
            Self::Conv2d(c) => Some(&c.epilogue),
            Self::Conv1d(c) => Some(&c.epilogue),
            Self::ConvTranspose1d(c) => Some(&c.epilogue),
            _ => None,
        }
    }

    /// The epilogue, to change it.
    pub fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        match self {
            Self::MatMul(e) | Self::MatMulAfter(_, e) | Self::DepthwiseConv1d { epilogue: e, .. } => Some(e),
            Self::Conv2d(c) => Some(&mut c.epilogue),
            Self::Conv1d(c) => Some(&mut c.epilogue),
            Self::ConvTranspose1d(c) => Some(&mut c.epilogue),
            _ => None,
        }
    }

    /// Whether the op reads or writes a state tensor.
    pub fn uses_state(&self) -> bool {
        let reads =
            matches!(self, Self::StateGather(_) | Self::StateNumbers { .. } | Self::TransducerJoin(_));
        reads || self.has_effect()
    }
}

impl Activation {
    /// The name used in dumps.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Silu => "silu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::Exp => "exp",
            Self::Softplus => "softplus",
            Self::Rsqrt => "rsqrt",
            Self::LeakyRelu(_) => "leaky_relu",
            Self::Elu => "elu",
            Self::Mish => "mish",
            Self::Sin => "sin",
            Self::Cos => "cos",
            Self::Sqrt => "sqrt",
            Self::Abs => "abs",
        }
    }
}
