//! Runs both models on random tokens and takes the times.

use anyhow::Context as _;
use mynah::{Chunks, Speaker, SpeakerVoice};
use mynah_models::chatterbox::noise::{Noise, Philox};
use mynah_models::chatterbox::s3gen::{Request, S3Stream};
use mynah_tensor::Rng;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Tokens of a text.
    pub(super) text: usize,
    /// Speech tokens of a text.
    pub(super) tokens: usize,
    /// Texts at a time.
    pub(super) batch: usize,
    pub(super) steps: Option<usize>,
}

/// The times of one run, of all texts together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    /// T3 until the first token.
    pub(super) prefill: Duration,
    /// T3's other tokens.
    pub(super) decode: Duration,
    /// Tokens that `decode` made of each text.
    pub(super) decoded: usize,
    pub(super) encoder: Duration,
    pub(super) cfm: Duration,
    pub(super) pitch: Duration,
    pub(super) source: Duration,
    pub(super) vocoder: Duration,
    /// From the text to the samples of the first chunk of one text.
    pub(super) first: Duration,
    /// Samples of each text.
    pub(super) samples: usize,
}

impl Run {
    /// The stages with their names, in order.
    pub(super) fn stages(&self) -> [(&'static str, Duration); 7] {
        [
            ("t3 prefill", self.prefill),
            ("t3 tokens", self.decode),
            ("flow encoder", self.encoder),
            ("cfm", self.cfm),
            ("pitch", self.pitch),
            ("source", self.source),
            ("vocoder", self.vocoder),
        ]
    }

    /// All stages.
    pub(super) fn total(&self) -> Duration {
        self.stages().iter().map(|(_, time)| *time).sum()
    }
}

/// Measures; the first run is not counted.
///
/// # Errors
/// What running the models reports.
pub(super) fn measure(speaker: &mut Speaker, load: &Load, reps: usize) -> anyhow::Result<Vec<Run>> {
    let voice = speaker.built_in_voice()?;
    let ready = speaker.ready(&voice)?;
    let mut rng = Rng::new(7);
    let config = speaker.t3().config();
    let (words, sounds) = (config.text_vocabulary, config.start_speech.unsigned_abs() as usize);
    let text: Vec<u32> = (0..load.text).map(|_| rng.below(words) as u32).collect();
    let tokens: Vec<u32> = (0..load.tokens).map(|_| rng.below(sounds) as u32).collect();
    let mut runs = Vec::with_capacity(reps);
    for rep in 0..=reps {
        let mut run = t3(speaker, &ready, &text, &tokens, load.batch).context("T3 could not be measured")?;
        s3gen(speaker, &ready, &tokens, load, &mut run).context("S3Gen could not be measured")?;
        run.first = first(speaker, &ready, &text, &tokens, load.steps)?;
        if rep > 0 {
            runs.push(run);
        }
    }
    Ok(runs)
}

/// Tokens as they would be drawn, one after the other.
fn t3(
    speaker: &mut Speaker,
    voice: &SpeakerVoice,
    text: &[u32],
    tokens: &[u32],
    batch: usize,
) -> anyhow::Result<Run> {
    let model = speaker.t3();
    let mut run = Run::default();
    let began = Instant::now();
    let mut sequences = Vec::with_capacity(batch);
    for _ in 0..batch {
        sequences.push(model.start(voice.conditioning(), text, true, false)?.0);
    }
    run.prefill = began.elapsed();
    let began = Instant::now();
    for &token in &tokens[..tokens.len() - 1] {
        let mut next: Vec<_> = sequences.iter_mut().map(|sequence| (sequence, token as i32)).collect();
        model.advance(&mut next)?;
        run.decoded += 1;
    }
    run.decode = began.elapsed();
    sequences.into_iter().for_each(|sequence| model.finish(sequence));
    Ok(run)
}

fn s3gen(
    speaker: &mut Speaker,
    voice: &SpeakerVoice,
    tokens: &[u32],
    load: &Load,
    run: &mut Run,
) -> anyhow::Result<()> {
    let noises: Vec<Philox> = (0..load.batch as u64).map(Philox::new).collect();
    let request = |noise| Request { voice: voice.s3gen(), tokens, noise: noise as &dyn Noise };
    let requests: Vec<Request<'_>> = noises.iter().map(request).collect();
    let spoken = speaker.s3gen().synthesize_batch(&requests, load.steps)?;
    for (i, speech) in spoken.iter().enumerate() {
        let times = &speech.times;
        // What texts take together stands in each.
        if i == 0 {
            (run.encoder, run.cfm) = (times.encoder, times.cfm);
        }
        run.pitch += times.pitch;
        run.source += times.source;
        run.vocoder += times.vocoder;
        run.samples = speech.samples.len();
    }
    Ok(())
}

/// The first chunk of a stream.
fn first(
    speaker: &mut Speaker,
    voice: &SpeakerVoice,
    text: &[u32],
    tokens: &[u32],
    steps: Option<usize>,
) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let chunk = &tokens[..Chunks::default().first.min(tokens.len())];
    t3(speaker, voice, text, chunk, 1)?;
    let mut stream = S3Stream::new(voice.s3gen().clone(), Arc::new(Philox::new(0)), steps);
    stream.push(speaker.s3gen(), chunk, false)?;
    Ok(began.elapsed())
}
