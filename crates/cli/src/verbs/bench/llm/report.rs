//! Figures as a table or JSON.

use super::measure::{Kind, Measured, Model, Test};
use crate::units;
use crate::verbs::bench::columns;
use crate::verbs::bench::machine::{Ceiling, Machine};
use mynah::Policy;
use mynah_tensor::DType;
use serde_json::{Value, json};

/// What speeds are set against.
pub(super) struct Ceilings<'a> {
    pub(super) machine: Option<&'a Machine>,
    /// Bytes a second, if given.
    pub(super) bytes: Option<f64>,
    /// Operations a second, if given.
    pub(super) operations: Option<f64>,
}

/// One test of one model.
pub(super) struct Result {
    model: String,
    dtype: DType,
    policy: Policy,
    device: String,
    threads: usize,
    on_gpu: bool,
    file_bytes: u64,
    test: Test,
    /// Tokens a second of each repetition.
    rates: Vec<f64>,
    /// Tokens that were drafted, and of them those that were right.
    drafts: [u64; 2],
    /// Operations with weights, on average of a token.
    operations: f64,
    /// Bytes that are read for a token on average: weights, states, keys and values.
    bytes: f64,
    on_device: u64,
    peak: Option<u64>,
}

impl Result {
    pub(super) fn new(model: &Model, test: &Test, measured: Measured) -> Self {
        let cost = &model.cost;
        let (recurrent, token) = model.state_bytes();
        let (tokens, sequences) = (test.tokens as f64, test.sequences as f64);
        let (operations, bytes) = match test.kind {
            // What a prompt reads depends on how it is cut and is never what bounds it.
            Kind::Prompt => (cost.layers + cost.head / tokens, 0.0),
            // A step finds as many tokens as were drafted right, and computes those that weren't too.
            Kind::Tokens if test.drafts > 0 => (cost.layers + cost.head, 0.0),
            Kind::Tokens => {
                // Keys and values of half of what is written, on average.
                let cached = test.depth as f64 + tokens / 2.0;
                (cost.layers + cost.head, cost.bytes / sequences + recurrent + token * cached)
            }
        };
        let (on_device, peak) = model.memory();
        Self {
            model: model.name.clone(),
            dtype: model.dtype,
            policy: model.policy.clone(),
            device: model.device.clone(),
            threads: model.threads,
            on_gpu: model.on_gpu,
            file_bytes: model.file_bytes,
            test: *test,
            rates: measured.rates,
            drafts: measured.drafts,
            operations,
            bytes,
            on_device,
            peak,
        }
    }

    fn mean(&self) -> f64 {
        self.rates.iter().sum::<f64>() / self.rates.len().max(1) as f64
    }

    /// The standard deviation of the repetitions (over n - 1), 0 for one.
    fn deviation(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.rates.iter().map(|rate| (rate - mean).powi(2)).sum();
        if self.rates.len() > 1 { (squares / (self.rates.len() - 1) as f64).sqrt() } else { 0.0 }
    }

    /// The part of the arithmetic's ceiling that was reached, and its name.
    fn of_operations(&self, ceilings: &Ceilings<'_>) -> Option<(f64, &'static str)> {
        let measured =
            || ceilings.machine.filter(|_| !self.on_gpu)?.ceiling(self.threads, self.dtype, &self.policy);
        let given = ceilings.operations.map(|rate| Ceiling { name: "given", rate });
        given.or_else(measured).map(|ceiling| (self.mean() * self.operations / ceiling.rate, ceiling.name))
    }

    /// The part of the memory's bandwidth that was used, of writing.
    fn of_bytes(&self, ceilings: &Ceilings<'_>) -> Option<f64> {
        let measured = || Some(ceilings.machine.filter(|_| !self.on_gpu)?.peaks(self.threads)?.read);
        let rate = ceilings.bytes.or_else(measured).filter(|_| self.bytes > 0.0)?;
        Some(self.mean() * self.bytes / rate)
    }
}

/// A table for people.
pub(super) fn text(ceilings: &Ceilings<'_>, results: &[Result]) -> String {
    let mut text = ceilings.machine.map_or_else(String::new, Machine::text);
    if let Some(first) = results.first() {
        text += &format!("{:<12}{}\n\n", "device", first.device);
    }
    let head = [
        "model",
        "type",
        "size",
        "threads",
        "test",
        "tokens/s",
        "±",
        "drafts right",
        "of peak",
        "of reads",
        "on device",
        "peak RSS",
    ];
    let mut rows: Vec<Vec<String>> = vec![head.map(str::to_owned).to_vec()];
    let none = || "-".to_owned();
    for r in results {
        rows.push(vec![
            r.model.clone(),
            r.dtype.to_string(),
            units::bytes(r.file_bytes),
            r.threads.to_string(),
            r.test.name(),
            format!("{:.2}", r.mean()),
            format!("{:.2}", r.deviation()),
            match r.drafts {
                [0, _] => none(),
                [drafted, right] => format!("{:.1}%", 100.0 * right as f64 / drafted as f64),
            },
            r.of_operations(ceilings)
                .map_or_else(none, |(part, name)| format!("{:.1}% {name}", 100.0 * part)),
            r.of_bytes(ceilings).map_or_else(none, |part| format!("{:.1}%", 100.0 * part)),
            units::bytes(r.on_device),
            r.peak.map_or_else(none, units::bytes),
        ]);
    }
    text + &columns(&rows, 2)
}

/// The same for programs, with every repetition.
pub(super) fn json(ceilings: &Ceilings<'_>, results: &[Result]) -> Value {
    let of = |r: &Result| {
        let peak = r.of_operations(ceilings);
        json!({
            "model": r.model,
            "type": r.dtype.name(),
            "weight_bytes": r.file_bytes,
            "device": r.device,
            "precision": format!("{:?}", r.policy.precision).to_lowercase(),
            "routes": r.policy.switches,
            "threads": r.threads,
            "test": r.test.name(),
            "kind": if r.test.kind == Kind::Prompt { "pp" } else { "tg" },
            "tokens": r.test.tokens,
            "depth": r.test.depth,
            "batch": r.test.sequences,
            "drafts": r.test.drafts,
            "drafted": r.drafts[0],
            "accepted": r.drafts[1],
            "tokens_per_second": { "mean": r.mean(), "deviation": r.deviation(), "each": r.rates },
            "operations_per_token": r.operations,
            "bytes_per_token": (r.bytes > 0.0).then_some(r.bytes),
            "ceiling": peak.map(|(_, name)| name),
            "of_ceiling": peak.map(|(part, _)| part),
            "of_reads": r.of_bytes(ceilings),
            "device_bytes": r.on_device,
            "peak_rss_bytes": r.peak,
        })
    };
    json!({
        "machine": ceilings.machine.map(Machine::json),
        "results": results.iter().map(of).collect::<Vec<_>>(),
    })
}
