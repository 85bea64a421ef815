//! Progress on stderr, in the user's unit: seconds of audio for transcripts ([`Meter`]), bytes for model files
//! ([`bytes`]). The figures go to a bar on a terminal, to lines elsewhere, to JSON for programs.

pub(crate) mod bytes;
mod figures;

use crate::flags::ProgressKind;
use crate::notes;
use figures::Figures;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mynah::Progress;
use serde_json::{Value, json};
use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Progress of a transcription.
pub(crate) struct Meter {
    face: Face,
    start: Instant,
    /// Seconds of audio in all, where they are known beforehand.
    total: Option<f64>,
    heard: Cell<f64>,
    /// Whether the end is summed up in a line.
    summary: bool,
}

/// What progress looks like.
enum Face {
    Bar(ProgressBar),
    /// A line now and then; when the last one was.
    Lines(Cell<Instant>),
    Json,
    Silent,
}

/// The least time between two lines of progress.
const BETWEEN_LINES: Duration = Duration::from_secs(2);

/// Steps of a bar for each second of audio.
const STEPS: f64 = 10.0;

impl Meter {
    /// Whether progress of that kind is seen before the end.
    pub(crate) fn shows(kind: ProgressKind) -> bool {
        match kind {
            ProgressKind::Auto => std::io::stderr().is_terminal(),
            ProgressKind::Bar | ProgressKind::Json => true,
            ProgressKind::None => false,
        }
    }

    /// A meter for that many seconds of audio.
    pub(crate) fn new(kind: ProgressKind, total: Option<f64>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let face = match kind {
            ProgressKind::Auto | ProgressKind::Bar if terminal => Face::Bar(bar(total)),
            ProgressKind::Bar => Face::Lines(Cell::new(Instant::now())),
            ProgressKind::Json => Face::Json,
            ProgressKind::Auto | ProgressKind::None => Face::Silent,
        };
        let summary = matches!(kind, ProgressKind::Auto | ProgressKind::Bar);
        Self { face, start: Instant::now(), total, heard: Cell::new(0.0), summary }
    }

    /// Takes how far the library is.
    pub(crate) fn heard(&self, progress: Progress) {
        self.heard.set(progress.seconds);
        let figures = self.figures(self.total.or(progress.total));
        match &self.face {
            Face::Bar(bar) => {
                if let Some(total) = figures.total {
                    bar.set_length((total * STEPS) as u64);
                }
                bar.set_position((figures.seconds * STEPS) as u64);
                bar.set_message(figures.to_string());
            }
            Face::Lines(last) if last.get().elapsed() >= BETWEEN_LINES => {
                last.set(Instant::now());
                notes::raw(&format!("{figures}\n"));
            }
            Face::Json => event("progress", &figures.json()),
            Face::Lines(_) | Face::Silent => {}
        }
    }

    /// Says something about one input to programs that follow.
    pub(crate) fn file(&self, input: &str, status: &str, more: &Value) {
        if let Face::Json = self.face {
            let mut fields = json!({ "input": input, "status": status });
            merge(&mut fields, more);
            event("file", &fields);
        }
    }

    /// Runs something that prints, with the bar out of its way.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.face {
            Face::Bar(bar) => bar.suspend(print),
            _ => print(),
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Face::Bar(bar) = &self.face {
            bar.finish_and_clear();
        }
    }

    /// Sums up: what was heard, how fast, and the counts of files.
    pub(crate) fn finish(&self, counts: &Value, files: Option<&str>) {
        self.clear();
        let figures = self.figures(None);
        if let Face::Json = self.face {
            let mut fields = figures.json();
            merge(&mut fields, counts);
            event("end", &fields);
        }
        // A line of zeros about one recording that failed would say nothing.
        if self.summary && (self.heard.get() > 0.0 || files.is_some()) {
            let files = files.map(|f| format!("; {f}")).unwrap_or_default();
            notes::raw(&format!("{}{files}\n", figures.summary()));
        }
    }

    fn figures(&self, total: Option<f64>) -> Figures {
        Figures { seconds: self.heard.get(), total, wall: self.start.elapsed().as_secs_f64() }
    }
}

fn bar(total: Option<f64>) -> ProgressBar {
    let length = total.map(|t| (t * STEPS) as u64);
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
    let template = if length.is_some() { "{bar:24} {msg}" } else { "{spinner} {msg}" };
    // The templates are right, so the fallback is never seen.
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
}

/// One line of JSON.
fn event(name: &str, fields: &Value) {
    let mut line = json!({ "event": name });
    merge(&mut line, fields);
    notes::raw(&format!("{line}\n"));
}
