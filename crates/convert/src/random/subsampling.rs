//! Subsampling weights that hand audio on without a constant part.
//!
//! Random convolutions with ReLUs between them turn normalised features into a large constant plus a little audio, and
//! every frame of the encoder then looks alike. Here the biases keep the ReLUs in their linear range, and the output
//! layer's bias takes off what that adds. Means are followed exactly through the stages, along the frequencies, where
//! zero padding makes the edges differ.

use std::collections::HashMap;

use mynah_tensor::Rng;

use super::values::seed_of;
use crate::parakeet::Config;

/// Mean of every channel before a ReLU, in deviations of the signal.
const LIFT: f32 = 3.0;

/// Values of `encoder.pre_encode.*` by name.
pub(super) fn values(config: &Config, seed: u64) -> HashMap<String, Vec<f32>> {
    let channels = config.encoder.subsampling_channels;
    let stages = config.encoder.subsampling_factor.max(1).ilog2() as usize;
    let mut found = HashMap::new();
    let mut draw = |name: String, count: usize, fan_in: usize| {
        let mut weights = vec![0.0; count];
        Rng::new(seed_of(seed, &name)).fill_normal(&mut weights, 1.0 / (fan_in as f32).sqrt());
        found.insert(name, weights.clone());
        weights
    };
    let name = |at: usize, part: &str| format!("encoder.pre_encode.conv.{at}.{part}");
    draw(name(0, "weight"), channels * 9, 9);
    let mut biases = vec![(name(0, "bias"), vec![LIFT; channels])];
    let mut bands = half(config.features.mels);
    // Means per channel and band, after the ReLU.
    let mut means = vec![LIFT; channels * bands];
    for stage in 1..stages {
        let at = 3 * stage - 1;
        let depthwise = draw(name(at, "weight"), channels * 9, 9);
        let pointwise = draw(name(at + 1, "weight"), channels * channels, channels);
        let spread = depthwise_means(&means, &depthwise, bands);
        bands = half(bands);
        let (mixed, lift) = pointwise_means(&spread, &pointwise, bands);
        biases.push((name(at, "bias"), vec![0.0; channels]));
        biases.push((name(at + 1, "bias"), lift));
        means = mixed;
    }
    let d = config.encoder.d_model;
    let out = draw("encoder.pre_encode.out.weight".to_owned(), d * means.len(), means.len());
    let minus_mean = |row: &[f32]| -row.iter().zip(&means).map(|(w, m)| w * m).sum::<f32>();
    let bias = out.chunks_exact(means.len().max(1)).map(minus_mean).collect();
    biases.push(("encoder.pre_encode.out.bias".to_owned(), bias));
    found.extend(biases);
    found
}

/// Bands after a stage: kernel 3, stride 2, padding 1.
fn half(bands: usize) -> usize {
    bands.saturating_sub(1) / 2 + 1
}

/// Means after a depthwise 3 × 3 convolution of stride 2; time is the kernel's first dimension.
fn depthwise_means(means: &[f32], kernel: &[f32], bands: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(means.len());
    for (means, kernel) in means.chunks_exact(bands.max(1)).zip(kernel.chunks_exact(9)) {
        // The mean is the same at every time, so the kernel's three times add up.
        let taps: Vec<f32> = (0..3).map(|f| kernel[f] + kernel[3 + f] + kernel[6 + f]).collect();
        out.extend((0..half(bands)).map(|band| {
            let tap = |(f, tap): (usize, &f32)| {
                (2 * band + f).checked_sub(1).and_then(|at| means.get(at)).map_or(0.0, |m| m * tap)
            };
            taps.iter().enumerate().map(tap).sum::<f32>()
        }));
    }
    out
}

/// Means after a pointwise convolution and ReLU, and the biases that bring each channel to [`LIFT`] on average.
fn pointwise_means(means: &[f32], weights: &[f32], bands: usize) -> (Vec<f32>, Vec<f32>) {
    let channels = means.len() / bands.max(1);
    let mut out = Vec::with_capacity(means.len());
    let mut biases = Vec::with_capacity(channels);
    for row in weights.chunks_exact(channels.max(1)) {
        let mut mixed = vec![0.0; bands];
        for (weight, means) in row.iter().zip(means.chunks_exact(bands.max(1))) {
            mixed.iter_mut().zip(means).for_each(|(sum, mean)| *sum += weight * mean);
        }
        let bias = LIFT - mixed.iter().sum::<f32>() / (bands as f32).max(1.0);
        out.extend(mixed.iter().map(|mean| rectified(mean + bias)));
        biases.push(bias);
    }
    (out, biases)
}

/// Mean of `max(x, 0)` for a normal x of this mean and unit variance, with the normal distribution function replaced by
/// a logistic one, which is good to 0.01.
fn rectified(mean: f32) -> f32 {
    let density = 0.398_942_3 * (-0.5 * mean * mean).exp();
    let below = 1.0 / (1.0 + (-1.702 * mean).exp());
    mean * below + density
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parakeet::tensors;
    use crate::random::shape;

    #[test]
    fn every_subsampling_tensor_has_its_size() {
        for name in ["tiny", "tdt_ctc-110m"] {
            let config = shape(name).unwrap().config();
            let mut values = values(&config, 1);
            for expected in tensors(&config).iter().filter(|e| e.name.starts_with("encoder.pre_encode.")) {
                let found = values.remove(&expected.name).map(|v| v.len());
                assert_eq!(found, Some(expected.shape.numel()), "{}", expected.name);
            }
            assert!(values.is_empty(), "{:?}", values.keys());
        }
    }

    /// Runs the three stages on random features and looks at what is left of the constant part.
    #[test]
    fn output_has_no_constant_part() {
        let config = shape("tiny").unwrap().config();
        let values = values(&config, 3);
        let (channels, frames) = (config.encoder.subsampling_channels, 256usize);
        let weight = |at: usize, part: &str| &values[&format!("encoder.pre_encode.conv.{at}.{part}")];
        let mut rng = Rng::new(5);
        let features: Vec<f32> = (0..frames * 80).map(|_| rng.normal()).collect();
        let conv = |input: &dyn Fn(isize, isize) -> f32, kernel: &[f32], t: usize, f: usize| -> f32 {
            (0..9)
                .map(|i| {
                    kernel[i]
                        * input(2 * t as isize + i as isize / 3 - 1, 2 * f as isize + i as isize % 3 - 1)
                })
                .sum()
        };
        let (mut rows, mut bands) = (frames, 80usize);
        let mut planes = vec![features];
        for stage in 0..3 {
            let at = if stage == 0 { 0 } else { 3 * stage - 1 };
            let mut next = Vec::new();
            for c in 0..channels {
                let plane = if stage == 0 { &planes[0] } else { &planes[c] };
                let (r, b) = (rows as isize, bands as isize);
                let input = |t: isize, f: isize| {
                    if (0..r).contains(&t) && (0..b).contains(&f) { plane[(t * b + f) as usize] } else { 0.0 }
                };
                let kernel = &weight(at, "weight")[9 * c..9 * c + 9];
                let bias = weight(at, "bias")[c];
                let (r2, b2) = (rows.div_ceil(2), bands.div_ceil(2));
                let cell = |i: usize| conv(&input, kernel, i / b2, i % b2) + bias;
                next.push((0..r2 * b2).map(cell).collect::<Vec<f32>>());
            }
            (rows, bands) = (rows.div_ceil(2), bands.div_ceil(2));
            if stage > 0 {
                let (weights, bias) = (weight(at + 1, "weight"), weight(at + 1, "bias"));
                let mix = |k: usize| {
                    let cell = |i: usize| {
                        bias[k] + (0..channels).map(|c| weights[k * channels + c] * next[c][i]).sum::<f32>()
                    };
                    (0..rows * bands).map(cell).collect::<Vec<f32>>()
                };
                next = (0..channels).map(mix).collect();
            }
            planes = next.into_iter().map(|p| p.into_iter().map(|x| x.max(0.0)).collect()).collect();
        }
        let out = &values["encoder.pre_encode.out.weight"];
        let bias = &values["encoder.pre_encode.out.bias"];
        let (mut constant, mut varying) = (0.0, 0.0);
        for (row, bias) in out.chunks_exact(channels * bands).zip(bias) {
            let at = |t: usize| {
                bias + (0..channels * bands)
                    .map(|i| row[i] * planes[i / bands][t * bands + i % bands])
                    .sum::<f32>()
            };
            // The first and last frame see padding in time.
            let values: Vec<f32> = (1..rows - 1).map(at).collect();
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            constant += mean * mean;
            varying += values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32;
        }
        assert!(constant < 0.1 * varying, "constant {constant}, varying {varying}");
        assert!((0.3..3.0).contains(&(varying / 64.0)), "{}", varying / 64.0);
    }
}
