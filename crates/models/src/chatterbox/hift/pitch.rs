//! The fundamental frequency of each mel frame: convolutions with ELU and a linear layer, its result without sign.

use super::config::HiftConfig;
use crate::chatterbox::s3gen::config::long;
use crate::error::ModelError;
use mynah_gguf::GgufFile;
use mynah_graph::{Activation, Conv1d, ElemType, Graph, GraphBuilder};

/// `mel [1, T, bins]` → `f0 [1, T, 1]` in hertz.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub fn pitch_graph(file: &GgufFile, config: &HiftConfig, frames: usize) -> Result<Graph, ModelError> {
    let t = long(file);
    let mut g = GraphBuilder::new("pitch");
    let mut x = g.input("mel", ElemType::F32, [1, frames, config.bins]);
    let (channels, taps) = (config.pitch_channels, config.pitch_taps);
    for i in 0..config.pitch_layers {
        let inputs = g.shape(x).last();
        let name = format!("hift/f0_predictor/condnet/{}", 2 * i);
        x = t.conv1d(&mut g, &name, x, [channels, inputs, taps], Conv1d::padded(taps / 2, taps / 2))?;
        x = g.unary(Activation::Elu, x);
    }
    let f0 = t.linear(&mut g, "hift/f0_predictor/classifier", x, [1, channels])?;
    let f0 = g.unary(Activation::Abs, f0);
    g.output("f0", f0);
    Ok(g.finish()?)
}
