//! Keys and tensors of a PerTh file. Tensors keep the names of the reference; what the reference has as constants in its code is
//! written down as keys.

use std::collections::HashMap;

use mynah_gguf::Value;

use super::error::PerthError;
use super::{ARCHITECTURE, Perth};
use crate::parakeet::Ignored;
use crate::settings::{ConfigError, Settings, required};
use crate::source::Tensor;

/// The four copies of the network, and how many numbers they give for a frame: `None` is one for each bin.
const STACKS: [(&str, Option<usize>); 4] = [
    ("encoder.layers", None),
    ("decoder.slow_layers", Some(2)),
    ("decoder.normal_layers", Some(2)),
    ("decoder.fast_layers", Some(2)),
];

/// Constants of the reference's code: `_layers`, `nn.LeakyReLU`, `magmask`, `normalize`, `Decoder.forward`.
const LAYERS: usize = 5;
const KERNEL: usize = 7;
const SLOPE: f32 = 0.01;
const MASK_THRESHOLD: f32 = 0.05;
const HEADROOM_DB: f32 = 15.0;
const STRETCHES: [f32; 3] = [1.25, 1.0, 0.75];

/// `PerthConfig` of the reference, as far as it describes the network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hparams {
    pub(crate) sample_rate: u32,
    pub(crate) n_fft: usize,
    pub(crate) hop: usize,
    pub(crate) window: usize,
    pub(crate) magnitude_min: f32,
    pub(crate) max_wmark_freq: f64,
    pub(crate) hidden: usize,
}

impl Hparams {
    /// Those of the released network.
    pub(crate) const RELEASED: Hparams = Hparams {
        sample_rate: 32_000,
        n_fft: 2048,
        hop: 320,
        window: 2048,
        magnitude_min: 1e-9,
        max_wmark_freq: 2000.0,
        hidden: 256,
    };

    /// Reads `hparams.yaml`.
    pub(super) fn read(settings: &Settings) -> Result<Hparams, ConfigError> {
        let size = |key: &str, most: usize| required(key, settings.size(key, 1..=most)?);
        let number = |key: &str| required(key, settings.number(key)?);
        const WINDOW: &str = "window_fn";
        let window = required(WINDOW, settings.text(WINDOW)?)?;
        if window != "hann" {
            let (key, value) = (WINDOW.to_owned(), window.to_owned());
            return Err(ConfigError::Unsupported { key, value, why: "hann is" });
        }
        let hparams = Hparams {
            sample_rate: size("sample_rate", 384_000)? as u32,
            n_fft: size("n_fft", 1 << 15)?,
            hop: size("hop_size", 1 << 15)?,
            window: size("window_size", 1 << 15)?,
            magnitude_min: number("stft_magnitude_min")? as f32,
            max_wmark_freq: number("max_wmark_freq")?,
            hidden: size("hidden_size", 1 << 14)?,
        };
        let bins = hparams.n_fft / 2 + 1;
        if !(1..=bins).contains(&hparams.subband()) {
            let (key, value) = ("max_wmark_freq".to_owned(), hparams.max_wmark_freq.to_string());
            return Err(ConfigError::Unsupported { key, value, why: "a frequency within the spectrum is" });
        }
        Ok(hparams)
    }

    /// Bins below the highest frequency that is marked (`compute_subband_freq`).
    pub(crate) fn subband(&self) -> usize {
        let bins = (self.n_fft / 2 + 1) as f64;
        (bins * self.max_wmark_freq / (f64::from(self.sample_rate) / 2.0)).round_ties_even() as usize
    }

    fn keys(&self, name: &str) -> Vec<(String, Value)> {
        // Read within bounds far below 2³².
        let count = |value: usize| Value::from(value as u32);
        let own: [(&str, Value); 15] = [
            ("sample_rate", self.sample_rate.into()),
            ("n_fft", count(self.n_fft)),
            ("hop_size", count(self.hop)),
            ("window_size", count(self.window)),
            ("window_fn", "hann".into()),
            ("stft_magnitude_min", self.magnitude_min.into()),
            ("headroom_db", HEADROOM_DB.into()),
            ("max_wmark_freq", (self.max_wmark_freq as f32).into()),
            ("subband", count(self.subband())),
            ("hidden_size", count(self.hidden)),
            ("layers", count(LAYERS)),
            ("kernel_size", count(KERNEL)),
            ("leaky_relu_slope", SLOPE.into()),
            ("mask_threshold", MASK_THRESHOLD.into()),
            ("stretches", STRETCHES.to_vec().into()),
        ];
        let general = [("general.architecture", ARCHITECTURE), ("general.name", name)];
        let general = general.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value)));
        general.chain(own.into_iter().map(|(key, value)| (format!("perth.{key}"), value))).collect()
    }
}

/// Names and shapes of all tensors.
pub(crate) fn shapes(hparams: &Hparams) -> Vec<(String, Vec<usize>)> {
    let (hidden, subband) = (hparams.hidden, hparams.subband());
    let mut list = Vec::new();
    for (stack, outputs) in STACKS {
        for layer in 0..=LAYERS + 1 {
            let weight = match layer {
                0 => [hidden, subband, 1],
                layer if layer > LAYERS => [outputs.unwrap_or(subband), hidden, 1],
                _ => [hidden, hidden, KERNEL],
            };
            list.push((format!("{stack}.{layer}.conv.weight"), weight.to_vec()));
            list.push((format!("{stack}.{layer}.conv.bias"), vec![weight[0]]));
        }
    }
    list
}

/// Makes the file of the tensors of a checkpoint.
pub(crate) fn assemble(hparams: &Hparams, tensors: Vec<Tensor>, name: &str) -> Result<Perth, PerthError> {
    let mut found: HashMap<String, Tensor> = tensors.into_iter().map(|t| (t.name.clone(), t)).collect();
    let mut taken = Vec::new();
    for (name, wanted) in shapes(hparams) {
        let tensor = found.remove(&name).ok_or_else(|| PerthError::Missing { name: name.clone() })?;
        if tensor.shape.dims() != wanted {
            return Err(PerthError::WrongShape { name, wanted, found: tensor.shape });
        }
        taken.push(tensor);
    }
    let mut rest: Vec<String> = found.into_keys().collect();
    rest.sort_unstable();
    let ignored = rest.into_iter().map(|name| {
        let computed = name.starts_with("ap.");
        Ignored { name, why: if computed { "computed" } else { "not part of the model" } }
    });
    let parameters: usize = taken.iter().map(|tensor| tensor.shape.numel()).sum();
    let model = format!(
        "PerTh watermark, {} bins of {} Hz, {} channels, {:.2} M parameters",
        hparams.subband(),
        hparams.sample_rate,
        hparams.hidden,
        parameters as f64 / 1e6
    );
    Ok(Perth { keys: hparams.keys(name), tensors: taken, model, ignored: ignored.collect() })
}
