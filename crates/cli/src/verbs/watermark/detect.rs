//! `mynah watermark detect`: a line for each recording, or JSON.

use crate::exit::Exit;
use crate::flags::{ModelFlags, VolumeFlags};
use crate::{failure, out};
use clap::Args;
use mynah::{Detection, Watermark};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Flags of `mynah watermark detect`.
#[derive(Args, Debug)]
pub(super) struct Detect {
    /// Recordings, in any format; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Print JSON: a list with an object for each recording
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    model: ModelFlags,

    #[command(flatten)]
    volume: VolumeFlags,
}

impl Detect {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let mut watermark = super::named(&self.model, self.volume.volume())?;
        let (mut list, mut failed) = (Vec::new(), 0);
        for path in &self.files {
            let found = examine(&mut watermark, path);
            if self.json {
                list.push(json_of(path, &found));
            } else if let Ok((found, _)) = &found {
                out::write(&line(path, found))?;
            }
            if let Err(error) = found {
                failed += 1;
                failure::print(&error.context(format!("can't examine {}", path.display())));
            }
        }
        if self.json {
            out::write_json(&Value::Array(list))?;
        }
        Ok(Exit::of(failed, self.files.len()))
    }
}

/// What the detector says of a file, and its length in seconds.
fn examine(watermark: &mut Watermark, path: &Path) -> anyhow::Result<(Detection, f64)> {
    let (samples, rate) = super::read(watermark, path)?;
    Ok((watermark.detect(&samples, rate)?, samples.len() as f64 / f64::from(rate)))
}

fn line(path: &Path, found: &Detection) -> String {
    let said = if found.is_marked() { "watermark" } else { "none" };
    format!("{}\t{said}\t{:.3}\n", path.display(), found.score)
}

fn json_of(path: &Path, found: &anyhow::Result<(Detection, f64)>) -> Value {
    let file = path.display().to_string();
    match found {
        Ok((found, seconds)) => json!({
            "file": file,
            "watermark": found.is_marked(),
            "score": found.score,
            "raw": found.raw,
            "seconds": seconds,
        }),
        Err(error) => json!({ "file": file, "error": error.root_cause().to_string() }),
    }
}
