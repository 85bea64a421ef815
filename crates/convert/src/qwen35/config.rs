//! What a language model of the family says about itself, in the terms of its GGUF keys.

/// `general.architecture` of the file: which keys and tensors there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// `qwen35`: Qwen3.5 with a dense feed-forward part.
    Qwen35,
    /// `qwen35moe`: Qwen3.5 with routed experts.
    Qwen35Moe,
    /// `qwen3next`: Qwen3-Next. Value heads stay grouped by their key heads, and two projections are one tensor.
    Qwen3Next,
}

impl Architecture {
    /// Every architecture.
    pub const ALL: [Architecture; 3] =
        [Architecture::Qwen35, Architecture::Qwen35Moe, Architecture::Qwen3Next];

    /// The value of `general.architecture`.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Qwen35 => "qwen35",
            Architecture::Qwen35Moe => "qwen35moe",
            Architecture::Qwen3Next => "qwen3next",
        }
    }

    /// Whether value heads are written in tiles of key heads (k0v0 k1v0 k0v1 k1v1) rather than grouped (k0v0 k0v1 …).
    pub fn tiles_value_heads(self) -> bool {
        self != Architecture::Qwen3Next
    }
}

/// The routed experts of every layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Experts {
    /// Experts of a layer.
    pub count: usize,
    /// Experts a token goes through.
    pub used: usize,
    /// Inner width of an expert.
    pub feed_forward: usize,
    /// Inner width of the expert that all tokens go through.
    pub shared: usize,
}

/// A configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `general.name`.
    pub name: String,
    /// Which keys and tensors there are.
    pub architecture: Architecture,
    /// Rows of the embedding.
    pub vocabulary: usize,
    /// Layers of the model itself.
    pub layers: usize,
    /// Layers behind them that predict a token further ahead (MTP).
    pub predicting: usize,
    /// Longest sequence it was made for, in tokens.
    pub context: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Inner width of a dense feed-forward part; models with experts may name one that nothing has.
    pub feed_forward: Option<usize>,
    /// Query heads of full attention.
    pub heads: usize,
    /// Key and value heads of full attention.
    pub kv_heads: usize,
    /// Width of one of them.
    pub head_dim: usize,
    /// Channels of a head that turn with the position.
    pub rotary: usize,
    /// Pairs of those that follow time, height and width; `None` for positions of one kind.
    pub sections: Option<[i32; 4]>,
    /// Base of the rotary frequencies.
    pub theta: f32,
    /// Added to the mean square under the root of norms.
    pub eps: f32,
    /// Routed experts, `None` for a dense model.
    pub experts: Option<Experts>,
    /// Taps of the delta nets' convolutions.
    pub kernel: usize,
    /// Key heads of a delta net.
    pub key_heads: usize,
    /// Value heads of a delta net, a multiple of the key heads.
    pub value_heads: usize,
    /// Width of a key head, and of a value head: the state is square.
    pub state: usize,
    /// Which of the layers are delta nets, if a list says so; else `interval` does.
    pub recurrent: Option<Vec<bool>>,
    /// Every so many layers one of full attention.
    pub interval: usize,
    /// Whether the head is the embedding.
    pub tied: bool,
}

impl Config {
    /// Layers of the file: the model's and the predicting ones.
    pub fn blocks(&self) -> usize {
        self.layers + self.predicting
    }

    /// Whether layer `index` is a delta net; predicting layers never are.
    pub fn is_recurrent(&self, index: usize) -> bool {
        match &self.recurrent {
            Some(list) => list.get(index).copied().unwrap_or(false),
            None => index < self.layers && !(index + 1).is_multiple_of(self.interval.max(1)),
        }
    }

    /// Channels of all key heads.
    pub fn keys_width(&self) -> usize {
        self.key_heads * self.state
    }

    /// Channels of all value heads.
    pub fn values_width(&self) -> usize {
        self.value_heads * self.state
    }
}
