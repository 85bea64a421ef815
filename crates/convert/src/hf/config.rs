//! `config.json` and the feature extractor's settings to a [`Config`].

use std::collections::HashMap;

use mynah_tensor::Shape;

use crate::nemo::{MAX_FFT, MAX_LAYERS, MAX_MELS, MAX_WIDTH};
use crate::parakeet::{Attention, Config, ConvNorm, Encoder, Features, Transducer};
use crate::settings::{ConfigError, Settings, required};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ctc,
    Rnnt,
    Tdt,
}

fn kind(settings: &Settings) -> Result<Kind, ConfigError> {
    const KEY: &str = "model_type";
    match required(KEY, settings.text(KEY)?)? {
        "parakeet_ctc" => Ok(Kind::Ctc),
        "parakeet_rnnt" => Ok(Kind::Rnnt),
        "parakeet_tdt" => Ok(Kind::Tdt),
        other => Err(ConfigError::Unsupported {
            key: KEY.to_owned(),
            value: other.to_owned(),
            why: "parakeet_ctc, parakeet_rnnt and parakeet_tdt are",
        }),
    }
}

/// How many pieces there are: all outputs but the blank, which has to be the last.
pub(super) fn pieces(settings: &Settings) -> Result<usize, ConfigError> {
    let vocabulary = require(settings, "vocab_size")?;
    let key = if kind(settings)? == Kind::Ctc { "pad_token_id" } else { "blank_token_id" };
    let blank = required(key, settings.size(key, 1..=MAX_WIDTH)?)?;
    if blank + 1 != vocabulary {
        return Err(ConfigError::Unsupported {
            key: key.to_owned(),
            value: blank.to_string(),
            why: "the blank must be the last output, vocab_size - 1",
        });
    }
    Ok(blank)
}

/// Reads the configuration, all but the pieces.
pub(super) fn read(
    settings: &Settings,
    features: Option<&Settings>,
    shapes: &HashMap<&str, Shape>,
    name: String,
    warnings: &mut Vec<String>,
) -> Result<Config, ConfigError> {
    let kind = kind(settings)?;
    let key = |name: &str| format!("encoder_config.{name}");
    let size = |name: &str| require(settings, &key(name));
    let mels = required(&key("num_mel_bins"), settings.size(&key("num_mel_bins"), 1..=MAX_MELS)?)?;
    if features.is_none() {
        warnings.push("folder has no feature extractor settings; NeMo's defaults are used".to_owned());
    }
    let d_model = size("hidden_size")?;
    let heads = size("num_attention_heads")?;
    if !d_model.is_multiple_of(heads) {
        let (key, value) = (key("num_attention_heads"), heads.to_string());
        return Err(ConfigError::Unsupported { key, value, why: "it must divide hidden_size" });
    }
    let factor = size("subsampling_factor")?;
    if !factor.is_power_of_two() || factor > 64 {
        let (key, value) = (key("subsampling_factor"), factor.to_string());
        return Err(ConfigError::Unsupported { key, value, why: "powers of two up to 64 are" });
    }
    let layers =
        required(&key("num_hidden_layers"), settings.size(&key("num_hidden_layers"), 1..=MAX_LAYERS)?)?;
    Ok(Config {
        name,
        features: front_end(features, mels)?,
        encoder: Encoder {
            d_model,
            layers,
            heads,
            ff_dim: size("intermediate_size")?,
            conv_kernel: size("conv_kernel_size")?,
            subsampling_factor: factor,
            subsampling_channels: size("subsampling_conv_channels")?,
            pos_emb_max_len: settings.size(&key("max_position_embeddings"), 1..=1 << 24)?.unwrap_or(5000),
            conv_norm: ConvNorm::Batch,
            xscaling: settings.flag(&key("scale_input"))?.unwrap_or(true),
            use_bias: shapes.contains_key("encoder.layers.0.feed_forward1.linear1.bias"),
            attention: Attention::Full,
        },
        ctc: kind == Kind::Ctc,
        transducer: if kind == Kind::Ctc { None } else { Some(transducer(settings, kind)?) },
        prompt: None,
        pieces: Vec::new(),
    })
}

fn transducer(settings: &Settings, kind: Kind) -> Result<Transducer, ConfigError> {
    let hidden = require(settings, "decoder_hidden_size")?;
    let durations = match kind {
        Kind::Tdt => required("durations", settings.integers("durations", 0..=1 << 16)?)?,
        _ => Vec::new(),
    };
    Ok(Transducer {
        pred_hidden: hidden,
        pred_layers: required("num_decoder_layers", settings.size("num_decoder_layers", 1..=MAX_LAYERS)?)?,
        joint_hidden: hidden,
        activation: settings.text("hidden_act")?.unwrap_or("relu").to_owned(),
        max_symbols: settings.size("max_symbols_per_step", 1..=MAX_WIDTH)?.unwrap_or(10),
        durations,
    })
}

fn front_end(settings: Option<&Settings>, mels: usize) -> Result<Features, ConfigError> {
    let base = Features { mels, ..Features::default() };
    let Some(settings) = settings else { return Ok(base) };
    let prefix = if settings.has("feature_extractor") { "feature_extractor." } else { "" };
    let key = |name: &str| format!("{prefix}{name}");
    let size = |name: &str, low, high, default| {
        settings.size(&key(name), low..=high).map(|value| value.unwrap_or(default))
    };
    let bands = size("feature_size", 1, MAX_MELS, mels)?;
    if bands != mels {
        let why = "it must equal encoder_config.num_mel_bins";
        return Err(ConfigError::Unsupported { key: key("feature_size"), value: bands.to_string(), why });
    }
    Ok(Features {
        sample_rate: size("sampling_rate", 1000, 384_000, base.sample_rate)?,
        n_fft: size("n_fft", 2, MAX_FFT, base.n_fft)?,
        win_length: size("win_length", 1, MAX_FFT, base.win_length)?,
        hop_length: size("hop_length", 1, MAX_FFT, base.hop_length)?,
        preemph: settings.number(&key("preemphasis"))?.map_or(base.preemph, |n| n as f32),
        ..base
    })
}

fn require(settings: &Settings, key: &str) -> Result<usize, ConfigError> {
    required(key, settings.size(key, 1..=MAX_WIDTH)?)
}
