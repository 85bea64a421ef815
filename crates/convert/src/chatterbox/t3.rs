//! T3, text to speech tokens: the tensors of both backbones under the names of chatterbox.cpp, with the keys that go with
//! them. Sizes are those of the tensors; what no tensor tells is what `T3Config` says for every released model.

use mynah_text::speech::LANGUAGES;

use super::error::ChatterboxError;
use super::state::{Part, State};
use super::tokenizer::Tokenizer;

/// Width of an attention head of either backbone.
const HEAD_DIM: usize = 64;
/// `T3Config`: the two ids behind the codebook of 3⁸ speech tokens.
const START_SPEECH: u32 = 6561;
const STOP_SPEECH: u32 = 6562;
/// `T3Config`: `[START]` and `[STOP]` of the grapheme vocabularies.
const START_TEXT: u32 = 255;
const STOP_TEXT: u32 = 0;
/// Learned positions there are beyond the longest text and the longest speech.
const TEXT_MARGIN: usize = 2;
const SPEECH_MARGIN: usize = 4;

/// Tensors of a Llama layer: name in the checkpoint and in the file.
const LLAMA: [(&str, &str); 9] = [
    ("input_layernorm.weight", "ln_attn/g"),
    ("self_attn.q_proj.weight", "attn/q/w"),
    ("self_attn.k_proj.weight", "attn/k/w"),
    ("self_attn.v_proj.weight", "attn/v/w"),
    ("self_attn.o_proj.weight", "attn/o/w"),
    ("post_attention_layernorm.weight", "ln_mlp/g"),
    ("mlp.gate_proj.weight", "mlp/gate/w"),
    ("mlp.up_proj.weight", "mlp/up/w"),
    ("mlp.down_proj.weight", "mlp/down/w"),
];

/// Whose T3, as far as tensors don't say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Llama's layers, 23 languages.
    Multilingual,
    /// Llama's layers, the original English model.
    English,
    /// GPT-2's layers: Turbo and Nano.
    Turbo,
}

impl Variant {
    /// `chatterbox.variant`
    pub(super) fn name(self) -> &'static str {
        match self {
            Variant::Multilingual => "t3_mtl",
            Variant::English => "t3_en",
            Variant::Turbo => "t3_turbo",
        }
    }

    /// `general.name`, `general.description`, `chatterbox.reference_repo`
    fn words(self) -> [&'static str; 3] {
        const REPOSITORY: &str = "ResembleAI/chatterbox";
        match self {
            Variant::Multilingual => [
                "Chatterbox Multilingual T3",
                "Chatterbox multilingual text-to-speech token generator (23 languages).",
                REPOSITORY,
            ],
            Variant::English => {
                ["Chatterbox T3", "Chatterbox English text-to-speech token generator.", REPOSITORY]
            }
            Variant::Turbo => [
                "Chatterbox Turbo T3",
                "Chatterbox Turbo text-to-speech token generator.",
                "ResembleAI/chatterbox-turbo",
            ],
        }
    }
}

/// Fills a file with all of a T3 but its voices.
pub(super) fn convert(
    variant: Variant,
    state: &mut State,
    tokenizer: Tokenizer,
    name: Option<&str>,
    quantization: &str,
) -> Result<Part, ChatterboxError> {
    let mut part = Part::default();
    let [title, description, repository] = variant.words();
    part.set("general.architecture", "chatterbox");
    part.set("general.name", name.unwrap_or(title));
    part.set("general.description", description);
    part.set("chatterbox.variant", variant.name());
    part.set("chatterbox.reference_repo", repository);
    part.set("chatterbox.quantization", quantization);
    match variant {
        Variant::Turbo => gpt2(state, &mut part)?,
        Variant::Multilingual | Variant::English => llama(state, &mut part)?,
    }
    match tokenizer {
        Tokenizer::Grapheme { json, cangjie } => {
            part.set("tokenizer.ggml.model", "mtl_grapheme");
            part.set("tokenizer.ggml.mtl_json", json.as_str());
            if variant == Variant::Multilingual {
                let codes: Vec<String> = LANGUAGES.iter().map(|language| language.code.to_owned()).collect();
                part.set("tokenizer.ggml.mtl_languages", codes);
                if let Some(rows) = cangjie {
                    part.set(mynah_text::speech::CANGJIE_KEY, rows);
                }
            }
        }
        Tokenizer::Gpt2 { tokens, types, merges } => {
            part.set("tokenizer.ggml.model", "gpt2");
            part.set("tokenizer.ggml.tokens", tokens);
            part.set("tokenizer.ggml.token_type", types);
            part.set("tokenizer.ggml.merges", merges);
        }
    }
    Ok(part)
}

/// Sizes by the names that llama.cpp and those that chatterbox.cpp gives them.
fn sizes(part: &mut Part, context: usize, width: usize, layers: usize, heads: usize) {
    for (general, own, value) in [
        ("context_length", "n_ctx", context),
        ("embedding_length", "n_embd", width),
        ("block_count", "n_layer", layers),
        ("attention.head_count", "n_head", heads),
    ] {
        part.count(&format!("chatterbox.{general}"), value);
        part.count(&format!("chatterbox.{own}"), value);
    }
}

fn vocabularies(part: &mut Part, text: usize, speech: usize, speaker: usize) {
    part.count("chatterbox.text_vocab_size", text);
    part.count("chatterbox.speech_vocab_size", speech);
    part.set("chatterbox.start_speech_token", START_SPEECH);
    part.set("chatterbox.stop_speech_token", STOP_SPEECH);
    part.count("chatterbox.speaker_embed_size", speaker);
}

fn llama(state: &mut State, part: &mut Part) -> Result<(), ChatterboxError> {
    let layers = state.count("tfmr.layers.");
    let [text, width] = state.dims("text_emb.weight")?;
    let [speech, _] = state.dims::<2>("speech_emb.weight")?;
    let [text_positions, _] = state.dims::<2>("text_pos_emb.emb.weight")?;
    let [speech_positions, _] = state.dims::<2>("speech_pos_emb.emb.weight")?;
    let [_, speaker] = state.dims::<2>("cond_enc.spkr_enc.weight")?;
    let [queries_width, _] = state.dims::<2>("tfmr.layers.0.self_attn.q_proj.weight")?;
    let [keys_width, _] = state.dims::<2>("tfmr.layers.0.self_attn.k_proj.weight")?;
    let [hidden, _] = state.dims::<2>("tfmr.layers.0.mlp.gate_proj.weight")?;
    let [_, queries, query_width] = state.dims::<3>("cond_enc.perceiver.pre_attention_query")?;
    let (heads, kv_heads) = (queries_width / HEAD_DIM, keys_width / HEAD_DIM);
    let most_text = text_positions.saturating_sub(TEXT_MARGIN);
    let most_speech = speech_positions.saturating_sub(SPEECH_MARGIN);

    part.set("chatterbox.backbone", "llama_520m");
    sizes(part, most_text + most_speech + SPEECH_MARGIN, width, layers, heads);
    part.count("chatterbox.n_kv_head", kv_heads);
    part.count("chatterbox.head_dim", HEAD_DIM);
    part.count("chatterbox.intermediate_size", hidden);
    vocabularies(part, text, speech, speaker);
    part.set("chatterbox.start_text_token", START_TEXT);
    part.set("chatterbox.stop_text_token", STOP_TEXT);
    part.count("chatterbox.max_text_tokens", most_text);
    part.count("chatterbox.max_speech_tokens", most_speech);
    part.set("chatterbox.speech_cond_prompt_len", 150u32);
    part.count("chatterbox.perceiver_query_tokens", queries);
    part.count("chatterbox.perceiver_query_size", query_width);
    part.set("chatterbox.perceiver_num_heads", 4u32);
    part.set("chatterbox.emotion_adv", true);
    part.set("chatterbox.rms_norm_eps", 1e-5f32);
    part.set("chatterbox.rope_theta", 5e5f32);
    part.set("chatterbox.rope.scaling_type", "llama3");
    part.set("chatterbox.rope.scaling_factor", 8f32);
    part.set("chatterbox.rope.low_freq_factor", 1f32);
    part.set("chatterbox.rope.high_freq_factor", 4f32);
    part.set("chatterbox.rope.original_max_position", 8192u32);

    for layer in 0..layers {
        for (from, to) in LLAMA {
            let wanted: &[usize] = match to {
                "ln_attn/g" | "ln_mlp/g" => &[width],
                "attn/q/w" => &[queries_width, width],
                "attn/k/w" | "attn/v/w" => &[keys_width, width],
                "attn/o/w" => &[width, queries_width],
                "mlp/down/w" => &[width, hidden],
                _ => &[hidden, width],
            };
            part.add(
                format!("model/h{layer}/{to}"),
                state.shaped(&format!("tfmr.layers.{layer}.{from}"), wanted)?,
            );
        }
    }
    let mut add = |to: &str, from: &str, wanted: &[usize]| -> Result<(), ChatterboxError> {
        part.add(to, state.shaped(from, wanted)?);
        Ok(())
    };
    add("model/norm/g", "tfmr.norm.weight", &[width])?;
    add("chatterbox/text_emb", "text_emb.weight", &[text, width])?;
    add("chatterbox/speech_emb", "speech_emb.weight", &[speech, width])?;
    add("chatterbox/text_head", "text_head.weight", &[text, width])?;
    add("chatterbox/speech_head", "speech_head.weight", &[speech, width])?;
    add("chatterbox/text_pos_emb", "text_pos_emb.emb.weight", &[text_positions, width])?;
    add("chatterbox/speech_pos_emb", "speech_pos_emb.emb.weight", &[speech_positions, width])?;
    add("chatterbox/cond_spkr/w", "cond_enc.spkr_enc.weight", &[width, speaker])?;
    add("chatterbox/cond_spkr/b", "cond_enc.spkr_enc.bias", &[width])?;
    add("chatterbox/emotion_adv_fc/w", "cond_enc.emotion_adv_fc.weight", &[width, 1])?;
    let (perceiver, from) = ("chatterbox/perceiver", "cond_enc.perceiver");
    add(
        &format!("{perceiver}/pre_attention_query"),
        &format!("{from}.pre_attention_query"),
        &[1, queries, query_width],
    )?;
    add(&format!("{perceiver}/attn/norm/g"), &format!("{from}.attn.norm.weight"), &[width])?;
    add(&format!("{perceiver}/attn/norm/b"), &format!("{from}.attn.norm.bias"), &[width])?;
    for side in ["to_q", "to_k", "to_v", "proj_out"] {
        let (to, from) = (format!("{perceiver}/attn/{side}"), format!("{from}.attn.{side}"));
        add(&format!("{to}/w"), &format!("{from}.weight"), &[width, width])?;
        add(&format!("{to}/b"), &format!("{from}.bias"), &[width])?;
    }
    Ok(())
}

fn gpt2(state: &mut State, part: &mut Part) -> Result<(), ChatterboxError> {
    let layers = state.count("tfmr.h.");
    let [text, width] = state.dims("text_emb.weight")?;
    let [speech, _] = state.dims::<2>("speech_emb.weight")?;
    let [positions, _] = state.dims::<2>("tfmr.wpe.weight")?;
    let [_, speaker] = state.dims::<2>("cond_enc.spkr_enc.weight")?;
    let [_, hidden] = state.dims::<2>("tfmr.h.0.mlp.c_fc.weight")?;
    sizes(part, positions, width, layers, width / HEAD_DIM);
    part.count("chatterbox.vocab_size", text);
    vocabularies(part, text, speech, speaker);
    part.set("chatterbox.layer_norm_eps", 1e-5f32);

    part.add("model/wpe", state.shaped("tfmr.wpe.weight", &[positions, width])?);
    for layer in 0..layers {
        let (from, to) = (format!("tfmr.h.{layer}"), format!("model/h{layer}"));
        for norm in ["ln_1", "ln_2"] {
            part.add(format!("{to}/{norm}/g"), state.shaped(&format!("{from}.{norm}.weight"), &[width])?);
            part.add(format!("{to}/{norm}/b"), state.shaped(&format!("{from}.{norm}.bias"), &[width])?);
        }
        // GPT-2 keeps its matrices the other way round than everyone else.
        for (stem, rows, columns) in [
            ("attn.c_attn", width.saturating_mul(3), width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", hidden, width),
            ("mlp.c_proj", width, hidden),
        ] {
            let to = format!("{to}/{}", stem.replace('.', "/"));
            part.add(format!("{to}/w"), state.transposed(&format!("{from}.{stem}.weight"), [rows, columns])?);
            part.add(format!("{to}/b"), state.shaped(&format!("{from}.{stem}.bias"), &[rows])?);
        }
    }
    for (to, from, wanted) in [
        ("model/ln_f/g", "tfmr.ln_f.weight", &[width][..]),
        ("model/ln_f/b", "tfmr.ln_f.bias", &[width]),
        ("chatterbox/text_emb", "text_emb.weight", &[text, width]),
        ("chatterbox/speech_emb", "speech_emb.weight", &[speech, width]),
        ("chatterbox/speech_head", "speech_head.weight", &[speech, width]),
        ("chatterbox/speech_head_bias", "speech_head.bias", &[speech]),
        ("chatterbox/cond_spkr/w", "cond_enc.spkr_enc.weight", &[width, speaker]),
        ("chatterbox/cond_spkr/b", "cond_enc.spkr_enc.bias", &[width]),
    ] {
        part.add(to, state.shaped(from, wanted)?);
    }
    Ok(())
}

/// Rows of tables and heads that generation does not use.
pub(super) fn is_left_out(name: &str) -> bool {
    matches!(name, "tfmr.wte.weight" | "tfmr.embed_tokens.weight" | "text_head.weight")
}
