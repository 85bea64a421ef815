//! Two settings side by side: the distance of every stage, and how far the head's decisions agree.

use super::listen::Heard;
use super::setting::Setting;
use crate::verbs::bench::columns;
use mynah_lab::wer::WordErrors;
use mynah_lab::{Agreement, Difference, agreement, difference};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The distance of the second setting from the first.
pub(super) struct Pair {
    names: [String; 2],
    stages: Vec<(String, Difference)>,
    logits: Option<Agreement>,
    tokens: WordErrors,
}

/// The distance that switches are blamed for: normalised mean square error of the logits.
pub(super) fn distance(a: &Heard, b: &Heard) -> f64 {
    difference(b.logits(), a.logits()).nmse
}

impl Pair {
    pub(super) fn of(a: (&Setting, &Heard), b: (&Setting, &Heard)) -> Self {
        let (from, to) = (a.1, b.1);
        let pairs = from.stages.iter().zip(&to.stages);
        let stages = pairs.map(|((name, w), (_, f))| (name.clone(), difference(f, w))).collect();
        Self {
            names: [a.0.to_string(), b.0.to_string()],
            stages,
            logits: agreement(to.logits(), from.logits(), from.width, from.choices),
            tokens: WordErrors::between_words(&from.ids(), &to.ids()),
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
                "\nlogits over {} frames: top-1 {}, top-5 {}, top-20 {} agree; {} of the first 20 change rank, by {} at most",
                a.rows,
                percent(a.top1),
                percent(a.top5),
                percent(a.top20),
                percent(a.moved),
                a.largest_move,
            );
        }
        let _ = writeln!(text, "tokens apart: {} of {}", self.tokens.errors(), self.tokens.words);
        text
    }

    pub(super) fn json(&self) -> Value {
        let stages = self.stages.iter().map(|(name, d)| {
            json!({ "name": name, "rms": d.rms, "max_abs": d.max_abs, "cosine": d.cosine, "nmse": d.nmse })
        });
        json!({
            "a": self.names[0],
            "b": self.names[1],
            "stages": stages.collect::<Vec<_>>(),
            "logits": self.logits.map(|a| json!({
                "frames": a.rows,
                "top1": a.top1,
                "top5": a.top5,
                "top20": a.top20,
                "ranks_moved": a.moved,
                "largest_move": a.largest_move,
            })),
            "tokens": self.tokens.words,
            "tokens_apart": self.tokens.errors(),
        })
    }
}

/// A distance in three digits.
pub(super) fn figure(value: f64) -> String {
    if value == 0.0 { "0".into() } else { format!("{value:.2e}") }
}

#[cfg(test)]
mod tests {
    use super::super::listen::Step;
    use super::*;

    #[test]
    fn stages_logits_and_tokens_are_told() {
        let heard = |block: f64, logits: [f64; 4], token| Heard {
            stages: vec![("block 0".into(), vec![block, 2.0]), ("logits".into(), logits.to_vec())],
            tokens: vec![Step { token, frame: 0 }],
            width: 2,
            choices: 2,
        };
        let setting =
            |device: &str| Setting { device: device.into(), dtype: None, routes: ["int8-dot".into()].into() };
        let (a, b) = (heard(1.0, [1.0, 0.0, 1.0, 0.0], 5), heard(1.0, [1.0, 0.0, 0.0, 1.0], 6));
        let pair = Pair::of((&setting("cpu"), &a), (&setting("vulkan"), &b));
        let text = pair.text();
        assert!(text.starts_with("a  device=cpu,int8-dot=on\nb  device=vulkan,int8-dot=on\n"), "{text}");
        assert!(text.contains("block 0        0        0"), "{text}");
        assert!(
            text.contains("top-1 50.00%, top-5 100.00%") && text.contains("50.00% of the first 20"),
            "{text}"
        );
        assert!(text.ends_with("tokens apart: 1 of 1\n"), "{text}");
        assert_eq!(distance(&a, &b), 1.0);
        assert_eq!(pair.json()["stages"][1]["nmse"], 1.0);
    }
}
