//! Two settings side by side: the distance of every stage, and how far the head's decisions agree.

use super::setting::Setting;
use super::subject::{Apart, LOGITS, Run};
use crate::verbs::bench::columns;
use mynah_lab::{Agreement, Difference, agreement, difference};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The distance of the second setting from the first.
pub(super) struct Pair {
    names: [String; 2],
    stages: Vec<(String, Difference)>,
    logits: Option<Agreement>,
    /// What a row of logits is called, and the distance of each.
    row: &'static str,
    each: Vec<(Difference, Option<Agreement>)>,
    /// Whether tokens were compared one by one, each behind the same ones.
    led: bool,
    apart: Apart,
}

impl Pair {
    pub(super) fn of(a: (&Setting, &Run), b: (&Setting, &Run), row: &'static str) -> Self {
        let (from, to) = (a.1, b.1);
        let pairs = from.stages.iter().zip(&to.stages);
        let stages = pairs.map(|((name, w), (_, f))| (name.clone(), difference(f, w))).collect();
        let (found, wanted, width) = (to.stage(LOGITS), from.stage(LOGITS), from.width.max(1));
        let rows = found.chunks_exact(width).zip(wanted.chunks_exact(width));
        let each = rows.map(|(f, w)| (difference(f, w), agreement(f, w, width, from.choices)));
        Self {
            names: [a.0.to_string(), b.0.to_string()],
            stages,
            logits: agreement(found, wanted, from.width, from.choices),
            row,
            each: each.collect(),
            led: to.led,
            apart: to.apart(from),
        }
    }

    pub(super) fn text(&self) -> String {
        let head = ["stage", "rms", "max abs", "cosine", "NMSE"];
        let mut rows: Vec<Vec<String>> = vec![head.iter().map(|&h| h.to_owned()).collect()];
        for (name, d) in &self.stages {
            // Cosines are near one: what they lack of it says more.
            let cosine = if d.cosine == 1.0 { "1".into() } else { format!("1-{:.1e}", 1.0 - d.cosine) };
            rows.push(vec![name.clone(), figure(d.rms), figure(d.max_abs), cosine, figure(d.nmse)]);
        }
        let mut text = format!("a  {}\nb  {}\n\n{}", self.names[0], self.names[1], columns(&rows, 1));
        if let Some(a) = &self.logits {
            let percent = |share: f64| format!("{:.2}%", 100.0 * share);
            // Writing to a String can't fail.
            let _ = writeln!(
                text,
                "\nlogits over {} {}s: top-1 {}, top-5 {}, top-20 {} agree; {} of the first 20 change rank, by {} at most",
                a.rows,
                self.row,
                percent(a.top1),
                percent(a.top5),
                percent(a.top20),
                percent(a.moved),
                a.largest_move,
            );
        }
        let furthest = self.each.iter().enumerate().max_by(|(_, a), (_, b)| a.0.nmse.total_cmp(&b.0.nmse));
        if let Some((at, (d, _))) = furthest.filter(|(_, (d, _))| d.nmse > 0.0) {
            let _ = writeln!(text, "furthest apart at {} {at}: NMSE {}", self.row, figure(d.nmse));
        }
        let Apart { of, tokens, first } = self.apart;
        let first = first.map(|at| format!(", the first is number {at}")).unwrap_or_default();
        let _ = match self.led {
            false => writeln!(text, "tokens apart: {tokens} of {of}"),
            true => writeln!(text, "tokens drawn otherwise behind the same ones: {tokens} of {of}{first}"),
        };
        text
    }

    pub(super) fn json(&self) -> Value {
        let distance = |d: &Difference| json!({ "rms": d.rms, "max_abs": d.max_abs, "cosine": d.cosine, "nmse": d.nmse });
        let stages = self.stages.iter().map(|(name, d)| {
            let mut stage = distance(d);
            stage["name"] = json!(name);
            stage
        });
        let likeness = |value: &mut Value, a: &Agreement| {
            value["top1"] = json!(a.top1);
            value["top5"] = json!(a.top5);
            value["top20"] = json!(a.top20);
            value["ranks_moved"] = json!(a.moved);
            value["largest_move"] = json!(a.largest_move);
        };
        let each = self.each.iter().map(|(d, a)| {
            let mut row = distance(d);
            if let Some(a) = a {
                likeness(&mut row, a);
            }
            row
        });
        let logits = self.logits.map(|a| {
            let mut logits = json!({ "rows": a.rows, "each": each.collect::<Vec<_>>() });
            likeness(&mut logits, &a);
            logits
        });
        json!({
            "a": self.names[0],
            "b": self.names[1],
            "stages": stages.collect::<Vec<_>>(),
            "logits": logits,
            "tokens": self.apart.of,
            "tokens_apart": self.apart.tokens,
            "first_apart": self.apart.first,
        })
    }
}

/// A distance in three digits.
pub(super) fn figure(value: f64) -> String {
    if value == 0.0 { "0".into() } else { format!("{value:.2e}") }
}

#[cfg(test)]
mod tests {
    use super::super::subject::Step;
    use super::*;

    #[test]
    fn stages_logits_and_tokens_are_told() {
        let run = |block: f64, logits: [f64; 4], token, led| Run {
            stages: vec![("block 0".into(), vec![block, 2.0]), ("logits".into(), logits.to_vec())],
            tokens: vec![Step { token, at: 0 }],
            led,
            width: 2,
            choices: 2,
        };
        let setting = |device: &str| Setting {
            device: device.into(),
            model: None,
            s3gen: None,
            dtype: None,
            routes: ["int8-dot".into()].into(),
        };
        let a = run(1.0, [1.0, 0.0, 1.0, 0.0], 5, false);
        let b = |led| run(1.0, [1.0, 0.0, 0.0, 1.0], 6, led);
        let pair = Pair::of((&setting("cpu"), &a), (&setting("vulkan"), &b(false)), "frame");
        let text = pair.text();
        assert!(text.starts_with("a  device=cpu,int8-dot=on\nb  device=vulkan,int8-dot=on\n"), "{text}");
        assert!(text.contains("block 0        0        0"), "{text}");
        assert!(
            text.contains("over 2 frames: top-1 50.00%, top-5 100.00%")
                && text.contains("50.00% of the first 20"),
            "{text}"
        );
        assert!(text.ends_with("furthest apart at frame 1: NMSE 2.00e0\ntokens apart: 1 of 1\n"), "{text}");
        assert_eq!(b(false).distance(&a, "logits"), 1.0);
        let json = pair.json();
        assert_eq!(
            (&json["stages"][1]["nmse"], &json["logits"]["each"][0]["nmse"]),
            (&1.0.into(), &0.0.into())
        );
        assert_eq!((&json["logits"]["each"][1]["top1"], &json["first_apart"]), (&0.0.into(), &0.into()));
        let text = Pair::of((&setting("cpu"), &a), (&setting("vulkan"), &b(true)), "step").text();
        assert!(text.ends_with("behind the same ones: 1 of 1, the first is number 0\n"), "{text}");
    }
}
