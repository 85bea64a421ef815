//! The one network of PerTh, of which the encoder is one copy and the detector three: a product, convolutions over time, a product,
//! leaky rectifiers between them.

use super::config::PerthConfig;
use crate::error::ModelError;
use crate::params::Params;
use mynah_gguf::GgufFile;
use mynah_graph::{Activation, Conv1d, ElemType, Graph, GraphBuilder};

/// Numbers that the detector says of a frame: attention, then score.
pub(super) const SAID: usize = 2;

/// Which copy of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// Makes the residual of a subband.
    Encoder,
    /// Looks at the stretched subband.
    Slow,
    /// Looks at the subband as it is.
    Normal,
    /// Looks at the shortened subband.
    Fast,
}

impl Stack {
    /// The detector's, in the order of [`PerthConfig::stretches`].
    pub const DETECTOR: [Self; 3] = [Self::Slow, Self::Normal, Self::Fast];

    /// What its tensors' names begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Encoder => "encoder.layers",
            Self::Slow => "decoder.slow_layers",
            Self::Normal => "decoder.normal_layers",
            Self::Fast => "decoder.fast_layers",
        }
    }

    /// Numbers for each frame: a residual for each bin, or attention and score.
    pub fn outputs(self, config: &PerthConfig) -> usize {
        if self == Self::Encoder { config.subband } else { SAID }
    }
}

/// `subband [1, frames, bins]`, levels from 0 to 1 → `out [1, frames, outputs]`.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn stack_graph(
    file: &GgufFile,
    config: &PerthConfig,
    stack: Stack,
    frames: usize,
) -> Result<Graph, ModelError> {
    let params = Params::new(file);
    let prefix = stack.prefix();
    let mut g = GraphBuilder::new("perth");
    let &PerthConfig { subband, hidden, layers, kernel, slope, .. } = config;
    let mut x = g.input("subband", ElemType::F32, [1, frames, subband]);
    x = params.linear(&mut g, &format!("{prefix}.0.conv"), x, [hidden, subband])?;
    x = g.unary(Activation::LeakyRelu(slope), x);
    for layer in 1..=layers {
        let w = params.weight(&mut g, &format!("{prefix}.{layer}.conv.weight"), [hidden, hidden, kernel])?;
        let b = params.weight(&mut g, &format!("{prefix}.{layer}.conv.bias"), [hidden])?;
        x = g.conv1d(x, w, Some(b), Conv1d::padded(kernel / 2, kernel / 2));
        x = g.unary(Activation::LeakyRelu(slope), x);
    }
    let last = format!("{prefix}.{}.conv", layers + 1);
    x = params.linear(&mut g, &last, x, [stack.outputs(config), hidden])?;
    g.output("out", x);
    Ok(g.finish()?)
}
