//! Configuration and vocabulary as GGUF keys, those of llama.cpp's converter in its order.

use mynah_gguf::Value;

use super::config::Config;
use super::layout::{Role, tensors};
use super::vocabulary::Vocabulary;

/// Keys and values in file order. `file_type` is llama.cpp's number of the mixture, if it has one.
pub fn keys(config: &Config, vocabulary: &Vocabulary, file_type: Option<u32>) -> Vec<(String, Value)> {
    let mut keys = Keys { architecture: config.architecture.name(), list: Vec::new() };
    keys.general("architecture", config.architecture.name());
    keys.general("type", "model");
    keys.general("name", config.name.as_str());
    keys.general("size_label", size_label(config));
    keys.count("block_count", config.blocks());
    keys.count("context_length", config.context);
    keys.count("embedding_length", config.hidden);
    if let Some(width) = config.feed_forward {
        keys.count("feed_forward_length", width);
    }
    keys.count("attention.head_count", config.heads);
    keys.count("attention.head_count_kv", config.kv_heads);
    if let Some(sections) = config.sections {
        keys.add("rope.dimension_sections", sections.to_vec());
    }
    keys.add("rope.freq_base", config.theta);
    keys.add("attention.layer_norm_rms_epsilon", config.eps);
    if let Some(experts) = &config.experts {
        keys.count("expert_count", experts.count);
        keys.count("expert_used_count", experts.used);
    }
    keys.count("attention.key_length", config.head_dim);
    keys.count("attention.value_length", config.head_dim);
    if let Some(file_type) = file_type {
        keys.general("file_type", file_type);
    }
    if let Some(experts) = &config.experts {
        keys.count("expert_feed_forward_length", experts.feed_forward);
        keys.count("expert_shared_feed_forward_length", experts.shared);
    }
    if config.predicting > 0 {
        keys.count("nextn_predict_layers", config.predicting);
    }
    keys.count("ssm.conv_kernel", config.kernel);
    keys.count("ssm.state_size", config.state);
    keys.count("ssm.group_count", config.key_heads);
    keys.count("ssm.time_step_rank", config.value_heads);
    keys.count("ssm.inner_size", config.values_width());
    if config.recurrent.is_some() {
        let list: Vec<bool> = (0..config.blocks()).map(|index| config.is_recurrent(index)).collect();
        keys.add("attention.recurrent_layers", list);
    }
    keys.count("full_attention_interval", config.interval);
    keys.count("rope.dimension_count", config.rotary);
    keys.general("quantization_version", 2u32);
    keys.list.extend(vocabulary.keys());
    keys.list
}

struct Keys {
    architecture: &'static str,
    list: Vec<(String, Value)>,
}

impl Keys {
    fn general(&mut self, key: &str, value: impl Into<Value>) {
        self.list.push((format!("general.{key}"), value.into()));
    }

    fn add(&mut self, key: &str, value: impl Into<Value>) {
        self.list.push((format!("{}.{key}", self.architecture), value.into()));
    }

    /// Counts are limited where they are read, far below this.
    fn count(&mut self, key: &str, value: usize) {
        self.add(key, u32::try_from(value).unwrap_or(u32::MAX));
    }
}

/// The size as llama.cpp's converter puts it: parameters, or experts times the parameters a token of one expert sees.
fn size_label(config: &Config) -> String {
    let (mut shared, mut routed) = (0, 0);
    for tensor in tensors(config) {
        let expert = matches!(tensor.role, Role::Experts | Role::ExpertsOut);
        *(if expert { &mut routed } else { &mut shared }) += tensor.shape.numel();
    }
    match &config.experts {
        Some(experts) => format!("{}x{}", experts.count, rounded(shared + routed / experts.count.max(1))),
        None => rounded(shared),
    }
}

/// A count of parameters with two digits at least: `752M`, `4.2B`, `27B`.
fn rounded(count: usize) -> String {
    let (scale, unit) = match count {
        0..=1_000_000 => (1e3, "K"),
        1_000_001..=1_000_000_000 => (1e6, "M"),
        1_000_000_001..=1_000_000_000_000 => (1e9, "B"),
        _ => (1e12, "T"),
    };
    let scaled = count as f64 / scale;
    let whole = scaled.round_ties_even();
    let digits = if whole < 1.0 { 0 } else { format!("{whole:.0}").len() };
    let decimals = 2usize.saturating_sub(digits);
    format!("{scaled:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits() {
        let labels = [752_393_024, 4_210_000_000, 26_900_000_000, 189_000, 9_400].map(rounded);
        assert_eq!(labels, ["752M", "4.2B", "27B", "189K", "9.4K"]);
    }
}
