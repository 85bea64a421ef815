//! `mynah voices`: whose voices there are to speak with: those that were saved, and the one that a model brings along.
//!
//! `find` looks into folders, `report` prints what was found.

mod find;
mod report;

use crate::exit::{Exit, Usage};
use crate::out;
use crate::verbs::speak;
use clap::Args;
use find::Found;
use mynah::VoiceParts;
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "\
Examples:
  mynah voices voices/
  mynah voices -m turbo-t3.gguf me.gguf voices/
  mynah voices --json voices/ | jq -r '.voices[] | select(.error == null) | .path'";

/// Flags of `mynah voices`.
#[derive(Args, Debug)]
pub(crate) struct Voices {
    /// Voices that were saved, or folders of such
    #[arg(value_name = "FILE|FOLDER", required_unless_present = "model")]
    paths: Vec<PathBuf>,

    /// T3's file of a model, whose own voice is listed, too
    #[arg(short, long, value_name = "FILE")]
    model: Option<PathBuf>,

    /// The file of S3Gen; by default the one beside T3's whose name has s3gen in place of t3
    #[arg(long, value_name = "FILE", requires = "model")]
    s3gen: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Voices {
    /// Runs the verb. A voice that can't be read is listed with the reason, and the others are listed all the same.
    ///
    /// # Errors
    /// A path that isn't there, files of no model, folders without any voice.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let mut found = Vec::new();
        if let Some(model) = &self.model {
            let ([path, _], [t3, s3gen]) = speak::pair(model, self.s3gen.as_deref())?;
            found.push(Found::new(path, VoiceParts::built_in(&t3, &s3gen)));
        }
        for path in &self.paths {
            found.extend(find::voices(path)?);
        }
        if found.is_empty() {
            let hint = "`mynah speak --voice RECORDING --save-voice FILE` makes one";
            return Err(Usage::new("there is no voice in these folders", hint).into());
        }
        if self.json {
            out::write_json(&report::json(&found))?;
        } else {
            out::write(&report::text(&found))?;
        }
        let failed = found.iter().filter(|voice| voice.whole().is_err()).count();
        Ok(Exit::of(failed, found.len()))
    }
}
