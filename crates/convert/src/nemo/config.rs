//! `model_config.yaml` of a `.nemo` archive to a [`Config`].
//!
//! Where the two disagree the tensors win: configurations carry blocks for heads that were never saved (`aux_ctc` in
//! tdt-0.6b-v2) and bias flags that older files lack.

use std::collections::HashMap;

use mynah_tensor::Shape;

use crate::parakeet::{Attention, Config, ConvNorm, Encoder, Features, Prompt, Streaming, Transducer};
use crate::settings::{ConfigError, Node, Settings, required};

/// No released model comes near these; they keep arithmetic on hostile numbers from overflowing.
pub(crate) const MAX_WIDTH: usize = 1 << 17;
pub(crate) const MAX_MELS: usize = 512;
pub(crate) const MAX_FFT: usize = 1 << 14;
pub(crate) const MAX_LAYERS: usize = 1024;
const MAX_CONTEXT: i64 = 1 << 20;

/// Reads a configuration; `shapes` are those of the checkpoint's tensors.
pub(super) fn read(
    settings: &Settings,
    shapes: &HashMap<&str, Shape>,
    name: String,
    pieces: Vec<String>,
) -> Result<Config, ConfigError> {
    let ctc = ["ctc_decoder", "decoder"]
        .iter()
        .any(|head| shapes.contains_key(format!("{head}.decoder_layers.0.weight").as_str()));
    let features = features(settings)?;
    Ok(Config {
        name,
        encoder: encoder(settings, shapes, &features)?,
        ctc,
        transducer: transducer(settings, shapes)?,
        prompt: prompt(settings)?,
        pieces,
        features,
    })
}

fn features(settings: &Settings) -> Result<Features, ConfigError> {
    let key = |name: &str| format!("preprocessor.{name}");
    let base = Features::default();
    let sample_rate = settings.size(&key("sample_rate"), 1000..=384_000)?.unwrap_or(base.sample_rate);
    // Window and stride are in seconds, or in samples under other names.
    let samples = |in_samples: &str, in_seconds: &str, default: usize| -> Result<usize, ConfigError> {
        if let Some(samples) = settings.size(&key(in_samples), 1..=MAX_FFT)? {
            return Ok(samples);
        }
        let Some(seconds) = settings.number(&key(in_seconds))? else { return Ok(default) };
        let samples = (seconds * sample_rate as f64 + 1e-6) as usize;
        if !(1..=MAX_FFT).contains(&samples) {
            let (key, value) = (key(in_seconds), seconds.to_string());
            return Err(ConfigError::Range { key, value, low: 1, high: MAX_FFT as i64 });
        }
        Ok(samples)
    };
    let win_length = samples("n_window_size", "window_size", base.win_length)?;
    let number =
        |name: &str, default: f32| settings.number(&key(name)).map(|n| n.map_or(default, |n| n as f32));
    Ok(Features {
        sample_rate,
        mels: settings.size(&key("features"), 1..=MAX_MELS)?.unwrap_or(64),
        n_fft: settings.size(&key("n_fft"), 2..=MAX_FFT)?.unwrap_or(win_length.next_power_of_two()),
        win_length,
        hop_length: samples("n_window_stride", "window_stride", base.hop_length)?,
        preemph: if settings.is_null(&key("preemph")) { 0.0 } else { number("preemph", base.preemph)? },
        mag_power: number("mag_power", base.mag_power)?,
        log_zero_guard: number("log_zero_guard_value", base.log_zero_guard)?,
        normalize: settings.text(&key("normalize"))?.unwrap_or("NA").to_owned(),
    })
}

fn encoder(
    settings: &Settings,
    shapes: &HashMap<&str, Shape>,
    features: &Features,
) -> Result<Encoder, ConfigError> {
    let key = |name: &str| format!("encoder.{name}");
    let size = |name: &str| settings.size(&key(name), 1..=MAX_WIDTH);
    let require = |name: &str| required(&key(name), size(name)?);
    let text = |name: &str| settings.text(&key(name));
    refuse(
        text("_target_")?.is_some_and(|t| !t.ends_with(".ConformerEncoder")),
        &key("_target_"),
        settings,
        "the encoder must be a ConformerEncoder",
    )?;
    refuse(
        text("subsampling")? != Some("dw_striding"),
        &key("subsampling"),
        settings,
        "only dw_striding is",
    )?;
    refuse(
        settings.has(&key("reduction")),
        &key("reduction"),
        settings,
        "no Parakeet reduces between layers",
    )?;
    let feat_in = require("feat_in")?;
    if feat_in != features.mels {
        let why = "it must equal preprocessor.features";
        return Err(ConfigError::Unsupported { key: key("feat_in"), value: feat_in.to_string(), why });
    }
    let d_model = require("d_model")?;
    let heads = require("n_heads")?;
    refuse(!d_model.is_multiple_of(heads), &key("n_heads"), settings, "it must divide d_model")?;
    let subsampling_factor = size("subsampling_factor")?.unwrap_or(8);
    refuse(
        !subsampling_factor.is_power_of_two() || subsampling_factor > 64,
        &key("subsampling_factor"),
        settings,
        "powers of two up to 64 are",
    )?;
    let conv_norm = match text("conv_norm_type")?.unwrap_or("batch_norm") {
        "batch_norm" => ConvNorm::Batch,
        "layer_norm" => ConvNorm::Layer,
        other => return Err(unsupported(&key("conv_norm_type"), other, "batch_norm and layer_norm are")),
    };
    let flag = |name: &str, default| settings.flag(&key(name)).map(|flag| flag.unwrap_or(default));
    let ff_factor = settings.size(&key("ff_expansion_factor"), 1..=64)?.unwrap_or(4);
    Ok(Encoder {
        d_model,
        layers: required(&key("n_layers"), settings.size(&key("n_layers"), 1..=MAX_LAYERS)?)?,
        heads,
        ff_dim: d_model * ff_factor,
        conv_kernel: settings.size(&key("conv_kernel_size"), 1..=MAX_LAYERS)?.unwrap_or(31),
        subsampling_factor,
        subsampling_channels: match settings
            .integer(&key("subsampling_conv_channels"), -1..=MAX_WIDTH as i64)?
        {
            // NeMo's default of -1 stands for the model's width.
            Some(channels) if channels > 0 => channels as usize,
            _ => d_model,
        },
        pos_emb_max_len: size("pos_emb_max_len")?.unwrap_or(5000),
        conv_norm,
        xscaling: flag("xscaling", true)?,
        use_bias: shapes.contains_key("encoder.layers.0.feed_forward1.linear1.bias"),
        attention: attention(settings)?,
    })
}

fn attention(settings: &Settings) -> Result<Attention, ConfigError> {
    let contexts = contexts(settings)?;
    let conv_context = settings.find("encoder.conv_context_size");
    let conv_causal = conv_context.and_then(Node::text) == Some("causal");
    let causal_downsampling = settings.flag("encoder.causal_downsampling")?.unwrap_or(false);
    let style = settings.text("encoder.att_context_style")?.unwrap_or("regular");
    match style {
        "chunked_limited" => {
            if contexts.iter().any(|context| context[1] < 0) {
                let why = "streaming needs a finite right context";
                return Err(unsupported("encoder.att_context_size", &format!("{contexts:?}"), why));
            }
            return Ok(Attention::Chunked(Streaming { contexts, causal_downsampling, conv_causal }));
        }
        "regular" => {}
        other => {
            return Err(unsupported("encoder.att_context_style", other, "regular and chunked_limited are"));
        }
    }
    refuse(conv_causal, "encoder.conv_context_size", settings, "causal needs chunked_limited attention")?;
    refuse(
        causal_downsampling,
        "encoder.causal_downsampling",
        settings,
        "it needs chunked_limited attention",
    )?;
    let model = settings.text("encoder.self_attention_model")?.unwrap_or("rel_pos");
    refuse(
        !matches!(model, "rel_pos" | "rel_pos_local_attn"),
        "encoder.self_attention_model",
        settings,
        "rel_pos and rel_pos_local_attn are",
    )?;
    let tokens = settings.integer("encoder.global_tokens", 0..=MAX_CONTEXT)?.unwrap_or(0);
    refuse(tokens > 0, "encoder.global_tokens", settings, "no released Parakeet has global tokens")?;
    // A finite context masks plain relative attention to the same band that local attention computes.
    match contexts.first().copied().unwrap_or([-1, -1]) {
        [-1, -1] => Ok(Attention::Full),
        [left, right] => Ok(Attention::Local { left, right }),
    }
}

/// `att_context_size`: one pair, or a list of pairs whose first is the default.
fn contexts(settings: &Settings) -> Result<Vec<[i32; 2]>, ConfigError> {
    const KEY: &str = "encoder.att_context_size";
    let items = settings.list(KEY)?.unwrap_or_default();
    let pair = |items: &[Node]| -> Result<[i32; 2], ConfigError> {
        let numbers: Vec<i64> = items.iter().filter_map(Node::integer).collect();
        match numbers[..] {
            [left, right]
                if items.len() == 2 && [left, right].iter().all(|n| (-1..=MAX_CONTEXT).contains(n)) =>
            {
                Ok([left as i32, right as i32])
            }
            _ => Err(unsupported(KEY, &format!("{numbers:?}"), "pairs of left and right frames are")),
        }
    };
    if items.is_empty() {
        return Ok(vec![[-1, -1]]);
    }
    if items.iter().any(|item| matches!(item, Node::List(_))) {
        return items
            .iter()
            .map(|item| if let Node::List(item) = item { pair(item) } else { pair(&[]) })
            .collect();
    }
    pair(items).map(|pair| vec![pair])
}

fn transducer(settings: &Settings, shapes: &HashMap<&str, Shape>) -> Result<Option<Transducer>, ConfigError> {
    let Some(joint) = shapes.get("joint.joint_net.2.weight") else { return Ok(None) };
    let embedded = shapes.get("decoder.prediction.embed.weight").map_or(0, |shape| outermost(*shape));
    let extra = outermost(*joint).saturating_sub(embedded);
    let range = 0..=MAX_CONTEXT;
    let mut durations = Vec::new();
    if extra > 0 {
        for key in ["decoding.durations", "model_defaults.tdt_durations", "loss.tdt_kwargs.durations"] {
            if let Some(found) = settings.integers(key, range.clone())?.filter(|list| !list.is_empty()) {
                durations = found;
                break;
            }
        }
        if durations.is_empty() {
            return Err(ConfigError::Missing { key: "decoding.durations".to_owned() });
        }
    }
    let size = |key: &str| settings.size(key, 1..=MAX_WIDTH);
    let require = |key: &str| required(key, size(key)?);
    let max_symbols = match size("decoding.greedy.max_symbols")? {
        Some(n) => n,
        None => size("decoding.greedy.max_symbols_per_step")?.unwrap_or(10),
    };
    Ok(Some(Transducer {
        pred_hidden: require("decoder.prednet.pred_hidden")?,
        pred_layers: settings.size("decoder.prednet.pred_rnn_layers", 1..=MAX_LAYERS)?.unwrap_or(1),
        joint_hidden: require("joint.jointnet.joint_hidden")?,
        activation: settings.text("joint.jointnet.activation")?.unwrap_or("relu").to_owned(),
        max_symbols,
        durations,
    }))
}

fn prompt(settings: &Settings) -> Result<Option<Prompt>, ConfigError> {
    if settings.flag("model_defaults.initialize_prompt_feature")? != Some(true) {
        return Ok(None);
    }
    let Some(items) = settings.section("model_defaults.prompt_dictionary")? else { return Ok(None) };
    let place = |(name, node): &(String, Node)| {
        let place = node.integer().filter(|n| (0..=MAX_CONTEXT).contains(n));
        let key = format!("model_defaults.prompt_dictionary.{name}");
        Ok((name.clone(), required(&key, place)? as i32))
    };
    let dictionary = items.iter().map(place).collect::<Result<_, ConfigError>>()?;
    let prompts = settings.size("model_defaults.num_prompts", 1..=MAX_WIDTH)?.unwrap_or(128);
    Ok(Some(Prompt { prompts, dictionary }))
}

fn outermost(shape: Shape) -> usize {
    shape.dims().first().copied().unwrap_or(0)
}

fn unsupported(key: &str, value: &str, why: &'static str) -> ConfigError {
    ConfigError::Unsupported { key: key.to_owned(), value: value.to_owned(), why }
}

fn refuse(condition: bool, key: &str, settings: &Settings, why: &'static str) -> Result<(), ConfigError> {
    if !condition {
        return Ok(());
    }
    let value = settings.find(key).map_or("nothing".to_owned(), |node| node.text().unwrap_or("…").to_owned());
    Err(unsupported(key, &value, why))
}
