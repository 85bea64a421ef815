//! `config.json` to a [`Config`]. Models with pictures keep what concerns text in a section of its own.

use std::collections::HashMap;
use std::fmt;

use mynah_tensor::Shape;

use crate::nemo::{MAX_LAYERS, MAX_WIDTH};
use crate::qwen35::{Architecture, Config, Experts};
use crate::settings::{ConfigError, Settings, required};

/// More than any vocabulary, or context, has.
const MAX_COUNT: usize = 1 << 28;

/// Key of the section for text.
const TEXT: &str = "text_config";

/// The architecture of the file to write, `None` if the folder is of another kind.
pub(super) fn architecture(settings: &Settings) -> Result<Option<Architecture>, ConfigError> {
    Ok(match settings.text("model_type")? {
        Some("qwen3_5" | "qwen3_5_text") => Some(Architecture::Qwen35),
        Some("qwen3_5_moe" | "qwen3_5_moe_text") => Some(Architecture::Qwen35Moe),
        Some("qwen3_next") => Some(Architecture::Qwen3Next),
        _ => None,
    })
}

/// The settings for text.
struct Text<'a>(&'a Settings);

impl Text<'_> {
    fn key(&self, name: &str) -> String {
        let below = format!("{TEXT}.{name}");
        if self.0.has(&below) { below } else { name.to_owned() }
    }

    fn find(&self, name: &str, limit: usize) -> Result<Option<usize>, ConfigError> {
        self.0.size(&self.key(name), 1..=limit)
    }

    fn limited(&self, name: &str, limit: usize) -> Result<usize, ConfigError> {
        required(&self.key(name), self.find(name, limit)?)
    }

    fn size(&self, name: &str) -> Result<usize, ConfigError> {
        self.limited(name, MAX_WIDTH)
    }

    fn number(&self, name: &str) -> Result<Option<f64>, ConfigError> {
        self.0.number(&self.key(name))
    }

    /// A rotary setting's name in the section for it, which older configurations call otherwise.
    fn in_rotary(&self, name: &str) -> String {
        let section =
            if self.0.has(&self.key("rope_parameters")) { "rope_parameters" } else { "rope_scaling" };
        format!("{section}.{name}")
    }

    /// A rotary setting, which older configurations have at the top.
    fn rotary(&self, name: &str) -> Result<Option<f64>, ConfigError> {
        match self.number(&self.in_rotary(name))? {
            Some(number) => Ok(Some(number)),
            None => self.number(name),
        }
    }

    fn unsupported<T>(
        &self,
        name: &str,
        value: impl fmt::Display + Copy,
        why: &'static str,
    ) -> Result<T, ConfigError> {
        Err(ConfigError::Unsupported { key: self.key(name), value: value.to_string(), why })
    }
}

/// Reads the configuration. Where it says nothing the tensors decide.
pub(super) fn read(
    settings: &Settings,
    shapes: &HashMap<&str, Shape>,
    name: String,
) -> Result<Config, ConfigError> {
    const KIND: &str = "model_type";
    let text = Text(settings);
    let Some(architecture) = architecture(settings)? else {
        let value = settings.text(KIND)?.unwrap_or_default();
        return text.unsupported(KIND, value, "qwen3_5, qwen3_5_moe and qwen3_next are");
    };
    refuse(&text)?;
    let layers = text.limited("num_hidden_layers", MAX_LAYERS)?;
    let (hidden, heads) = (text.size("hidden_size")?, text.size("num_attention_heads")?);
    let head_dim = match text.find("head_dim", MAX_WIDTH)? {
        Some(width) => width,
        None => hidden / heads,
    };
    let part = text.rotary("partial_rotary_factor")?.unwrap_or(0.25);
    if !(0.0..=1.0).contains(&part) {
        return text.unsupported("partial_rotary_factor", part, "it is a share of the head, 0 to 1");
    }
    let (key_heads, value_heads) = (text.size("linear_num_key_heads")?, text.size("linear_num_value_heads")?);
    if !value_heads.is_multiple_of(key_heads) {
        let why = "it must be a multiple of linear_num_key_heads";
        return text.unsupported("linear_num_value_heads", value_heads, why);
    }
    let state = text.size("linear_key_head_dim")?;
    let values = text.size("linear_value_head_dim")?;
    if values != state {
        return text.unsupported("linear_value_head_dim", values, "it must equal linear_key_head_dim");
    }
    let theta = required(&text.key("rope_theta"), text.rotary("rope_theta")?)? as f32;
    let eps = required(&text.key("rms_norm_eps"), text.number("rms_norm_eps")?)? as f32;
    let routed = architecture != Architecture::Qwen35;
    Ok(Config {
        name,
        architecture,
        vocabulary: text.limited("vocab_size", MAX_COUNT)?,
        layers,
        predicting: predicting(shapes),
        context: text.limited("max_position_embeddings", MAX_COUNT)?,
        hidden,
        feed_forward: match text.find("intermediate_size", MAX_WIDTH)? {
            None if !routed => Some(text.size("intermediate_size")?),
            width => width,
        },
        heads,
        kv_heads: text.size("num_key_value_heads")?,
        head_dim,
        rotary: (head_dim as f64 * part) as usize,
        sections: sections(&text, architecture)?,
        theta,
        eps,
        experts: if routed { Some(experts(&text)?) } else { None },
        kernel: text.size("linear_conv_kernel_dim")?,
        key_heads,
        value_heads,
        state,
        recurrent: recurrent(&text, layers)?,
        interval: text.find("full_attention_interval", MAX_LAYERS)?.unwrap_or(4),
        tied: !shapes.contains_key("lm_head.weight"),
    })
}

/// Refuses what would come out as another model.
fn refuse(text: &Text<'_>) -> Result<(), ConfigError> {
    let says = |name: &str| text.0.text(&text.key(name));
    for name in ["rope_type", "type"] {
        let name = text.in_rotary(name);
        if let Some(kind) = says(&name)?
            && kind != "default"
        {
            return text.unsupported(&name, kind, "positions must not be scaled");
        }
    }
    if let Some(activation) = says("hidden_act")?
        && activation != "silu"
    {
        return text.unsupported("hidden_act", activation, "silu is");
    }
    if text.0.has("quantization_config") {
        return text.unsupported("quantization_config", "…", "weights must be plain floats");
    }
    for (name, wanted) in [("attention_bias", false), ("norm_topk_prob", true)] {
        if let Some(found) = text.0.flag(&text.key(name))?
            && found != wanted
        {
            return text.unsupported(name, found, "the family has it the other way");
        }
    }
    let dense = text.0.list(&text.key("mlp_only_layers"))?.is_some_and(|list| !list.is_empty());
    if dense || text.find("decoder_sparse_step", MAX_LAYERS)?.is_some_and(|step| step != 1) {
        return text.unsupported("decoder_sparse_step", "…", "every layer must have experts");
    }
    Ok(())
}

fn sections(text: &Text<'_>, architecture: Architecture) -> Result<Option<[i32; 4]>, ConfigError> {
    let key = text.key(&text.in_rotary("mrope_section"));
    match text.0.integers(&key, 0..=1 << 16)? {
        Some(found) => {
            let mut sections = [0; 4];
            for (section, found) in sections.iter_mut().zip(found) {
                *section = found;
            }
            Ok(Some(sections))
        }
        // What transformers takes where nothing is said.
        None if architecture != Architecture::Qwen3Next => Ok(Some([11, 11, 10, 0])),
        None => Ok(None),
    }
}

fn experts(text: &Text<'_>) -> Result<Experts, ConfigError> {
    Ok(Experts {
        count: text.size("num_experts")?,
        used: text.size("num_experts_per_tok")?,
        feed_forward: text.size("moe_intermediate_size")?,
        shared: text.size("shared_expert_intermediate_size")?,
    })
}

fn recurrent(text: &Text<'_>, layers: usize) -> Result<Option<Vec<bool>>, ConfigError> {
    const NAME: &str = "layer_types";
    let Some(list) = text.0.texts(&text.key(NAME))? else { return Ok(None) };
    if list.len() != layers {
        return text.unsupported(NAME, format_args!("{} entries", list.len()), "it needs one for each layer");
    }
    let of = |kind: &String| match kind.as_str() {
        "linear_attention" => Ok(true),
        "full_attention" => Ok(false),
        other => text.unsupported(NAME, other, "linear_attention and full_attention are"),
    };
    list.iter().map(of).collect::<Result<Vec<bool>, _>>().map(Some)
}

/// How many predicting layers the folder has.
fn predicting(shapes: &HashMap<&str, Shape>) -> usize {
    let has =
        |index: &usize| shapes.contains_key(format!("predicting.{index}.input_layernorm.weight").as_str());
    (0..).take_while(has).count()
}
