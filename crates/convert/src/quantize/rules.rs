//! Which type a tensor gets. Defaults per family; `only` and `keep` patterns change them.
//!
//! Parakeet: the large matrices of the encoder take the target type. What decides over tokens (prediction network,
//! joint, CTC head) stays at F16, since it is small and a wrong token costs more than its bytes. Norms, biases,
//! depthwise and subsampling convolutions, statistics and the front end stay as they are: together they are under one
//! per cent of a model. Language models follow [`super::mixture`], Chatterbox [`super::chatterbox`]. PerTh is
//! convolutions of seven taps, which get F16 at the least.

use mynah_tensor::{DType, Shape};

use super::chatterbox;
use super::glob::Glob;
use super::mixture::Mixture;

/// How to choose types.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// If there are any: only tensors that fit one are converted. A matrix that fits is converted to the target even
    /// where the defaults would hold it at F16.
    pub only: Vec<Glob>,
    /// Tensors that fit one stay as they are.
    pub keep: Vec<Glob>,
    /// Whose reader the file is for.
    pub layout: Layout,
}

/// Whose reader a quantised file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Mynah's: pointwise convolutions are quantised too, as matrices `[N, K]` in place of `[N, K, 1]`, because a block
    /// format needs whole blocks in a row. They hold an eighth of the weights.
    #[default]
    Mynah,
    /// parakeet.cpp's: only the matrices it multiplies with in quantised form change, all else is F32.
    ParakeetCpp,
}

/// The families whose tensors have defaults of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Family {
    /// `general.architecture` is `parakeet`.
    Parakeet,
    /// `general.architecture` is `chatterbox` or `chatterbox-s3gen`.
    Chatterbox,
    /// `general.architecture` is `perth`.
    Perth,
    /// A language model, with what llama.cpp would choose.
    Language(Mixture),
    /// Any other.
    Other,
}

/// Matrices of Parakeet that take the target type.
const MATRICES: [&str; 5] = [
    "encoder.layers.*.feed_forward?.linear?.weight",
    "encoder.layers.*.self_attn.linear_*.weight",
    "encoder.layers.*.conv.pointwise_conv?.weight",
    "encoder.pre_encode.out.weight",
    "prompt_kernel.?.weight",
];

/// Matrices of Parakeet that go no lower than F16.
const FINE: [&str; 4] = [
    "decoder.prediction.embed.weight",
    "decoder.prediction.dec_rnn.lstm.weight_*",
    "joint.*.weight",
    "*decoder_layers.0.weight",
];

/// Matrices of Parakeet that are kernels of width one in NeMo: `[N, K, 1]`.
const KERNELS: [&str; 2] = ["encoder.layers.*.conv.pointwise_conv?.weight", "*decoder_layers.0.weight"];

/// What parakeet.cpp multiplies with in quantised form.
const PARAKEET_CPP: [&str; 5] = [
    "encoder.layers.*.feed_forward?.linear?.weight",
    "encoder.layers.*.self_attn.linear_*.weight",
    "encoder.pre_encode.out.weight",
    "joint.enc.weight",
    "joint.pred.weight",
];

/// Matrices of other families that go no lower than 8 bits.
const WIDE: [&str; 3] = ["*embd*.weight", "*embed*.weight", "output.weight"];

/// Smallest dimension of a matrix that is worth quantising.
const MIN_DIM: usize = 32;

/// Why a tensor got another type than the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A `keep` pattern fits.
    Kept,
    /// No `only` pattern fits.
    NotOnly,
    /// A vector, convolution kernel, statistic or other tensor that is small and sensitive.
    Small,
    /// Decides over tokens: no lower than F16, or 8 bits in other families.
    Sensitive,
    /// Rows are no whole number of the target's blocks.
    RowLength,
    /// Holds whole numbers.
    Integers,
    /// Not among what parakeet.cpp reads in quantised form.
    ParakeetCpp,
    /// The mixture has another type for it.
    Mixture,
}

impl Reason {
    /// In words, to follow a type.
    pub fn words(self) -> &'static str {
        match self {
            Reason::Kept => "kept by name",
            Reason::NotOnly => "not among those named",
            Reason::Small => "norm, bias, small convolution or front end",
            Reason::Sensitive => "decides over tokens",
            Reason::RowLength => "row length does not suit the blocks",
            Reason::Integers => "whole numbers",
            Reason::ParakeetCpp => "parakeet.cpp reads it unquantised",
            Reason::Mixture => "as in llama.cpp's mixture",
        }
    }
}

/// What becomes of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) dtype: DType,
    pub(crate) shape: Shape,
    pub(crate) reason: Option<Reason>,
}

/// How far a tensor may go.
pub(super) enum Class {
    /// All the way.
    Matrix,
    /// Goes no lower than this.
    Floor(DType),
    /// Nowhere.
    Other,
}

impl Rules {
    /// Chooses type and shape of a tensor that is now `from`.
    pub(crate) fn choose(
        &self,
        family: &Family,
        name: &str,
        shape: Shape,
        from: DType,
        target: DType,
    ) -> Choice {
        let stay = |reason| Choice { dtype: from, shape, reason: Some(reason) };
        if matches!(from, DType::I8 | DType::I16 | DType::I32 | DType::I64) {
            return stay(Reason::Integers);
        }
        if fits(&self.keep, name) {
            return stay(Reason::Kept);
        }
        let named = fits(&self.only, name);
        if !self.only.is_empty() && !named {
            return stay(Reason::NotOnly);
        }
        if let Family::Language(mixture) = family {
            return match mixture.choose(name, shape) {
                None => stay(Reason::Small),
                Some(_) if named && shape.last().is_multiple_of(target.block_len()) => {
                    Choice { dtype: target, shape, reason: None }
                }
                Some(dtype) => Choice { dtype, shape, reason: (dtype != target).then_some(Reason::Mixture) },
            };
        }
        let (dtype, reason) = match self.class(family, name, shape) {
            // A file may come with more quantised than parakeet.cpp reads.
            Class::Other if self.layout == Layout::ParakeetCpp && from.is_quantized() => {
                (DType::F32, Some(Reason::ParakeetCpp))
            }
            Class::Other => return stay(self.small()),
            Class::Floor(floor) if !named && bits(target) < bits(floor) => (floor, Some(Reason::Sensitive)),
            // BF16 has 8 bits of mantissa to F16's 11.
            Class::Floor(DType::F16) if !named && target == DType::BF16 => {
                (DType::F16, Some(Reason::Sensitive))
            }
            Class::Floor(_) | Class::Matrix => (target, None),
        };
        // A floor is no reason to blow up what is smaller already.
        if reason == Some(Reason::Sensitive) && bits(from) <= bits(dtype) {
            return stay(Reason::Sensitive);
        }
        let fitted = self.fit(dtype, rows(shape).last());
        let reason = if fitted == dtype { reason } else { Some(Reason::RowLength) };
        if reason == Some(Reason::RowLength) && bits(from) <= bits(fitted) {
            return stay(Reason::RowLength);
        }
        let shape = if fitted.is_quantized() { rows(shape) } else { kernel(family, name, shape) };
        Choice { dtype: fitted, shape, reason }
    }

    fn class(&self, family: &Family, name: &str, shape: Shape) -> Class {
        let one_of = |patterns: &[&str]| patterns.iter().any(|&pattern| Glob::from(pattern).matches(name));
        match (family, self.layout) {
            (Family::Parakeet, Layout::ParakeetCpp) => {
                let large = shape.rank() == 2 && shape.dims().iter().all(|&d| d >= MIN_DIM);
                if large && one_of(&PARAKEET_CPP) { Class::Matrix } else { Class::Other }
            }
            (Family::Parakeet, Layout::Mynah) => {
                if one_of(&MATRICES) {
                    Class::Matrix
                } else if one_of(&FINE) {
                    Class::Floor(DType::F16)
                } else {
                    Class::Other
                }
            }
            (Family::Chatterbox, _) => chatterbox::class(name, shape),
            // The convolutions are nearly all of it; their rows, of 7, are no whole number of blocks, so F16 is what they get.
            (Family::Perth, _) if shape.rank() == 3 && shape.last() > 1 => Class::Matrix,
            (Family::Perth, _) => Class::Other,
            (Family::Other | Family::Language(_), _) => {
                let rows = shape.rows();
                if shape.rank() < 2 || shape.last() < MIN_DIM || rows < MIN_DIM || name.contains("norm") {
                    Class::Other
                } else if one_of(&WIDE) {
                    Class::Floor(DType::Q8_0)
                } else {
                    Class::Matrix
                }
            }
        }
    }

    fn small(&self) -> Reason {
        match self.layout {
            Layout::Mynah => Reason::Small,
            Layout::ParakeetCpp => Reason::ParakeetCpp,
        }
    }

    /// The target, or the next better type that rows of this length allow.
    fn fit(&self, target: DType, row: usize) -> DType {
        let whole = |dtype: DType| row.is_multiple_of(dtype.block_len());
        if whole(target) {
            target
        } else if self.layout == Layout::ParakeetCpp {
            DType::F32
        } else if target.block_len() > DType::Q8_0.block_len() && whole(DType::Q8_0) {
            DType::Q8_0
        } else {
            DType::F16
        }
    }
}

/// The shape whose last dimension is the one that is summed over: kernels of width one drop their ones.
fn rows(shape: Shape) -> Shape {
    let mut dims = shape.dims();
    while let [rest @ .., 1] = dims
        && rest.len() >= 2
    {
        dims = rest;
    }
    Shape::new(dims).unwrap_or(shape)
}

/// The reverse: a pointwise convolution that was a matrix for the sake of its blocks gets its one back.
fn kernel(family: &Family, name: &str, shape: Shape) -> Shape {
    match *shape.dims() {
        [n, k]
            if *family == Family::Parakeet && KERNELS.iter().any(|&glob| Glob::from(glob).matches(name)) =>
        {
            Shape::from([n, k, 1])
        }
        _ => shape,
    }
}

fn fits(globs: &[Glob], name: &str) -> bool {
    globs.iter().any(|glob| glob.matches(name))
}

/// Bits of an element, in eighths so that no block format is rounded.
pub(crate) fn bits(dtype: DType) -> usize {
    dtype.block_bytes() * 64 / dtype.block_len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(rules: &Rules, name: &str, dims: &[usize], from: DType, target: DType) -> Choice {
        rules.choose(&Family::Parakeet, name, Shape::new(dims).unwrap(), from, target)
    }

    #[test]
    fn parakeet_defaults() {
        use DType::{BF16, F16, F32, Q4K, Q8_0};
        let rules = Rules::default();
        let of = |name: &str, dims: &[usize], target| {
            let choice = choose(&rules, name, dims, F32, target);
            (choice.dtype, choice.reason)
        };
        let linear = "encoder.layers.3.feed_forward1.linear1.weight";
        assert_eq!(of(linear, &[4096, 1024], Q4K), (Q4K, None));
        assert_eq!(of(linear, &[256, 96], Q4K), (Q8_0, Some(Reason::RowLength)));
        assert_eq!(of(linear, &[256, 40], Q4K), (F16, Some(Reason::RowLength)));
        assert_eq!(of(linear, &[256, 40], Q8_0), (F16, Some(Reason::RowLength)));
        assert_eq!(
            of("encoder.layers.3.feed_forward1.linear1.bias", &[4096], Q8_0),
            (F32, Some(Reason::Small))
        );
        assert_eq!(
            of("encoder.layers.3.norm_feed_forward1.weight", &[1024], F16),
            (F32, Some(Reason::Small))
        );
        assert_eq!(of("encoder.layers.3.conv.depthwise_conv.weight", &[512, 1, 9], F16).0, F32);
        assert_eq!(of("encoder.pre_encode.conv.3.weight", &[256, 256, 1, 1], Q8_0).0, F32);
        for name in ["joint.joint_net.2.weight", "joint.enc.weight", "decoder.prediction.embed.weight"] {
            assert_eq!(of(name, &[1030, 640], Q8_0), (F16, Some(Reason::Sensitive)), "{name}");
            assert_eq!(of(name, &[1030, 640], F16), (F16, None), "{name}");
            assert_eq!(of(name, &[1030, 640], BF16), (F16, Some(Reason::Sensitive)), "{name}");
            assert_eq!(of(name, &[1030, 640], F32), (F32, None), "{name}");
        }
        for name in ["ctc_decoder.decoder_layers.0.weight", "decoder.decoder_layers.0.weight"] {
            assert_eq!(of(name, &[1025, 512, 1], Q4K).0, F16, "{name}");
        }
    }

    #[test]
    fn pointwise_convolutions_become_matrices_in_blocks_only() {
        let name = "encoder.layers.0.conv.pointwise_conv1.weight";
        let rules = Rules::default();
        let blocks = choose(&rules, name, &[1024, 512, 1], DType::F32, DType::Q4K);
        assert_eq!((blocks.dtype, blocks.shape), (DType::Q4K, Shape::from([1024, 512])));
        let plain = choose(&rules, name, &[1024, 512, 1], DType::F32, DType::F16);
        assert_eq!((plain.dtype, plain.shape), (DType::F16, Shape::from([1024, 512, 1])));
        // Rows that hold no block stay kernels, and dequantising brings the kernel back.
        let short = choose(&rules, name, &[80, 40, 1], DType::F32, DType::Q8_0);
        assert_eq!((short.dtype, short.shape), (DType::F16, Shape::from([80, 40, 1])));
        let back = choose(&rules, name, &[1024, 512], DType::Q4K, DType::F32);
        assert_eq!((back.dtype, back.shape), (DType::F32, Shape::from([1024, 512, 1])));
        let rules = Rules { layout: Layout::ParakeetCpp, ..Rules::default() };
        let back = choose(&rules, name, &[1024, 512], DType::Q8_0, DType::Q8_0);
        assert_eq!((back.dtype, back.shape), (DType::F32, Shape::from([1024, 512, 1])));
        let cpp = choose(&rules, name, &[1024, 512, 1], DType::F32, DType::Q4K);
        assert_eq!((cpp.dtype, cpp.reason), (DType::F32, Some(Reason::ParakeetCpp)));
        let pred = choose(&rules, "joint.pred.weight", &[640, 640], DType::F32, DType::Q4K);
        assert_eq!((pred.dtype, pred.reason), (DType::F32, Some(Reason::RowLength)));
        let pred = choose(&rules, "joint.pred.weight", &[640, 640], DType::F32, DType::Q8_0);
        assert_eq!((pred.dtype, pred.reason), (DType::Q8_0, None));
    }

    #[test]
    fn names_override() {
        let linear = "encoder.layers.3.self_attn.linear_q.weight";
        let keep = Rules { keep: vec!["*linear_q*".into()], ..Rules::default() };
        assert_eq!(choose(&keep, linear, &[512, 512], DType::F32, DType::Q8_0).reason, Some(Reason::Kept));
        let only = Rules { only: vec!["joint.*".into()], ..Rules::default() };
        assert_eq!(choose(&only, linear, &[512, 512], DType::F32, DType::Q8_0).reason, Some(Reason::NotOnly));
        let joint = choose(&only, "joint.enc.weight", &[640, 512], DType::F32, DType::Q8_0);
        assert_eq!((joint.dtype, joint.reason), (DType::Q8_0, None));
        let bias = choose(&only, "joint.enc.bias", &[640], DType::F32, DType::Q8_0);
        assert_eq!((bias.dtype, bias.reason), (DType::F32, Some(Reason::Small)));
    }

    #[test]
    fn nothing_grows_for_a_floor() {
        let rules = Rules::default();
        let joint = choose(&rules, "joint.enc.weight", &[640, 512], DType::Q8_0, DType::Q4K);
        assert_eq!(joint.dtype, DType::Q8_0);
        let back = choose(&rules, "joint.enc.weight", &[640, 512], DType::Q8_0, DType::F32);
        assert_eq!(back.dtype, DType::F32);
    }

    #[test]
    fn other_families() {
        let rules = Rules::default();
        let of = |name: &str, dims: &[usize]| {
            rules.choose(&Family::Other, name, Shape::new(dims).unwrap(), DType::BF16, DType::Q4K).dtype
        };
        assert_eq!(of("blk.0.ffn_up.weight", &[4096, 1024]), DType::Q4K);
        assert_eq!(of("blk.0.ffn_up_exps.weight", &[8, 4096, 1024]), DType::Q4K);
        assert_eq!(of("token_embd.weight", &[32000, 1024]), DType::Q8_0);
        assert_eq!(of("blk.0.attn_norm.weight", &[1024]), DType::BF16);
        assert_eq!(of("blk.0.ssm_conv1d.weight", &[1024, 4]), DType::BF16);
    }
}
