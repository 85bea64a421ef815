//! Figures as lines for one model, a table for several, or JSON.

use super::measure::{Figures, STAGES};
use crate::units;
use crate::verbs::bench::machine::{Ceiling, Machine};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// Text for people.
pub(super) fn text(machine: Option<&Machine>, all: &[Figures]) -> String {
    let mut text = machine.map_or_else(String::new, Machine::text);
    match all {
        [one] => text += &lines(machine, one),
        _ => {
            let audio = all.first().map_or_else(String::new, |f| audio(f) + "\n");
            // Writing to a String can't fail.
            let _ = write!(text, "{:<12}{audio}\n{}", "audio", table(machine, all));
        }
    }
    text
}

/// For programs.
pub(super) fn json(machine: Option<&Machine>, all: &[Figures]) -> Value {
    let results: Vec<Value> = all.iter().map(|f| json_of(machine, f)).collect();
    json!({ "machine": machine.map(Machine::json), "results": results })
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn audio(f: &Figures) -> String {
    format!("{:.1} s in {}", f.seconds, units::count(f.pieces, "piece", "pieces"))
}

/// The ceiling of a model's products, and how much of it and of reading was reached.
fn reached(machine: Option<&Machine>, f: &Figures) -> Option<(Ceiling, f64, f64)> {
    let machine = machine?;
    // The ceilings measured are the CPU's.
    if f.on_gpu {
        return None;
    }
    let ceiling = machine.ceiling(f.threads, f.dtype, &f.policy)?;
    Some((ceiling, f.rate() / ceiling.rate, f.read() / machine.peaks(f.threads)?.read))
}

fn lines(machine: Option<&Machine>, f: &Figures) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{label:<12}{value}");
    };
    line("model", format!("{}, {}, {} head", f.model, f.dtype, f.head));
    line("device", format!("{}, {}", f.device, units::count(f.threads, "thread", "threads")));
    line("audio", audio(f));
    line("tokens", f.tokens.to_string());
    let per_core = f.speed() / f.threads as f64;
    line("speed", format!("{:.1} × realtime, {per_core:.1} per core", f.speed()));
    let (t, spread) = (&f.timing, 100.0 * f.timing.spread);
    let (from, to) = (ms(t.min), ms(t.max));
    line("time", format!("{} median of {}, {from} to {to}, spread {spread:.1} %", ms(t.median), t.runs));
    let whole: f64 = f.stages.iter().map(Duration::as_secs_f64).sum();
    for (name, time) in STAGES.iter().zip(f.stages) {
        let share = 100.0 * time.as_secs_f64() / whole.max(1e-12);
        line(&format!("  {name}"), format!("{} ({share:.1} %)", ms(time)));
    }
    let of = reached(machine, f).map_or_else(String::new, |(ceiling, rate, read)| {
        format!(", {:.1} % of {}, {:.1} % of reading the weights", 100.0 * rate, ceiling.name, 100.0 * read)
    });
    let giga = f.work.operations() / 1e9;
    line("encoding", format!("{giga:.1} GOP at {:.0} GOP/s{of}", f.rate() / 1e9));
    line("open", ms(f.open));
    line("first run", ms(f.first));
    line("on device", units::bytes(f.on_device));
    line("peak RSS", f.peak.map_or("unknown".into(), units::bytes));
    text
}

/// One line a model: RTFx, RTFx per core, the median time and the stages in ms, arithmetic while encoding.
fn table(machine: Option<&Machine>, all: &[Figures]) -> String {
    let head = [
        "model",
        "type",
        "threads",
        "RTFx",
        "per core",
        "ms",
        "spread",
        "features",
        "subsample",
        "encoder",
        "decoder",
        "GOP/s",
        "of peak",
        "of reads",
        "peak RSS",
    ];
    let mut rows: Vec<Vec<String>> = vec![head.iter().map(|&h| h.to_owned()).collect()];
    for f in all {
        let number = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        let mut row = vec![f.model.clone(), f.dtype.to_string(), f.threads.to_string()];
        row.push(format!("{:.1}", f.speed()));
        row.push(format!("{:.1}", f.speed() / f.threads as f64));
        row.extend([number(f.timing.median), format!("{:.1}%", 100.0 * f.timing.spread)]);
        row.extend(f.stages.map(number));
        row.push(format!("{:.0}", f.rate() / 1e9));
        match reached(machine, f) {
            Some((ceiling, rate, read)) => {
                row.push(format!("{:.0}% {}", 100.0 * rate, ceiling.name));
                row.push(format!("{:.0}%", 100.0 * read));
            }
            None => row.extend(["-".to_owned(), "-".to_owned()]),
        }
        row.push(f.peak.map_or("unknown".into(), units::bytes));
        rows.push(row);
    }
    crate::verbs::bench::columns(&rows, 2)
}

fn json_of(machine: Option<&Machine>, f: &Figures) -> Value {
    let s = |d: Duration| d.as_secs_f64();
    let stages: Map<String, Value> =
        STAGES.iter().zip(f.stages).map(|(name, time)| ((*name).to_owned(), json!(s(time)))).collect();
    let reached = reached(machine, f);
    json!({
        "model": f.model,
        "type": f.dtype.name(),
        "head": f.head,
        "device": f.device,
        "precision": format!("{:?}", f.policy.precision).to_lowercase(),
        "routes": f.policy.switches,
        "threads": f.threads,
        "audio_seconds": f.seconds,
        "pieces": f.pieces,
        "tokens": f.tokens,
        "rtfx": f.speed(),
        "rtfx_per_core": f.speed() / f.threads as f64,
        "seconds": {
            "median": s(f.timing.median),
            "min": s(f.timing.min),
            "max": s(f.timing.max),
            "spread": f.timing.spread,
            "runs": f.timing.runs,
            "each": f.runs.iter().copied().map(s).collect::<Vec<_>>(),
            "open": s(f.open),
            "first_run": s(f.first),
        },
        "stages": stages,
        "encoding": {
            "operations": f.work.operations(),
            "of": {
                "quantised_products": f.work.quantised,
                "float_products": f.work.floats,
                "attention": f.work.attention,
                "convolutions": f.work.convolutions,
            },
            "weight_bytes": f.work.weight_bytes,
            "rate": f.rate(),
            "ceiling": reached.map(|(ceiling, ..)| ceiling.name),
            "of_ceiling": reached.map(|(_, rate, _)| rate),
            "of_reads": reached.map(|(_, _, read)| read),
        },
        "device_bytes": f.on_device,
        "peak_rss_bytes": f.peak,
    })
}
