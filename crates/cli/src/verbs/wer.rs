//! `mynah wer`: word error rates over recordings whose words are known, per voice and in all, for model cards.

use crate::exit::{Exit, Usage};
use crate::flags::{HearingFlags, ModelFlags, TalkFlags};
use crate::progress::Meter;
use crate::{ears, failure, out, units};
use anyhow::Context as _;
use clap::Args;
use mynah::{AudioStream, Batch, Finished};
use mynah_lab::wer::WordErrors;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

pub(crate) const EXAMPLES: &str = "\
The manifest has a line a recording: PATH, VOICE and WORDS with tabs between; paths are relative to the manifest.
Words are compared without case and punctuation. With -v every recording with errors is shown.

Example:
  mynah wer held-out.tsv -m parakeet.gguf --precision exact";

/// Flags of `mynah wer`.
#[derive(Args, Debug)]
pub(crate) struct Wer {
    /// PATH<tab>VOICE<tab>WORDS, a line a recording
    #[arg(value_name = "MANIFEST.tsv")]
    manifest: PathBuf,

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

/// A line of the manifest.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    path: PathBuf,
    voice: String,
    words: String,
}

/// What one voice came to.
#[derive(Clone, Copy, Default)]
struct Tally {
    clips: usize,
    errors: WordErrors,
}

impl Wer {
    /// Runs the verb.
    ///
    /// # Errors
    /// A manifest or model that can't be used. A recording that fails is told of, left out of the rates, and counted.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let known = read(&self.manifest)?;
        let volume = self.talk.volume();
        let mut ears = ears::open(&self.model, &self.hearing, volume)?;
        let options = self.hearing.options();
        let meter = Meter::new(self.talk.progress(), None);
        let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
        let mut failed = 0;
        let mut inputs = known.iter().map(|k| (k, AudioStream::open(&k.path)));
        let mut batch = Batch { transcriber: &mut ears, options: &options };
        batch.run(&mut inputs, &mut |p| meter.heard(p), &mut |finished: Finished<&Known>| {
            let known = finished.key;
            match finished.result {
                Ok(transcript) => {
                    let errors = WordErrors::between(&known.words, &transcript.text);
                    let tally = tallies.entry(&known.voice).or_default();
                    tally.clips += 1;
                    tally.errors += errors;
                    if errors.errors() > 0 {
                        let (name, said, heard) = (known.path.display(), &known.words, &transcript.text);
                        meter.aside(|| volume.detail(&format!("{name}\n  said:  {said}\n  heard: {heard}")));
                    }
                }
                Err(error) => {
                    failed += 1;
                    let error = anyhow::Error::from(error)
                        .context(format!("can't transcribe {}", known.path.display()));
                    meter.aside(|| failure::print(&error));
                }
            }
        })?;
        let counts = json!({ "files": known.len(), "failed": failed });
        meter.finish(&counts, Some(&units::count(known.len() - failed, "recording", "recordings")));
        if self.json {
            out::write_json(&json_of(&tallies, failed))?;
        } else {
            out::write(&table(&tallies))?;
        }
        Ok(Exit::of(failed, known.len()))
    }
}

/// Reads a manifest. Empty lines and lines that begin with `#` are left out.
fn read(path: &Path) -> anyhow::Result<Vec<Known>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut known = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_end_matches('\r');
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let parts: Vec<&str> = line.splitn(3, '\t').collect();
        let [file, voice, words] = parts[..] else {
            let message = format!("{}, line {}: not PATH<tab>VOICE<tab>WORDS", path.display(), number + 1);
            return Err(Usage::plain(message).into());
        };
        known.push(Known { path: folder.join(file), voice: voice.to_owned(), words: words.to_owned() });
    }
    if known.is_empty() {
        return Err(Usage::plain(format!("{} names no recording", path.display())).into());
    }
    Ok(known)
}

fn total(tallies: &BTreeMap<&str, Tally>) -> Tally {
    tallies.values().fold(Tally::default(), |mut sum, tally| {
        sum.clips += tally.clips;
        sum.errors += tally.errors;
        sum
    })
}

fn table(tallies: &BTreeMap<&str, Tally>) -> String {
    let width = tallies.keys().map(|voice| voice.chars().count()).chain([5]).max().unwrap_or(5);
    let head = ["clips", "words", "WER %", "wrong", "missing", "extra"];
    let mut text = format!("{:width$}", "voice");
    for name in head {
        // Writing to a String can't fail.
        let _ = write!(text, " {name:>7}");
    }
    text.push('\n');
    let all = total(tallies);
    for (voice, tally) in tallies.iter().map(|(v, t)| (*v, *t)).chain([("all", all)]) {
        let e = tally.errors;
        let rate = 100.0 * e.rate();
        let _ = write!(text, "{voice:width$} {:>7} {:>7} {rate:>7.2}", tally.clips, e.words);
        let _ = writeln!(text, " {:>7} {:>7} {:>7}", e.substitutions, e.deletions, e.insertions);
    }
    text
}

fn json_of(tallies: &BTreeMap<&str, Tally>, failed: usize) -> Value {
    let one = |tally: &Tally| {
        let e = tally.errors;
        json!({
            "clips": tally.clips,
            "words": e.words,
            "wer": e.rate(),
            "substitutions": e.substitutions,
            "deletions": e.deletions,
            "insertions": e.insertions,
        })
    };
    let voices: serde_json::Map<String, Value> =
        tallies.iter().map(|(v, t)| ((*v).to_owned(), one(t))).collect();
    json!({ "voices": voices, "all": one(&total(tallies)), "failed": failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_tab_separated_and_relative_to_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.tsv");
        std::fs::write(&path, "# path\tvoice\twords\n\na.wav\tann\tHello, you\r\nb/c.wav\tbob\tx\ty\n")
            .unwrap();
        let known = read(&path).unwrap();
        let one = |file: &str, voice: &str, words: &str| Known {
            path: dir.path().join(file),
            voice: voice.into(),
            words: words.into(),
        };
        assert_eq!(known, [one("a.wav", "ann", "Hello, you"), one("b/c.wav", "bob", "x\ty")]);
        std::fs::write(&path, "a.wav\tann\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 1"));
        std::fs::write(&path, "").unwrap();
        assert!(read(&path).is_err());
    }

    #[test]
    fn voices_add_up() {
        let tally = |said: &str, heard: &str| Tally { clips: 1, errors: WordErrors::between(said, heard) };
        let tallies = BTreeMap::from([
            ("ann", tally("one two three", "one too three")),
            ("bob", tally("four", "four")),
        ]);
        let wanted = "\
voice   clips   words   WER %   wrong missing   extra
ann         1       3   33.33       1       0       0
bob         1       1    0.00       0       0       0
all         2       4   25.00       1       0       0
";
        assert_eq!(table(&tallies), wanted);
    }
}
