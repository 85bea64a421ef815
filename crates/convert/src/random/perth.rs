//! Random watermarks of the released shape and of a tiny one. Rectifiers below zero keep little, so gains make up for them; residuals
//! are some hundredths of the range of levels, and scores lie around a half.

use mynah_tensor::{DType, Shape};

use super::values::{Kind, Random, seed_of};
use crate::perth::{Hparams, Perth, PerthError, assemble, shapes};
use crate::source::{Source, Tensor, Values};

/// Names, and how the networks listen.
pub(super) const SIZES: [(&str, Hparams); 2] = [
    ("perth", Hparams::RELEASED),
    ("perth-tiny", Hparams { n_fft: 512, hop: 80, window: 512, hidden: 16, ..Hparams::RELEASED }),
];

/// Gain that a leaky rectifier wants (He et al. 2015).
const GAIN: f32 = std::f32::consts::SQRT_2;
/// Deviation of residuals.
const RESIDUAL: f32 = 0.03;
/// Deviation of scores.
const SCORE: f32 = 0.3;

/// A network whose values are made when they are read.
pub(super) fn model(hparams: &Hparams, seed: u64, name: &str) -> Result<Perth, PerthError> {
    let tensor = |(name, dims): (String, Vec<usize>)| {
        let shape = Shape::new(&dims).unwrap_or_default();
        Tensor { source: source(&name, shape, seed), name, shape, stored: DType::F32 }
    };
    assemble(hparams, shapes(hparams).into_iter().map(tensor).collect(), name)
}

fn source(name: &str, shape: Shape, seed: u64) -> Box<dyn Source> {
    let rows = shape.dims().first().copied().unwrap_or(1).max(1);
    let unit = 1.0 / ((shape.numel() / rows).max(1) as f32).sqrt();
    let residual = name.starts_with("encoder.") && shape.dims().get(1).is_some_and(|&inputs| rows != inputs);
    let kind = match (shape.dims(), name) {
        ([2], _) => return Box::new(Values(vec![0.0, 0.5])),
        ([_], _) => Kind::Normal { mean: 0.0, deviation: 0.02 },
        ([2, ..], _) => Kind::Normal { mean: 0.0, deviation: SCORE * unit },
        (_, name) if residual && !name.contains(".0.") => {
            Kind::Normal { mean: 0.0, deviation: RESIDUAL * unit }
        }
        _ => Kind::Normal { mean: 0.0, deviation: GAIN * unit },
    };
    // Vectors are one row: nobody needs a part of them.
    let rows = if shape.rank() < 2 { 1 } else { rows };
    Box::new(Random::new(seed_of(seed, name), rows, shape.numel() / rows, kind))
}
