//! The tensors that a configuration implies: names of NeMo's state dict, shapes, and what each is for. A checkpoint is
//! checked against this list, Hugging Face names are mapped through it, and random models are made from it.

use mynah_tensor::Shape;

use super::config::{Config, ConvNorm};

/// What a tensor does, as far as making up values or judging precision needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Analysis window.
    Window,
    /// Mel filters.
    Filters,
    /// Subsampling convolution.
    Subsampling,
    /// Its bias.
    SubsamplingBias,
    /// A matrix of the encoder, or a pointwise convolution.
    Matrix,
    /// Depthwise convolution of a block.
    Depthwise,
    /// Bias of a linear or convolution layer.
    Bias,
    /// Scale of a norm.
    Gain,
    /// Shift of a norm.
    Shift,
    /// Running mean of a batch norm.
    Mean,
    /// Running variance of a batch norm.
    Variance,
    /// Position bias `u` or `v`.
    PositionBias,
    /// Embedding of the prediction network; the last row is the blank's.
    Embedding,
    /// LSTM matrix.
    Lstm,
    /// LSTM bias.
    LstmBias,
    /// Projection into the joint.
    JointIn,
    /// Output matrix of the joint or the CTC head.
    Head,
    /// Its bias.
    HeadBias,
}

/// A tensor that a configuration implies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Name in NeMo's state dict.
    pub name: String,
    /// Outermost first.
    pub shape: Shape,
    /// What it is for.
    pub role: Role,
}

/// All tensors of a configuration, in the order of NeMo's state dict.
pub fn tensors(config: &Config) -> Vec<Expected> {
    let mut list = List(Vec::new());
    let features = &config.features;
    list.add("preprocessor.featurizer.window", [features.win_length], Role::Window);
    let bins = features.n_fft / 2 + 1;
    list.add("preprocessor.featurizer.fb", [1, features.mels, bins], Role::Filters);
    list.subsampling(config);
    for layer in 0..config.encoder.layers {
        list.block(config, &format!("encoder.layers.{layer}."));
    }
    let outputs = config.pieces.len() + 1;
    let d = config.encoder.d_model;
    if let Some(prompt) = &config.prompt {
        list.linear("prompt_kernel.0", [2 * d, d + prompt.prompts], Role::Matrix, true);
        list.linear("prompt_kernel.2", [d, 2 * d], Role::Matrix, true);
    }
    list.transducer(config, outputs);
    if config.ctc {
        let head = if config.transducer.is_some() { "ctc_decoder" } else { "decoder" };
        list.add(&format!("{head}.decoder_layers.0.weight"), [outputs, d, 1], Role::Head);
        list.add(&format!("{head}.decoder_layers.0.bias"), [outputs], Role::HeadBias);
    }
    list.0
}

struct List(Vec<Expected>);

impl List {
    fn add(&mut self, name: &str, shape: impl Into<Shape>, role: Role) {
        self.0.push(Expected { name: name.to_owned(), shape: shape.into(), role });
    }

    /// `{name}.weight` and, if there is one, `{name}.bias` of as many elements as the weight has rows.
    fn linear<const N: usize>(&mut self, name: &str, shape: [usize; N], role: Role, bias: bool) {
        self.add(&format!("{name}.weight"), shape, role);
        if bias {
            let role = match role {
                Role::Head => Role::HeadBias,
                Role::Subsampling => Role::SubsamplingBias,
                _ => Role::Bias,
            };
            self.add(&format!("{name}.bias"), [shape[0]], role);
        }
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.add(&format!("{name}.weight"), [width], Role::Gain);
        self.add(&format!("{name}.bias"), [width], Role::Shift);
    }

    fn subsampling(&mut self, config: &Config) {
        let channels = config.encoder.subsampling_channels;
        let flat = channels.saturating_mul(config.subsampled_mels());
        self.linear("encoder.pre_encode.out", [config.encoder.d_model, flat], Role::Matrix, true);
        let stages = config.encoder.subsampling_factor.max(1).ilog2();
        self.linear("encoder.pre_encode.conv.0", [channels, 1, 3, 3], Role::Subsampling, true);
        for stage in 1..stages {
            // A depthwise and a pointwise convolution, then a ReLU that has a number but no weights.
            let at = 3 * stage - 1;
            let name = |at| format!("encoder.pre_encode.conv.{at}");
            self.linear(&name(at), [channels, 1, 3, 3], Role::Subsampling, true);
            self.linear(&name(at + 1), [channels, channels, 1, 1], Role::Subsampling, true);
        }
    }

    fn block(&mut self, config: &Config, prefix: &str) {
        let encoder = &config.encoder;
        let (d, ff, heads, bias) = (encoder.d_model, encoder.ff_dim, encoder.heads, encoder.use_bias);
        let name = |part: &str| format!("{prefix}{part}");
        let feed_forward = |list: &mut List, which: &str| {
            list.norm(&name(&format!("norm_{which}")), d);
            list.linear(&name(&format!("{which}.linear1")), [ff, d], Role::Matrix, bias);
            list.linear(&name(&format!("{which}.linear2")), [d, ff], Role::Matrix, bias);
        };
        feed_forward(self, "feed_forward1");
        self.norm(&name("norm_conv"), d);
        self.linear(&name("conv.pointwise_conv1"), [2 * d, d, 1], Role::Matrix, bias);
        self.linear(&name("conv.depthwise_conv"), [d, 1, encoder.conv_kernel], Role::Depthwise, bias);
        self.norm(&name("conv.batch_norm"), d);
        if encoder.conv_norm == ConvNorm::Batch {
            self.add(&name("conv.batch_norm.running_mean"), [d], Role::Mean);
            self.add(&name("conv.batch_norm.running_var"), [d], Role::Variance);
        }
        self.linear(&name("conv.pointwise_conv2"), [d, d, 1], Role::Matrix, bias);
        self.norm(&name("norm_self_att"), d);
        for position in ["u", "v"] {
            let shape = [heads, d / heads.max(1)];
            self.add(&name(&format!("self_attn.pos_bias_{position}")), shape, Role::PositionBias);
        }
        for which in ["q", "k", "v", "out"] {
            self.linear(&name(&format!("self_attn.linear_{which}")), [d, d], Role::Matrix, bias);
        }
        self.linear(&name("self_attn.linear_pos"), [d, d], Role::Matrix, false);
        feed_forward(self, "feed_forward2");
        self.norm(&name("norm_out"), d);
    }

    fn transducer(&mut self, config: &Config, outputs: usize) {
        let Some(transducer) = &config.transducer else { return };
        let (pred, joint) = (transducer.pred_hidden, transducer.joint_hidden);
        self.add("decoder.prediction.embed.weight", [outputs, pred], Role::Embedding);
        for layer in 0..transducer.pred_layers {
            let name = |part: &str| format!("decoder.prediction.dec_rnn.lstm.{part}_l{layer}");
            self.add(&name("weight_ih"), [4 * pred, pred], Role::Lstm);
            self.add(&name("weight_hh"), [4 * pred, pred], Role::Lstm);
            self.add(&name("bias_ih"), [4 * pred], Role::LstmBias);
            self.add(&name("bias_hh"), [4 * pred], Role::LstmBias);
        }
        self.linear("joint.pred", [joint, pred], Role::JointIn, true);
        self.linear("joint.enc", [joint, config.encoder.d_model], Role::JointIn, true);
        let outputs = outputs + transducer.durations.len();
        self.linear("joint.joint_net.2", [outputs, joint], Role::Head, true);
    }
}
