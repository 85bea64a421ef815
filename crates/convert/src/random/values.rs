//! Values of random tensors, made row by row: every row has a seed of its own, so any part can be made at any time by
//! any thread, and a 2.4 GB model needs no memory.
//!
//! Matrices keep variances near one through the layers. The output heads are built so that decoders emit some 3 to 4
//! tokens a second of ordinary audio, whatever the rest of the weights:
//! - The rows of `joint.enc` and `joint.pred` come in pairs of opposite sign and the head weighs both of a pair alike, so
//!   what it sees is |x|: a frame and a decoder state then act together rather than as a sum, and no state can sit on
//!   blank, or on tokens, for seconds.
//! - Head rows sum to zero, so that a constant part of the activations adds nothing.
//! - The blank's logit varies [`BLANK_SCALE`] times as much as a token's, and its bias sets how often it wins.

use mynah_tensor::{Rng, TensorError};

use crate::parakeet::{Config, Expected, Role};
use crate::source::Source;

/// Standard deviation of the blank's logit; those of tokens and durations are 1.
const BLANK_SCALE: f32 = 4.0;
/// How far the blank's mean logit lies above the best token's, in deviations. From simulating the three decoders: RNN-T
/// stays at a frame until a blank, TDT leaves it anyway, CTC has no state.
const RNNT_BLANK: f32 = 0.5;
const TDT_BLANK: f32 = -0.1;
const CTC_BLANK: f32 = 0.6;
/// Biases of the durations 0 to 4: none stays at a frame, most advance by 1 or 2; about 1.8 on average.
const DURATIONS: [f32; 5] = [-12.0, 0.3, 0.3, -0.3, -1.5];
/// Makes the state of an LSTM layer, whose entries are near 0.2, weigh as much as a unit input: in the joint beside the
/// frame, and in the next LSTM layer.
const STATE_GAIN: f32 = 5.0;
/// Gain of the last matrix of a branch in a model of one layer: all branches together then add about a third of the
/// variance that comes from subsampling.
const BRANCH_GAIN: f32 = 0.6;
/// Variance of |x| for a standard normal x.
const FOLDED_VARIANCE: f32 = 0.363_38;

/// Values of a tensor that is made up on demand.
pub(super) struct Random {
    seed: u64,
    rows: usize,
    row: usize,
    kind: Kind,
}

/// How the values of a row are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Normal values.
    Normal {
        mean: f32,
        deviation: f32,
    },
    /// Uniform values.
    Uniform {
        low: f32,
        high: f32,
    },
    Zero,
    /// Standard normal rows; the last is zero.
    Embedding,
    /// Pairs of rows of opposite sign.
    Paired {
        deviation: f32,
    },
    /// Rows of zero sum; `paired` if neighbouring weights are equal. Row `blank` is scaled up.
    Head {
        deviation: f32,
        paired: bool,
        blank: usize,
    },
}

/// The source of a tensor that [`super::subsampling`] does not fix.
pub(super) fn source(config: &Config, expected: &Expected, seed: u64) -> Box<dyn Source> {
    let shape = expected.shape;
    let outer = shape.dims().first().copied().unwrap_or(1);
    // A vector is one row: nobody needs a part of it.
    let rows = if shape.rank() < 2 { 1 } else { outer };
    let row = shape.numel() / rows.max(1);
    if expected.role == Role::HeadBias {
        return Box::new(crate::source::Values(head_bias(config, expected)));
    }
    let kind = kind(config, expected, row);
    Box::new(Random::new(seed_of(seed, &expected.name), rows, row, kind))
}

fn kind(config: &Config, expected: &Expected, row: usize) -> Kind {
    let fan_in = (row as f32).max(1.0);
    let normal = |mean, deviation| Kind::Normal { mean, deviation };
    let name = expected.name.as_str();
    match expected.role {
        Role::Matrix => {
            // What goes back into the residual stream is damped by depth. Activations and gates turn part of what varies
            // into a constant, and after 42 undamped blocks that is most of what is left.
            let last = ["linear2.weight", "linear_out.weight", "pointwise_conv2.weight"];
            let damped = BRANCH_GAIN / (config.encoder.layers.max(1) as f32).sqrt();
            let gain = if last.iter().any(|end| name.ends_with(end)) { damped } else { 1.0 };
            normal(0.0, gain / fan_in.sqrt())
        }
        Role::Lstm if name.contains("weight_ih") && !name.ends_with("_l0") => {
            normal(0.0, STATE_GAIN / fan_in.sqrt())
        }
        Role::Depthwise | Role::Lstm | Role::Subsampling => normal(0.0, 1.0 / fan_in.sqrt()),
        Role::Bias | Role::SubsamplingBias if name.starts_with("joint.") => Kind::Zero,
        Role::Bias | Role::SubsamplingBias | Role::LstmBias | Role::Shift | Role::Mean => normal(0.0, 0.02),
        Role::Gain => normal(1.0, 0.05),
        // A gated unit of unit inputs has this variance.
        Role::Variance => Kind::Uniform { low: 0.2, high: 0.4 },
        Role::PositionBias => normal(0.0, 0.1),
        Role::Embedding => Kind::Embedding,
        Role::JointIn => {
            let gain = if name.starts_with("joint.pred") { STATE_GAIN } else { 1.0 };
            Kind::Paired { deviation: gain / fan_in.sqrt() }
        }
        Role::Head => {
            let blank = config.pieces.len();
            let paired = name.starts_with("joint.");
            // The sum over pairs of |frame + state|, each of unit variance; or over normalised channels.
            let variance = if paired { fan_in / 2.0 * FOLDED_VARIANCE * 2.0 } else { fan_in };
            Kind::Head { deviation: 1.0 / variance.sqrt(), paired, blank }
        }
        Role::Window | Role::Filters | Role::HeadBias => Kind::Zero,
    }
}

fn head_bias(config: &Config, expected: &Expected) -> Vec<f32> {
    let blank = config.pieces.len();
    let durations = config.transducer.as_ref().map_or(&[][..], |transducer| &transducer.durations);
    let above = match expected.name.starts_with("joint.") {
        false => CTC_BLANK,
        true if durations.is_empty() => RNNT_BLANK,
        true => TDT_BLANK,
    };
    let mut bias = vec![0.0; expected.shape.numel()];
    if let Some(bias) = bias.get_mut(blank) {
        *bias = largest_of(blank) + above * BLANK_SCALE;
    }
    for (bias, value) in bias.iter_mut().skip(blank + 1).zip(DURATIONS) {
        *bias = value;
    }
    bias
}

/// Expected largest of `count` standard normal draws: the mean of the Gumbel distribution that it tends to.
fn largest_of(count: usize) -> f32 {
    let log = (count.max(3) as f32).ln();
    let root = (2.0 * log).sqrt();
    root - (log.ln() + (4.0 * std::f32::consts::PI).ln()) / (2.0 * root) + 0.577_216 / root
}

/// A seed per tensor, from its name (FNV-1a), so that tensors do not depend on their order.
pub(super) fn seed_of(seed: u64, name: &str) -> u64 {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, hash)
}

impl Random {
    /// `rows` of `row` values each.
    pub(super) fn new(seed: u64, rows: usize, row: usize, kind: Kind) -> Random {
        Random { seed, rows, row, kind }
    }

    fn row(&self, index: usize, out: &mut [f32]) {
        let rng = |index: usize| {
            Rng::new(self.seed.wrapping_add((index as u64).wrapping_mul(0xd6e8_feb8_6659_fd93)))
        };
        match self.kind {
            Kind::Normal { mean, deviation } => {
                let mut rng = rng(index);
                out.iter_mut().for_each(|value| *value = mean + deviation * rng.normal());
            }
            Kind::Uniform { low, high } => {
                let mut rng = rng(index);
                out.iter_mut().for_each(|value| *value = rng.range(low, high));
            }
            Kind::Zero => out.fill(0.0),
            Kind::Embedding if index + 1 == self.rows => out.fill(0.0),
            Kind::Embedding => rng(index).fill_normal(out, 1.0),
            Kind::Paired { deviation } => {
                let sign = if index.is_multiple_of(2) { deviation } else { -deviation };
                rng(index / 2).fill_normal(out, sign);
            }
            Kind::Head { deviation, paired, blank } => {
                let mut rng = rng(index);
                let scale = if index == blank { BLANK_SCALE * deviation } else { deviation };
                for pair in out.chunks_mut(if paired { 2 } else { 1 }) {
                    pair.fill(scale * rng.normal());
                }
                let mean = out.iter().sum::<f32>() / (out.len() as f32).max(1.0);
                out.iter_mut().for_each(|value| *value -= mean);
            }
        }
    }
}

impl Source for Random {
    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), TensorError> {
        let mut scratch = Vec::new();
        let (mut at, mut out) = (start, out);
        while !out.is_empty() && self.row > 0 {
            let (index, from) = (at / self.row, at % self.row);
            let len = (self.row - from).min(out.len());
            let (part, rest) = out.split_at_mut(len);
            if len == self.row {
                self.row(index, part);
            } else {
                scratch.resize(self.row, 0.0);
                self.row(index, &mut scratch);
                part.copy_from_slice(scratch.get(from..from + len).unwrap_or_default());
            }
            (at, out) = (at + len, rest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parakeet::tensors;
    use crate::random::shape;

    fn read(name: &str, start: usize, len: usize) -> Vec<f32> {
        let config = shape("tiny").unwrap().config();
        let expected = tensors(&config).into_iter().find(|expected| expected.name == name).unwrap();
        let len = if len == 0 { expected.shape.numel() } else { len };
        let mut out = vec![0.0; len];
        source(&config, &expected, 7).read(start, &mut out).unwrap();
        out
    }

    #[test]
    fn parts_equal_the_whole() {
        let name = "encoder.layers.1.feed_forward1.linear1.weight";
        let whole = read(name, 0, 0);
        assert_eq!(read(name, 100, 333), whole[100..433]);
        let deviation = (whole.iter().map(|x| x * x).sum::<f32>() / whole.len() as f32).sqrt();
        assert!((deviation * 64f32.sqrt() - 1.0).abs() < 0.03, "{deviation}");
        assert_ne!(whole[..64], whole[64..128]);
        assert_ne!(whole, read("encoder.layers.0.feed_forward1.linear1.weight", 0, 0));
    }

    #[test]
    fn structure_of_the_decoder() {
        let embed = read("decoder.prediction.embed.weight", 0, 0);
        assert!(embed[64 * 64..].iter().all(|&x| x == 0.0) && embed[..64].iter().all(|&x| x != 0.0));
        let enc = read("joint.enc.weight", 0, 0);
        assert!(enc[..64].iter().zip(&enc[64..128]).all(|(a, b)| *a == -*b));
        let head = read("joint.joint_net.2.weight", 0, 0);
        let blank = &head[64 * 64..65 * 64];
        assert!(blank.iter().sum::<f32>().abs() < 1e-4 && blank[0] == blank[1] && blank[0] != blank[2]);
        let power = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>();
        assert!(power(blank) > 6.0 * power(&head[..64]));
        let bias = read("joint.joint_net.2.bias", 0, 0);
        assert!(bias[64] > 1.0 && bias[65] < -10.0 && bias[..64].iter().all(|&b| b == 0.0));
    }

    #[test]
    fn largest_draw() {
        for (count, mean) in [(64, 2.4), (1024, 3.25), (8192, 3.83)] {
            assert!((largest_of(count) - mean).abs() < 0.12, "{count}: {}", largest_of(count));
        }
    }
}
