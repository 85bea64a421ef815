//! Voices of a T3 file: the encoder that makes a speaker embedding of a recording, and the built-in voice.

use mynah_tensor::Shape;

use super::banks;
use super::error::ChatterboxError;
use super::state::{Found, Part, State};

/// Front end of the voice encoder (`VoiceEncConfig`): rate, window, step, highest frequency.
const RATE: u32 = 16_000;
const FFT: usize = 400;
const HOP: u32 = 160;
const TOP: f64 = 8000.0;

/// Adds the LSTM voice encoder.
pub(super) fn encoder(state: &mut State, part: &mut Part) -> Result<(), ChatterboxError> {
    let layers = state.count("lstm.weight_ih_l");
    let [gates, mels] = state.dims("lstm.weight_ih_l0")?;
    let [_, hidden] = state.dims::<2>("lstm.weight_hh_l0")?;
    let [embedding, _] = state.dims::<2>("proj.weight")?;
    part.count("voice_encoder.n_mels", mels);
    part.count("voice_encoder.hidden_size", hidden);
    part.count("voice_encoder.num_layers", layers);
    part.count("voice_encoder.embedding_size", embedding);
    part.set("voice_encoder.partial_frames", 160u32);
    part.set("voice_encoder.sample_rate", RATE);
    part.count("voice_encoder.n_fft", FFT);
    part.set("voice_encoder.hop_size", HOP);
    part.count("voice_encoder.win_size", FFT);
    part.set("voice_encoder.overlap", 0.5f32);
    part.set("voice_encoder.rate", 1.3f32);
    part.set("voice_encoder.min_coverage", 0.8f32);
    for layer in 0..layers {
        let width = if layer == 0 { mels } else { hidden };
        for (stem, wanted) in [
            ("weight_ih", &[gates, width][..]),
            ("weight_hh", &[gates, hidden]),
            ("bias_ih", &[gates]),
            ("bias_hh", &[gates]),
        ] {
            let name = format!("{stem}_l{layer}");
            part.add(format!("voice_encoder/lstm/{name}"), state.shaped(&format!("lstm.{name}"), wanted)?);
        }
    }
    part.add("voice_encoder/proj/weight", state.shaped("proj.weight", &[embedding, hidden])?);
    part.add("voice_encoder/proj/bias", state.shaped("proj.bias", &[embedding])?);
    let bank = banks::slaney(RATE.into(), FFT, mels, TOP);
    part.add("voice_encoder/mel_fb", Found::values(Shape::from([mels, FFT / 2 + 1]), bank));
    Ok(())
}

/// Scales of the similarity that the encoder was trained with.
pub(super) fn is_left_out(name: &str) -> bool {
    name.starts_with("similarity_")
}

/// Adds T3's half of the built-in voice.
pub(super) fn built_in(state: &mut State, speaker: usize, part: &mut Part) -> Result<(), ChatterboxError> {
    const SPEAKER: &str = "t3.speaker_emb";
    let found = state.take(SPEAKER)?;
    if found.shape.numel() != speaker {
        return Err(state.wrong(SPEAKER, &[1, speaker], found.shape));
    }
    let tokens = state.tokens("t3.cond_prompt_speech_tokens")?;
    part.count("chatterbox.cond_prompt_length", tokens.len());
    part.add("chatterbox/builtin/speaker_emb", Found { shape: Shape::from([1, speaker]), ..found });
    part.add_tokens("chatterbox/builtin/cond_prompt_speech_tokens", tokens);
    Ok(())
}
