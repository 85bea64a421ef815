//! Voices as a table or as JSON.

use super::find::Found;
use crate::verbs::bench::columns;
use mynah::VoiceParts;
use mynah_models::chatterbox::s3gen::{TOKEN_RATE, Variant};
use mynah_models::chatterbox::voice::VoiceSource;
use serde_json::{Value, json};

/// Tokens of the longest prompt that Multilingual's T3 is given: six seconds. A longer one can only be Turbo's.
const SHORTER: usize = 150;

/// What a line tells.
struct Row<'a> {
    parts: &'a VoiceParts,
    missing: Vec<&'static str>,
}

impl<'a> Row<'a> {
    fn of(parts: &'a VoiceParts) -> Self {
        Self { parts, missing: parts.missing() }
    }

    /// Models that take it.
    fn fits(&self) -> Vec<&'static str> {
        let all = [Variant::Turbo, Variant::Multilingual];
        let long = self.parts.t3_prompt_tokens.as_ref().is_some_and(|tokens| tokens.len() > SHORTER);
        let fits = |kind: &Variant| match self.parts.kind {
            Some(own) => own == *kind,
            None => *kind == Variant::Turbo || !long,
        };
        all.iter().filter(|kind| fits(kind)).map(|kind| kind.name()).collect()
    }

    /// Seconds of T3's prompt and of S3Gen's.
    fn seconds(&self) -> [Option<f64>; 2] {
        let seconds = |tokens: &Option<Vec<i32>>| {
            tokens.as_ref().map(|tokens| tokens.len() as f64 / f64::from(TOKEN_RATE))
        };
        [seconds(&self.parts.t3_prompt_tokens), seconds(&self.parts.prompt_tokens)]
    }

    fn made_by(&self) -> &'static str {
        self.parts.source.map_or("unknown", VoiceSource::name)
    }
}

/// For people.
pub(super) fn text(found: &[Found]) -> String {
    let head = ["voice", "name", "fits", "for T3", "for S3Gen", "made of", "remarks"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for voice in found {
        let path = voice.path.display().to_string();
        let parts = match voice.whole() {
            Ok(parts) => parts,
            Err(reason) => {
                let none = std::iter::repeat_n("-".to_owned(), 5);
                rows.push(
                    [path].into_iter().chain(none).chain([format!("can't be read: {reason}")]).collect(),
                );
                continue;
            }
        };
        let row = Row::of(parts);
        let [t3, s3gen] = row.seconds().map(|s| s.map_or("-".to_owned(), |s| format!("{s:.1} s")));
        let name = if parts.name.is_empty() { "-".to_owned() } else { parts.name.clone() };
        let remarks = match row.missing.as_slice() {
            [] => String::new(),
            missing => format!("no {}; the model's own voice supplies it", missing.join(", ")),
        };
        rows.push(vec![path, name, row.fits().join(", "), t3, s3gen, row.made_by().to_owned(), remarks]);
    }
    columns(&rows, head.len())
}

/// For programs.
pub(super) fn json(found: &[Found]) -> Value {
    let voice = |voice: &Found| match voice.whole() {
        Err(reason) => json!({ "path": voice.path.display().to_string(), "error": reason }),
        Ok(parts) => {
            let row = Row::of(parts);
            let [t3, s3gen] = row.seconds();
            json!({
                "path": voice.path.display().to_string(),
                "name": parts.name,
                "fits": row.fits(),
                "kind": parts.kind.map(Variant::name),
                "t3_prompt_seconds": t3,
                "s3gen_prompt_seconds": s3gen,
                "source": row.made_by(),
                "missing": row.missing,
                "error": null,
            })
        }
    };
    json!({ "voices": found.iter().map(voice).collect::<Vec<_>>() })
}
