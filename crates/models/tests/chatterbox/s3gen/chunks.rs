//! Speech in chunks, as streams make it and from scratch.

use crate::fixtures::{BINS, voice};
use mynah_models::chatterbox::noise::Philox;
use mynah_models::chatterbox::s3gen::{Request, S3Gen, S3Stream, Speed};
use std::sync::Arc;

/// Samples of a mel frame.
pub(crate) const HOP: usize = 480;

/// Some speech tokens of the tiny models.
pub(crate) fn tokens(count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| (i * 37 + i * i * 11) % 120).collect()
}

/// The samples of each chunk of a stream that hears of its tokens up to `ends`.
pub(crate) fn stream(model: &mut S3Gen, tokens: &[u32], ends: &[usize], speed: Speed) -> Vec<Vec<f32>> {
    let mut stream = S3Stream::new(voice(model), Arc::new(Philox::new(4)), Some(2)).at_speed(speed);
    let mut chunks = Vec::new();
    for (i, &end) in ends.iter().enumerate() {
        chunks.push(stream.push(model, &tokens[..end], i + 1 == ends.len()).unwrap().samples);
    }
    assert_eq!(stream.samples(), speed.frames(2 * tokens.len()) * HOP);
    chunks
}

/// The same chunks without anything kept between them: all mel frames so far to their speed and through the vocoder each time.
pub(crate) fn from_scratch(model: &mut S3Gen, tokens: &[u32], ends: &[usize], speed: Speed) -> Vec<f32> {
    let (voice, noise) = (voice(model), Philox::new(4));
    let (mut mel, mut out, mut f0) = (Vec::new(), Vec::<f32>::new(), Vec::new());
    for (i, &end) in ends.iter().enumerate() {
        let last = i + 1 == ends.len();
        let request = Request { voice: &voice, tokens: &tokens[..end], noise: &noise };
        let all = model.mel(&request, Some(2), !last).unwrap();
        mel.extend_from_slice(&all[mel.len()..]);
        let mut timed = speed.apply(&mel, BINS);
        if !last && speed != Speed::default() {
            // A frame between the last one and the one that is to come can't be made yet.
            let end = (mel.len() / BINS - 1) as f64;
            let fit =
                (0..timed.len() / BINS).filter(|&j| (j as f64 + 0.5) * speed.get() - 0.5 <= end).count();
            timed.truncate(fit * BINS);
        }
        let before = f0.len();
        f0.extend_from_slice(&model.pitch(&timed).unwrap()[before..]);
        let (source, _) = model.source(&f0, &noise).unwrap();
        let pcm = model.vocode(&timed, &source).unwrap();
        if let Some(first) = out.len().checked_sub(HOP) {
            for (n, x) in out[first..].iter_mut().enumerate() {
                let weight = 0.5 - 0.5 * (std::f32::consts::PI * (n as f32 + 0.5) / HOP as f32).cos();
                *x += (pcm[first + n] - *x) * weight;
            }
        }
        out.extend_from_slice(&pcm[out.len()..]);
    }
    for (n, x) in out.iter_mut().enumerate().take(2 * HOP) {
        let rise = n.saturating_sub(HOP) as f32 / (HOP - 1) as f32;
        *x *= if n < HOP { 0.0 } else { 0.5 - 0.5 * (std::f32::consts::PI * rise).cos() };
    }
    out
}
