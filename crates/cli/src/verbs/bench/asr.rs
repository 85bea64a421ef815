//! `mynah bench asr`: steady-state speed of recognition, where the time goes, load time, memory.

use super::signal::speech_like;
use crate::exit::Exit;
use crate::flags::{HearingFlags, ModelFlags, TalkFlags};
use crate::{ears, memory, out, units};
use anyhow::Context as _;
use clap::Args;
use mynah::{AudioStream, Head};
use mynah_audio::{PieceReader, SAMPLE_RATE};
use mynah_lab::timing::{Effort, Timing, measure};
use mynah_models::parakeet::Parakeet;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Flags of `mynah bench asr`.
#[derive(Args, Debug)]
pub(crate) struct Asr {
    /// A recording to measure with; otherwise something like speech is made
    #[arg(long, value_name = "FILE")]
    audio: Option<PathBuf>,

    /// How much speech is made
    #[arg(long, value_name = "N", default_value_t = 60.0, value_parser = crate::flags::positive)]
    seconds: f64,

    /// How often everything is recognised, after a run that is not counted
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    reps: u16,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    hearing: HearingFlags,

    #[command(flatten)]
    model: ModelFlags,

    #[command(flatten)]
    talk: TalkFlags,
}

/// Where the time of one run goes.
#[derive(Clone, Copy, Debug, Default)]
struct Split {
    features: Duration,
    subsample: Duration,
    encoder: Duration,
    decoder: Duration,
}

/// Everything measured.
struct Figures {
    model: String,
    head: &'static str,
    device: String,
    threads: usize,
    seconds: f64,
    pieces: usize,
    tokens: usize,
    /// Opening the file.
    open: Duration,
    /// The first run: weights prepared, plans made.
    first: Duration,
    timing: Timing,
    split: Split,
    on_device: u64,
    peak: Option<u64>,
}

impl Asr {
    /// Runs the measurement.
    ///
    /// # Errors
    /// A recording or model that can't be used.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let pieces = self.pieces()?;
        let begin = Instant::now();
        let mut ears = ears::open(&self.model, &self.hearing, self.talk.volume())?;
        let open = begin.elapsed();
        let model = ears.model();
        let head = model.head(self.hearing.decoder)?;
        let batches: Vec<Vec<&[f32]>> = pieces
            .chunks(usize::from(self.hearing.batch))
            .map(|b| b.iter().map(Vec::as_slice).collect())
            .collect();
        let mut tokens = 0;
        let mut all = |model: &mut Parakeet| -> anyhow::Result<()> {
            tokens = 0;
            for batch in &batches {
                tokens += model.recognize(batch, head)?.iter().map(Vec::len).sum::<usize>();
            }
            Ok(())
        };
        let begin = Instant::now();
        all(model)?;
        let first = begin.elapsed();
        let reps = usize::from(self.reps);
        let effort = Effort { warm_up: 0, at_least: reps, at_most: reps, budget: Duration::MAX };
        let timing = measure(effort, || all(model))?;
        let split = split(model, &batches, head)?;
        let report = model.executor().device().report();
        let figures = Figures {
            model: model.config().name.clone(),
            head: head.name(),
            device: format!("{} ({})", report.description, report.features.join(" ")),
            threads: report.parallelism,
            seconds: pieces.iter().map(Vec::len).sum::<usize>() as f64 / f64::from(SAMPLE_RATE),
            pieces: pieces.len(),
            tokens,
            open,
            first,
            timing,
            split,
            on_device: model.executor().memory() as u64,
            peak: memory::peak(),
        };
        if self.json {
            out::write_json(&figures.json())?;
        } else {
            out::write(&figures.text())?;
        }
        Ok(Exit::Success)
    }

    /// Pieces as `mynah transcribe` would cut them.
    fn pieces(&self) -> anyhow::Result<Vec<Vec<f32>>> {
        let config = self.hearing.options().pieces;
        let Some(path) = &self.audio else {
            let made = speech_like(self.seconds, 1);
            let blocks = made.chunks(SAMPLE_RATE as usize).map(|block| Ok(block.to_vec()));
            return Ok(PieceReader::new(blocks, config)
                .map(|p| p.map(|p| p.samples))
                .collect::<Result<_, _>>()?);
        };
        let audio = AudioStream::open(path).with_context(|| format!("can't read {}", path.display()))?;
        Ok(PieceReader::new(audio, config).map(|p| p.map(|p| p.samples)).collect::<Result<_, _>>()?)
    }
}

/// One run stage by stage.
fn split(model: &mut Parakeet, batches: &[Vec<&[f32]>], head: Head) -> anyhow::Result<Split> {
    let mut split = Split::default();
    for batch in batches {
        let mut frames = Vec::with_capacity(batch.len());
        for clip in batch {
            let begin = Instant::now();
            let features = model.features(clip);
            split.features += begin.elapsed();
            let begin = Instant::now();
            frames.push(model.subsample(&features)?);
            split.subsample += begin.elapsed();
        }
        let begin = Instant::now();
        let encoded = model.encode_frames(&frames, &[head], false)?;
        split.encoder += begin.elapsed();
        let begin = Instant::now();
        model.decode(&encoded, head)?;
        split.decoder += begin.elapsed();
    }
    Ok(split)
}

impl Figures {
    fn speed(&self) -> f64 {
        self.seconds / self.timing.median.as_secs_f64().max(1e-9)
    }

    fn stages(&self) -> [(&'static str, Duration); 4] {
        let s = self.split;
        [("features", s.features), ("subsample", s.subsample), ("encoder", s.encoder), ("decoder", s.decoder)]
    }

    fn text(&self) -> String {
        let ms = |d: Duration| format!("{:.1} ms", d.as_secs_f64() * 1e3);
        let mut text = String::new();
        let mut line = |label: &str, value: String| {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{label:<12}{value}");
        };
        line("model", format!("{}, {} head", self.model, self.head));
        line("device", format!("{}, {}", self.device, units::count(self.threads, "thread", "threads")));
        line("audio", format!("{:.1} s in {}", self.seconds, units::count(self.pieces, "piece", "pieces")));
        line("tokens", self.tokens.to_string());
        line("speed", format!("{:.1} × realtime", self.speed()));
        let t = &self.timing;
        let spread = 100.0 * t.spread;
        line(
            "time",
            format!(
                "{} median of {}, {} to {}, spread {spread:.1} %",
                ms(t.median),
                t.runs,
                ms(t.min),
                ms(t.max)
            ),
        );
        let whole: f64 = self.stages().iter().map(|(_, d)| d.as_secs_f64()).sum();
        for (name, time) in self.stages() {
            let share = 100.0 * time.as_secs_f64() / whole.max(1e-12);
            line(&format!("  {name}"), format!("{} ({share:.1} %)", ms(time)));
        }
        line("open", ms(self.open));
        line("first run", ms(self.first));
        line("on device", units::bytes(self.on_device));
        line("peak RSS", self.peak.map_or("unknown".into(), units::bytes));
        text
    }

    fn json(&self) -> Value {
        let s = |d: Duration| d.as_secs_f64();
        let stages: serde_json::Map<String, Value> =
            self.stages().into_iter().map(|(name, time)| (name.to_owned(), json!(s(time)))).collect();
        json!({
            "model": self.model,
            "head": self.head,
            "device": self.device,
            "threads": self.threads,
            "audio_seconds": self.seconds,
            "pieces": self.pieces,
            "tokens": self.tokens,
            "rtfx": self.speed(),
            "seconds": {
                "median": s(self.timing.median),
                "min": s(self.timing.min),
                "max": s(self.timing.max),
                "spread": self.timing.spread,
                "runs": self.timing.runs,
                "open": s(self.open),
                "first_run": s(self.first),
            },
            "stages": stages,
            "device_bytes": self.on_device,
            "peak_rss_bytes": self.peak,
        })
    }
}
