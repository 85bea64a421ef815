//! The times as a table, as JSON, or as the lines that chatterbox.cpp prints.

use super::floor::{self, Ceilings, Cost, Costs};
use super::measure::{Load, Run};
use crate::memory;
use crate::verbs::bench::columns;
use crate::verbs::bench::machine::Machine;
use mynah::SPEECH_RATE;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// Everything measured.
pub(super) struct Report {
    pub(super) load: Load,
    /// What opening the files took.
    pub(super) loaded: Duration,
    pub(super) runs: Vec<Run>,
    pub(super) costs: Costs,
    pub(super) ceilings: Ceilings,
}

impl Report {
    /// Seconds of speech of all texts.
    fn seconds(&self) -> f64 {
        let samples = self.runs.first().map_or(0, |run| run.samples);
        (samples * self.load.batch) as f64 / f64::from(SPEECH_RATE)
    }

    /// The middle of the runs' values.
    fn median(&self, value: impl Fn(&Run) -> Duration) -> f64 {
        let mut all: Vec<f64> = self.runs.iter().map(|run| value(run).as_secs_f64()).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(0.0)
    }

    /// Each stage with its time in seconds.
    fn stages(&self) -> Vec<(&'static str, f64)> {
        let names = self.runs.first().map(Run::stages).unwrap_or_default();
        names.iter().enumerate().map(|(i, (name, _))| (*name, self.median(|run| run.stages()[i].1))).collect()
    }

    /// Steps of T3 a second; each makes a token of every text.
    fn steps(&self) -> f64 {
        let decoded = self.runs.first().map_or(0, |run| run.decoded);
        decoded as f64 / self.median(|run| run.decode).max(1e-9)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let (seconds, total) = (self.seconds(), self.median(Run::total));
        let head = ["stage", "ms", "share", "real-time factor", "GFLOP", "of peak", "GB read", "of reads"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let costs = self.costs.iter().copied().chain([None]);
        for ((name, time), cost) in self.stages().into_iter().chain([("all", total)]).zip(costs) {
            let mut row = vec![
                name.to_owned(),
                format!("{:.1}", time * 1e3),
                format!("{:.1}%", 100.0 * time / total.max(1e-9)),
                format!("{:.4}", time / seconds.max(1e-9)),
            ];
            row.extend(self.floors(cost, time));
            rows.push(row);
        }
        let machine =
            self.ceilings.machine.as_ref().map_or_else(String::new, |machine| machine.text() + "\n");
        let mut text = machine + &columns(&rows, 1);
        let batch = self.load.batch;
        let texts = if batch == 1 { String::new() } else { format!(", {batch} texts at a time") };
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "{seconds:.2} s of speech from {} tokens a text{texts}; {:.1} tokens/s; first sound after {:.0} ms; opened in {:.0} ms",
            self.load.tokens,
            self.steps() * batch as f64,
            1e3 * self.median(|run| run.first),
            1e3 * self.loaded.as_secs_f64(),
        );
        if let Some(peak) = memory::peak() {
            let _ = writeln!(text, "peak memory {}", crate::units::bytes(peak));
        }
        text
    }

    /// The cells about what a stage asks for, and what part of it the machine gave.
    fn floors(&self, cost: Option<Cost>, time: f64) -> [String; 4] {
        let none = || "-".to_owned();
        let percent = |part: f64| format!("{:.1}%", 100.0 * part);
        let Some(cost) = cost else { return [none(), none(), none(), none()] };
        let peak = self.ceilings.of_operations(&cost, time);
        [
            format!("{:.1}", cost.operations() / 1e9),
            peak.map_or_else(none, |(part, name)| format!("{} {name}", percent(part))),
            cost.bytes.map_or_else(none, |bytes| format!("{:.2}", bytes / 1e9)),
            self.ceilings.of_bytes(&cost, time).map_or_else(none, percent),
        ]
    }

    /// The same for programs, by stage.
    fn floors_json(&self) -> Value {
        let floors = self.stages().into_iter().zip(&self.costs).filter_map(|((name, time), cost)| {
            let cost = cost.as_ref()?;
            let peak = self.ceilings.of_operations(cost, time);
            let floor = json!({
                "operations": cost.operations(),
                "of_ceiling": peak.as_ref().map(|(part, _)| part),
                "ceiling": peak.map(|(_, name)| name),
                "bytes": cost.bytes,
                "of_reads": self.ceilings.of_bytes(cost, time),
            });
            Some((name.to_owned(), floor))
        });
        Value::Object(floors.collect())
    }

    /// For programs: seconds, with every run.
    pub(super) fn json(&self) -> Value {
        let run = |run: &Run| {
            let stages: serde_json::Map<String, Value> = run
                .stages()
                .iter()
                .map(|(name, time)| ((*name).to_owned(), json!(time.as_secs_f64())))
                .collect();
            json!({ "stages": stages, "total": run.total().as_secs_f64(), "first_sound": run.first.as_secs_f64() })
        };
        json!({
            "text_tokens": self.load.text,
            "speech_tokens": self.load.tokens,
            "batch": self.load.batch,
            "cfm_steps": self.load.steps,
            "seconds_of_speech": self.seconds(),
            "real_time_factor": self.median(Run::total) / self.seconds().max(1e-9),
            "tokens_per_second": self.steps() * self.load.batch as f64,
            "bytes_per_step": self.runs.first().and_then(|run| floor::bytes_per_step(&self.costs, run)),
            "floors": self.floors_json(),
            "machine": self.ceilings.machine.as_ref().map(Machine::json),
            "opened": self.loaded.as_secs_f64(),
            "peak_memory": memory::peak(),
            "runs": self.runs.iter().map(run).collect::<Vec<_>>(),
        })
    }

    /// As chatterbox.cpp prints them.
    pub(super) fn keys(&self) -> String {
        let ms = |seconds: f64| (1e3 * seconds).round();
        let t3 = self.median(|run| run.prefill + run.decode);
        let s3gen = self.median(Run::total) - t3;
        format!(
            "BENCH: T3_INFER_MS={} tokens={}\nBENCH: S3GEN_INFER_MS={} AUDIO_MS={}\n",
            ms(t3),
            self.load.tokens * self.load.batch,
            ms(s3gen),
            ms(self.seconds())
        )
    }
}
