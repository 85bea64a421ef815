//! A configuration as GGUF keys: those of parakeet.cpp's converter, in its order, plus the two that it loses about
//! local attention. See `docs/convert.md`.

use mynah_gguf::Value;

use super::config::{Attention, Config, ConvNorm, Streaming};

/// Keys and values in file order.
pub fn keys(config: &Config) -> Vec<(String, Value)> {
    let mut keys = Keys(Vec::new());
    keys.0.push(("general.architecture".to_owned(), "parakeet".into()));
    keys.0.push(("general.name".to_owned(), config.name.as_str().into()));
    keys.add("arch", config.arch());
    keys.encoder(config);
    if let Some(prompt) = &config.prompt {
        let (names, places): (Vec<String>, Vec<i32>) = prompt.dictionary.iter().cloned().unzip();
        let default =
            if names.iter().any(|name| name == "auto") { "auto" } else { names.first().map_or("", |n| n) };
        keys.add("prompt.present", true);
        keys.count("prompt.num_prompts", prompt.prompts);
        keys.add("prompt.default_lang", default);
        keys.add("prompt.dictionary.keys", names.clone());
        keys.add("prompt.dictionary.values", places);
    }
    match &config.encoder.attention {
        Attention::Full => {}
        Attention::Local { left, right } => {
            keys.add("encoder.self_attention_model", "rel_pos_local_attn");
            keys.add("encoder.att_context_left", *left);
            keys.add("encoder.att_context_right", *right);
        }
        Attention::Chunked(streaming) => keys.streaming(streaming, config.encoder.subsampling_factor),
    }
    keys.features(config);
    keys.count("vocab_size", config.pieces.len());
    keys.count("blank_id", config.pieces.len());
    keys.add("tokenizer.pieces", config.pieces.clone());
    if let Some(transducer) = &config.transducer {
        keys.count("decoder.pred_hidden", transducer.pred_hidden);
        keys.count("decoder.pred_rnn_layers", transducer.pred_layers);
        keys.count("joint.joint_hidden", transducer.joint_hidden);
        keys.add("joint.activation", transducer.activation.as_str());
        keys.count("decoding.max_symbols", transducer.max_symbols);
        if !transducer.durations.is_empty() {
            keys.add("tdt.durations", transducer.durations.clone());
        }
    }
    keys.0
}

struct Keys(Vec<(String, Value)>);

impl Keys {
    fn add(&mut self, key: &str, value: impl Into<Value>) {
        self.0.push((format!("parakeet.{key}"), value.into()));
    }

    /// Counts are limited where they are read, far below this.
    fn count(&mut self, key: &str, value: usize) {
        self.add(key, u32::try_from(value).unwrap_or(u32::MAX));
    }

    fn encoder(&mut self, config: &Config) {
        let encoder = &config.encoder;
        self.count("encoder.feat_in", config.features.mels);
        self.count("encoder.d_model", encoder.d_model);
        self.count("encoder.n_layers", encoder.layers);
        self.count("encoder.n_heads", encoder.heads);
        self.count("encoder.ff_dim", encoder.ff_dim);
        self.count("encoder.conv_kernel", encoder.conv_kernel);
        let norm = match encoder.conv_norm {
            ConvNorm::Batch => "batch_norm",
            ConvNorm::Layer => "layer_norm",
        };
        self.add("encoder.conv_norm_type", norm);
        self.count("encoder.subsampling_factor", encoder.subsampling_factor);
        self.count("encoder.subsampling_conv_channels", encoder.subsampling_channels);
        self.add("encoder.xscaling", encoder.xscaling);
        self.count("encoder.pos_emb_max_len", encoder.pos_emb_max_len);
        self.add("encoder.use_bias", encoder.use_bias);
    }

    /// The chunk sizes that NeMo's `setup_streaming_params` derives from the first context.
    fn streaming(&mut self, streaming: &Streaming, factor: usize) {
        let [left, right] = streaming.contexts.first().copied().unwrap_or([-1, -1]);
        let factor = i32::try_from(factor).unwrap_or(i32::MAX);
        if streaming.contexts.len() > 1 {
            self.add("encoder.att_context_presets", streaming.contexts.concat());
        }
        self.add("encoder.att_context_left", left);
        self.add("encoder.att_context_right", right);
        self.add("encoder.att_context_style", "chunked_limited");
        self.add("encoder.causal_downsampling", streaming.causal_downsampling);
        self.add("encoder.conv_causal", streaming.conv_causal);
        let ahead = factor.saturating_mul(right);
        let chunk = vec![ahead.saturating_add(1), ahead.saturating_add(factor)];
        // Nothing of a chunk is dropped from the caches, so that windows move on by whole chunks.
        self.add("streaming.chunk_size", chunk.clone());
        self.add("streaming.shift_size", chunk);
        self.add("streaming.cache_drop_size", 0);
        self.add("streaming.last_channel_cache_size", if left >= 0 { left } else { 10_000 });
        self.add("streaming.valid_out_len", right.saturating_add(1));
        self.add("streaming.pre_encode_cache_size", vec![0, factor.saturating_add(1)]);
        self.add("streaming.drop_extra_pre_encoded", 2);
    }

    fn features(&mut self, config: &Config) {
        let features = &config.features;
        self.count("preprocessor.sample_rate", features.sample_rate);
        self.count("preprocessor.n_mels", features.mels);
        self.count("preprocessor.n_fft", features.n_fft);
        self.count("preprocessor.win_length", features.win_length);
        self.count("preprocessor.hop_length", features.hop_length);
        self.add("preprocessor.preemph", features.preemph);
        self.add("preprocessor.mag_power", features.mag_power);
        self.add("preprocessor.normalize", features.normalize.as_str());
        self.add("preprocessor.log_zero_guard", features.log_zero_guard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::shape;

    #[test]
    fn streaming_numbers_of_the_end_of_utterance_model() {
        let mut config = shape("parakeet-tdt_ctc-110m").unwrap().config();
        config.encoder.attention = Attention::Chunked(Streaming {
            contexts: vec![[70, 1]],
            causal_downsampling: true,
            conv_causal: true,
        });
        config.features.mels = 128;
        assert_eq!(config.subsampled_mels(), 17);
        let keys = keys(&config);
        let of = |key: &str| keys.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
        assert_eq!(of("parakeet.streaming.chunk_size"), Some(vec![9, 16].into()));
        assert_eq!(of("parakeet.streaming.shift_size"), Some(vec![9, 16].into()));
        assert_eq!(of("parakeet.streaming.pre_encode_cache_size"), Some(vec![0, 9].into()));
        assert_eq!(of("parakeet.streaming.valid_out_len"), Some(2.into()));
        assert_eq!(of("parakeet.streaming.last_channel_cache_size"), Some(70.into()));
        assert_eq!(of("parakeet.encoder.att_context_presets"), None);
    }
}
