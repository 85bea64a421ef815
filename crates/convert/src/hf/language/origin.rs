//! Tensors of a folder under common names: without the wrappers of models with pictures, and with predicting layers
//! (MTP) apart from the model's own. What is no part of the language model is set aside.

use std::collections::HashMap;

use super::TensorsError;
use crate::parakeet::Ignored;
use crate::source::Tensor;

/// Names of what the predicting layers share, which goes with the first of them.
const SHARED: [(&str, &str); 4] = [
    ("fc.weight", "eh_proj.weight"),
    ("pre_fc_norm_embedding.weight", "enorm.weight"),
    ("pre_fc_norm_hidden.weight", "hnorm.weight"),
    ("norm.weight", "shared_head_norm.weight"),
];

/// Tensors by their common names, and those nothing reads.
pub(super) fn sort_out(
    tensors: Vec<Tensor>,
) -> Result<(HashMap<String, Tensor>, Vec<Ignored>), TensorsError> {
    let (mut found, mut ignored) = (HashMap::with_capacity(tensors.len()), Vec::new());
    for tensor in tensors {
        if let Some(why) = idle(&tensor.name) {
            ignored.push(Ignored { name: tensor.name, why });
            continue;
        }
        let name = common_name(&tensor.name);
        if let Some(first) = found.insert(name, tensor) {
            return Err(TensorsError::Duplicate { name: first.name });
        }
    }
    Ok((found, ignored))
}

fn idle(name: &str) -> Option<&'static str> {
    if name.contains("visual.") || name.contains("vision_") {
        Some("part for pictures")
    } else if name.ends_with(".rotary_emb.inv_freq") {
        Some("computed from the configuration")
    } else {
        None
    }
}

/// `layers.3.mlp.gate_proj.weight`, `predicting.0.eh_proj.weight`, `embed_tokens.weight`, whatever the wrappers.
fn common_name(name: &str) -> String {
    let plain = name.replacen("language_model.", "", 1);
    let plain = plain.strip_prefix("model.").unwrap_or(&plain);
    let Some(rest) = plain.strip_prefix("mtp.") else { return plain.to_owned() };
    if let Some((_, new)) = SHARED.iter().find(|(old, _)| *old == rest) {
        return format!("predicting.0.{new}");
    }
    match rest.strip_prefix("layers.") {
        Some(rest) => format!("predicting.{rest}"),
        None => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_and_predicting_layers() {
        for (name, wanted) in [
            ("model.language_model.layers.3.mlp.up_proj.weight", "layers.3.mlp.up_proj.weight"),
            ("language_model.model.embed_tokens.weight", "embed_tokens.weight"),
            ("lm_head.weight", "lm_head.weight"),
            ("model.norm.weight", "norm.weight"),
            ("mtp.layers.1.self_attn.q_proj.weight", "predicting.1.self_attn.q_proj.weight"),
            ("mtp.norm.weight", "predicting.0.shared_head_norm.weight"),
            ("model.mtp.fc.weight", "predicting.0.eh_proj.weight"),
            ("mtp.odd", "mtp.odd"),
        ] {
            assert_eq!(common_name(name), wanted);
        }
    }
}
