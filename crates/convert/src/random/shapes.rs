//! The shapes of the released models, and a tiny one for tests.

use super::vocabulary;
use crate::parakeet::{Attention, Config, ConvNorm, Encoder, Features, Transducer};

/// A shape by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Name of the released model, or `tiny`.
    pub name: &'static str,
    /// Tensors of its GGUF.
    pub tensors: usize,
    d_model: usize,
    layers: usize,
    heads: usize,
    mels: usize,
    pieces: usize,
    /// Layers of the LSTM, 0 for pure CTC.
    lstm: usize,
    pred: usize,
    tdt: bool,
    ctc: bool,
    bias: bool,
    xscaling: bool,
    channels: usize,
    local: Option<i32>,
}

/// What the sizes have in common, from which each row departs.
const LARGE: Shape = Shape {
    name: "",
    tensors: 0,
    d_model: 1024,
    layers: 24,
    heads: 8,
    mels: 80,
    pieces: 1024,
    lstm: 2,
    pred: 640,
    tdt: false,
    ctc: false,
    bias: true,
    xscaling: true,
    channels: 256,
    local: None,
};

/// All shapes.
pub const SHAPES: [Shape; 10] = [
    Shape {
        name: "parakeet-tdt_ctc-110m",
        tensors: 690,
        d_model: 512,
        layers: 17,
        lstm: 1,
        tdt: true,
        ctc: true,
        xscaling: false,
        ..LARGE
    },
    Shape { name: "parakeet-ctc-0.6b", tensors: 952, lstm: 0, ctc: true, ..LARGE },
    Shape { name: "parakeet-rnnt-0.6b", tensors: 965, ..LARGE },
    Shape {
        name: "parakeet-tdt-0.6b-v2",
        tensors: 701,
        mels: 128,
        tdt: true,
        bias: false,
        xscaling: false,
        ..LARGE
    },
    Shape {
        name: "parakeet-tdt-0.6b-v3",
        tensors: 701,
        mels: 128,
        pieces: 8192,
        tdt: true,
        bias: false,
        xscaling: false,
        ..LARGE
    },
    Shape { name: "parakeet-ctc-1.1b", tensors: 1654, layers: 42, lstm: 0, ctc: true, ..LARGE },
    Shape { name: "parakeet-rnnt-1.1b", tensors: 1667, layers: 42, ..LARGE },
    Shape { name: "parakeet-tdt-1.1b", tensors: 1667, layers: 42, tdt: true, xscaling: false, ..LARGE },
    Shape {
        name: "parakeet-tdt_ctc-1.1b",
        tensors: 1669,
        layers: 42,
        tdt: true,
        ctc: true,
        xscaling: false,
        local: Some(128),
        ..LARGE
    },
    Shape {
        name: "tiny",
        tensors: 105,
        d_model: 64,
        layers: 2,
        heads: 4,
        pieces: 64,
        lstm: 1,
        pred: 64,
        tdt: true,
        ctc: true,
        xscaling: false,
        channels: 32,
        ..LARGE
    },
];

/// A name that is none of [`super::names`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no model shape is called {name:?}; there are {}", super::names().collect::<Vec<_>>().join(", "))]
pub struct UnknownShape {
    /// The name asked for.
    pub name: String,
}

/// Finds a shape by its name, with or without `parakeet-` in front.
///
/// # Errors
/// [`UnknownShape`], which lists the names.
pub fn shape(name: &str) -> Result<&'static Shape, UnknownShape> {
    static ALL: [Shape; 10] = SHAPES;
    let wanted = |shape: &&Shape| shape.name == name || shape.name.strip_prefix("parakeet-") == Some(name);
    ALL.iter().find(wanted).ok_or_else(|| UnknownShape { name: name.to_owned() })
}

impl Shape {
    /// The configuration, with a made-up vocabulary of the right size.
    pub fn config(&self) -> Config {
        let transducer = Transducer {
            pred_hidden: self.pred,
            pred_layers: self.lstm,
            joint_hidden: self.pred,
            activation: "relu".to_owned(),
            max_symbols: 10,
            durations: if self.tdt { vec![0, 1, 2, 3, 4] } else { Vec::new() },
        };
        Config {
            name: format!("random-{}", self.name),
            features: Features { mels: self.mels, ..Features::default() },
            encoder: Encoder {
                d_model: self.d_model,
                layers: self.layers,
                heads: self.heads,
                ff_dim: 4 * self.d_model,
                conv_kernel: 9,
                subsampling_factor: 8,
                subsampling_channels: self.channels,
                pos_emb_max_len: 5000,
                conv_norm: ConvNorm::Batch,
                xscaling: self.xscaling,
                use_bias: self.bias,
                attention: self.local.map_or(Attention::Full, |w| Attention::Local { left: w, right: w }),
            },
            ctc: self.ctc,
            transducer: (self.lstm > 0).then_some(transducer),
            prompt: None,
            pieces: vocabulary::pieces(self.pieces),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parakeet::tensors;

    #[test]
    fn counts_are_those_of_the_released_files() {
        for shape in &SHAPES {
            assert_eq!(tensors(&shape.config()).len(), shape.tensors, "{}", shape.name);
        }
        let counts: Vec<usize> = SHAPES.iter().map(|shape| shape.tensors).collect();
        assert_eq!(counts[..9], [690, 952, 965, 701, 701, 1654, 1667, 1667, 1669]);
    }

    #[test]
    fn sizes_are_those_of_the_released_files() {
        let mebibytes = |name: &str| {
            let tensors = tensors(&shape(name).unwrap().config());
            tensors.iter().map(|tensor| 4 * tensor.shape.numel()).sum::<usize>() / (1 << 20)
        };
        // Published F32 sizes of the files; keys add under a mebibyte.
        for (name, published) in [
            ("tdt_ctc-110m", 437),
            ("ctc-0.6b", 2323),
            ("rnnt-0.6b", 2353),
            ("tdt-0.6b-v2", 2357),
            ("tdt-0.6b-v3", 2392),
            ("ctc-1.1b", 4054),
            ("rnnt-1.1b", 4084),
            ("tdt_ctc-1.1b", 4088),
        ] {
            assert!(mebibytes(name).abs_diff(published) <= 1, "{name}: {} MiB", mebibytes(name));
        }
    }

    #[test]
    fn unknown_names_are_told_the_known() {
        let error = shape("parakeet-9b").unwrap_err().to_string();
        assert!(error.contains("parakeet-9b") && error.contains("parakeet-tdt-0.6b-v3"), "{error}");
        assert_eq!(shape("tdt-0.6b-v3"), shape("parakeet-tdt-0.6b-v3"));
    }
}
