//! Names, shapes and roles of the tensors in a file of a configuration, as llama.cpp's converter writes them.

use mynah_tensor::Shape;

use super::config::{Architecture, Config, Experts};

/// A tensor that the file must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its name in the file.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Shape,
    /// What it does.
    pub role: Role,
}

/// What a tensor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A row per token.
    Embedding,
    /// Logits of the last norm's output.
    Head,
    /// Gain of a norm.
    Gain,
    /// Gain of the delta net's gated norm, which no format stores as a difference from one.
    GatedGain,
    /// A projection out of normalised activations.
    Matrix,
    /// A projection back into the residual stream.
    Out,
    /// Queries, keys and values of a delta net, one under the other.
    MixerIn,
    /// The gate of a delta net's output (z).
    MixerGate,
    /// The projection of a delta net back into the residual stream.
    MixerOut,
    /// Taps of a delta net's convolution.
    Taps,
    /// Projection to step sizes (a).
    Alpha,
    /// Projection to write strengths (b).
    Beta,
    /// Qwen3-Next: both, b and a of the value heads of each key head in turn.
    BetaAlpha,
    /// Decay rate of each value head, −exp(A_log).
    Rate,
    /// Added to the step sizes.
    StepBias,
    /// Scores of the experts.
    Router,
    /// Weight of the shared expert.
    SharedGate,
    /// Gate or up projections of all experts.
    Experts,
    /// Down projections of all experts.
    ExpertsOut,
}

/// Every tensor of the file.
pub fn tensors(config: &Config) -> Vec<Expected> {
    let mut list = List { config, tensors: Vec::new() };
    list.add("token_embd.weight".to_owned(), [config.vocabulary, config.hidden], Role::Embedding);
    for index in 0..config.blocks() {
        list.block(index);
    }
    list.add("output_norm.weight".to_owned(), [config.hidden], Role::Gain);
    if !config.tied {
        list.add("output.weight".to_owned(), [config.vocabulary, config.hidden], Role::Head);
    }
    list.tensors
}

struct List<'a> {
    config: &'a Config,
    tensors: Vec<Expected>,
}

impl List<'_> {
    fn add<const N: usize>(&mut self, name: String, shape: [usize; N], role: Role) {
        self.tensors.push(Expected { name, shape: Shape::from(shape), role });
    }

    fn block(&mut self, index: usize) {
        let hidden = self.config.hidden;
        let name = |part: &str| format!("blk.{index}.{part}");
        self.add(name("attn_norm.weight"), [hidden], Role::Gain);
        if self.config.is_recurrent(index) {
            self.delta_net(index);
        } else {
            self.attention(index);
        }
        self.add(name("post_attention_norm.weight"), [hidden], Role::Gain);
        match &self.config.experts {
            Some(experts) => self.experts(index, *experts),
            None => {
                let width = self.config.feed_forward.unwrap_or(0);
                self.add(name("ffn_gate.weight"), [width, hidden], Role::Matrix);
                self.add(name("ffn_up.weight"), [width, hidden], Role::Matrix);
                self.add(name("ffn_down.weight"), [hidden, width], Role::Out);
            }
        }
        // What the predicting layers share is stored with the first of them.
        if index == self.config.layers {
            self.add(name("nextn.eh_proj.weight"), [hidden, 2 * hidden], Role::Matrix);
            self.add(name("nextn.enorm.weight"), [hidden], Role::Gain);
            self.add(name("nextn.hnorm.weight"), [hidden], Role::Gain);
            self.add(name("nextn.shared_head_norm.weight"), [hidden], Role::Gain);
        }
    }

    fn delta_net(&mut self, index: usize) {
        let Config { hidden, kernel, value_heads, state, .. } = *self.config;
        let values = self.config.values_width();
        let channels = 2 * self.config.keys_width() + values;
        let name = |part: &str| format!("blk.{index}.{part}");
        self.add(name("attn_qkv.weight"), [channels, hidden], Role::MixerIn);
        self.add(name("attn_gate.weight"), [values, hidden], Role::MixerGate);
        self.add(name("ssm_conv1d.weight"), [channels, kernel], Role::Taps);
        if self.config.architecture == Architecture::Qwen3Next {
            self.add(name("ssm_ba.weight"), [2 * value_heads, hidden], Role::BetaAlpha);
        } else {
            self.add(name("ssm_alpha.weight"), [value_heads, hidden], Role::Alpha);
            self.add(name("ssm_beta.weight"), [value_heads, hidden], Role::Beta);
        }
        self.add(name("ssm_a"), [value_heads], Role::Rate);
        self.add(name("ssm_dt.bias"), [value_heads], Role::StepBias);
        self.add(name("ssm_norm.weight"), [state], Role::GatedGain);
        self.add(name("ssm_out.weight"), [hidden, values], Role::MixerOut);
    }

    fn attention(&mut self, index: usize) {
        let Config { hidden, heads, kv_heads, head_dim, .. } = *self.config;
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        self.add(name("attn_q"), [2 * heads * head_dim, hidden], Role::Matrix);
        self.add(name("attn_k"), [kv_heads * head_dim, hidden], Role::Matrix);
        self.add(name("attn_v"), [kv_heads * head_dim, hidden], Role::Matrix);
        self.add(name("attn_q_norm"), [head_dim], Role::Gain);
        self.add(name("attn_k_norm"), [head_dim], Role::Gain);
        self.add(name("attn_output"), [hidden, heads * head_dim], Role::Out);
    }

    fn experts(&mut self, index: usize, experts: Experts) {
        let Experts { count, feed_forward: width, shared, .. } = experts;
        let hidden = self.config.hidden;
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        self.add(name("ffn_gate_inp"), [count, hidden], Role::Router);
        self.add(name("ffn_gate_exps"), [count, width, hidden], Role::Experts);
        self.add(name("ffn_up_exps"), [count, width, hidden], Role::Experts);
        self.add(name("ffn_down_exps"), [count, hidden, width], Role::ExpertsOut);
        self.add(name("ffn_gate_inp_shexp"), [1, hidden], Role::SharedGate);
        self.add(name("ffn_gate_shexp"), [shared, hidden], Role::Matrix);
        self.add(name("ffn_up_shexp"), [shared, hidden], Role::Matrix);
        self.add(name("ffn_down_shexp"), [hidden, shared], Role::Out);
    }
}
