//! Names of transformers' Parakeet modules to those of NeMo's state dict.

/// Prefixes of whole modules.
const MODULES: [(&str, &str); 8] = [
    ("encoder.subsampling.layers.", "encoder.pre_encode.conv."),
    ("encoder.subsampling.linear.", "encoder.pre_encode.out."),
    ("ctc_head.", "decoder.decoder_layers.0."),
    ("decoder.embedding.", "decoder.prediction.embed."),
    ("decoder.lstm.", "decoder.prediction.dec_rnn.lstm."),
    ("decoder.decoder_projector.", "joint.pred."),
    ("encoder_projector.", "joint.enc."),
    ("joint.head.", "joint.joint_net.2."),
];

/// Parts of a Conformer block.
const PARTS: [(&str, &str); 8] = [
    ("self_attn.q_proj.", "self_attn.linear_q."),
    ("self_attn.k_proj.", "self_attn.linear_k."),
    ("self_attn.v_proj.", "self_attn.linear_v."),
    ("self_attn.o_proj.", "self_attn.linear_out."),
    ("self_attn.relative_k_proj.", "self_attn.linear_pos."),
    ("self_attn.bias_u", "self_attn.pos_bias_u"),
    ("self_attn.bias_v", "self_attn.pos_bias_v"),
    ("conv.norm.", "conv.batch_norm."),
];

/// The name that NeMo gives a tensor of transformers; unknown ones stay as they are.
pub(super) fn nemo_name(name: &str) -> String {
    for (from, to) in MODULES {
        if let Some(rest) = name.strip_prefix(from) {
            return format!("{to}{rest}");
        }
    }
    let Some((layer, part)) = name.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.'))
    else {
        return name.to_owned();
    };
    for (from, to) in PARTS {
        if let Some(rest) = part.strip_prefix(from) {
            return format!("encoder.layers.{layer}.{to}{rest}");
        }
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::nemo_name;

    #[test]
    fn every_kind_of_name() {
        for (from, to) in [
            ("encoder.subsampling.layers.2.weight", "encoder.pre_encode.conv.2.weight"),
            ("encoder.subsampling.linear.bias", "encoder.pre_encode.out.bias"),
            ("encoder.layers.11.self_attn.o_proj.weight", "encoder.layers.11.self_attn.linear_out.weight"),
            (
                "encoder.layers.0.self_attn.relative_k_proj.weight",
                "encoder.layers.0.self_attn.linear_pos.weight",
            ),
            ("encoder.layers.3.self_attn.bias_v", "encoder.layers.3.self_attn.pos_bias_v"),
            ("encoder.layers.3.conv.norm.running_var", "encoder.layers.3.conv.batch_norm.running_var"),
            ("encoder.layers.3.norm_conv.weight", "encoder.layers.3.norm_conv.weight"),
            (
                "encoder.layers.3.feed_forward1.linear2.weight",
                "encoder.layers.3.feed_forward1.linear2.weight",
            ),
            ("ctc_head.bias", "decoder.decoder_layers.0.bias"),
            ("decoder.lstm.weight_hh_l1", "decoder.prediction.dec_rnn.lstm.weight_hh_l1"),
            ("joint.head.weight", "joint.joint_net.2.weight"),
            ("something.else", "something.else"),
        ] {
            assert_eq!(nemo_name(from), to);
        }
    }
}
