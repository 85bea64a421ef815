//! `mynah drift`: how far fast results are from exact ones, block by block, for all fast routes and for each alone.
//!
//! The exact policy is the reference, so a route that drifts is found by its column and the block where it begins by
//! its row.

use crate::exit::{Exit, Usage};
use crate::flags::{HearingFlags, ModelFlags, TalkFlags};
use crate::notes::Volume;
use crate::{ears, out};
use anyhow::Context as _;
use clap::Args;
use mynah::{AudioStream, Head, Options, Precision};
use mynah_audio::PieceReader;
use mynah_lab::compare;
use mynah_lab::wer::WordErrors;
use mynah_models::parakeet::Encoded;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Flags of `mynah drift`.
#[derive(Args, Debug)]
pub(crate) struct Drift {
    /// A recording; its first piece is used (see --chunk)
    #[arg(value_name = "AUDIO")]
    audio: PathBuf,

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

/// One way to compute, against the exact one.
struct Column {
    name: String,
    /// Normalised mean square error of each stage.
    errors: Vec<f64>,
    /// Tokens that differ, by edit distance.
    tokens: WordErrors,
}

/// What a policy computed.
struct Heard {
    stages: Vec<(String, Vec<f64>)>,
    tokens: Vec<u32>,
}

impl Drift {
    /// Runs the verb.
    ///
    /// # Errors
    /// A recording or model that can't be used.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        if self.model.precision != Precision::Fast || !self.model.route.is_empty() {
            let hint =
                "it compares exact with fast, and with each route alone; leave --precision and --route out";
            return Err(Usage::new("drift sets the routes itself", hint).into());
        }
        let audio =
            AudioStream::open(&self.audio).with_context(|| format!("can't read {}", self.audio.display()))?;
        let piece = PieceReader::new(audio, self.hearing.options().pieces).next_piece()?;
        let samples = piece.map(|p| p.samples).unwrap_or_default();
        let exact = self.hear(&samples, Precision::Exact, String::new(), self.talk.volume())?;
        let device = mynah::open_device(self.model.device, Some(1))?;
        let mut columns = vec![self.column("fast", &exact, &samples, Precision::Fast, String::new())?];
        for route in device.routes() {
            let only = format!("{}=on", route.name);
            columns.push(self.column(route.name, &exact, &samples, Precision::Exact, only)?);
        }
        let stages: Vec<&str> = exact.stages.iter().map(|(name, _)| name.as_str()).collect();
        if self.json {
            out::write_json(&json_of(&stages, &columns))?;
        } else {
            out::write(&table(&stages, &columns))?;
        }
        Ok(Exit::Success)
    }

    fn column(
        &self,
        name: &str,
        exact: &Heard,
        samples: &[f32],
        precision: Precision,
        routes: String,
    ) -> anyhow::Result<Column> {
        let heard = self.hear(samples, precision, routes, Volume::Quiet)?;
        let pairs = heard.stages.iter().zip(&exact.stages);
        let errors = pairs.map(|((_, found), (_, wanted))| compare(found, wanted).nmse).collect();
        let tokens = WordErrors::between_words(&exact.tokens, &heard.tokens);
        Ok(Column { name: name.to_owned(), errors, tokens })
    }

    /// Encodes and decodes the samples under a policy, keeping every block's output.
    fn hear(
        &self,
        samples: &[f32],
        precision: Precision,
        routes: String,
        volume: Volume,
    ) -> anyhow::Result<Heard> {
        let attention = self.hearing.attention.map(|a| a.0);
        let options = Options { precision, routes, attention, ..self.model.options() };
        let mut ears = ears::load(&self.model, &options, volume)?;
        let model = ears.model();
        let head = model.head(self.hearing.decoder)?;
        let encoded = model.encode(&[samples], &[head], true)?;
        let tokens = model.decode(&encoded, head)?.into_iter().flatten().map(|token| token.id).collect();
        Ok(Heard { stages: stages(&encoded, head), tokens })
    }
}

/// The stages of one clip, padding left out.
fn stages(encoded: &Encoded, head: Head) -> Vec<(String, Vec<f64>)> {
    let valid = encoded.lengths.first().copied().unwrap_or(0);
    let cut = |all: &[f32]| -> Vec<f64> {
        let width = all.len() / encoded.frames.max(1);
        all.iter().take(valid * width).map(|&x| f64::from(x)).collect()
    };
    let blocks = encoded.layers.iter().enumerate();
    let mut stages: Vec<_> = blocks.map(|(i, layer)| (format!("block {i}"), cut(layer))).collect();
    stages.push(("encoded".into(), cut(&encoded.encoded)));
    let (name, last) = match head {
        Head::Ctc => ("ctc", &encoded.ctc),
        Head::Rnnt | Head::Tdt => ("projected", &encoded.projected),
    };
    stages.extend(last.as_ref().map(|values| (name.to_owned(), cut(values))));
    stages
}

fn table(stages: &[&str], columns: &[Column]) -> String {
    let first = stages.iter().map(|s| s.len()).chain(["tokens apart".len()]).max().unwrap_or(0);
    let widths: Vec<usize> = columns.iter().map(|c| c.name.len().max(9)).collect();
    let mut text = format!("{:first$}", "NMSE");
    let cell = |text: &mut String, column: usize, value: &str| {
        // Writing to a String can't fail.
        let _ = write!(text, "  {value:>width$}", width = widths[column]);
    };
    for (i, column) in columns.iter().enumerate() {
        cell(&mut text, i, &column.name);
    }
    for (row, stage) in stages.iter().enumerate() {
        let _ = write!(text, "\n{stage:first$}");
        for (i, column) in columns.iter().enumerate() {
            let value = column
                .errors
                .get(row)
                .map_or("-".into(), |e| if *e == 0.0 { "0".into() } else { format!("{e:.2e}") });
            cell(&mut text, i, &value);
        }
    }
    let _ = write!(text, "\n{:first$}", "tokens apart");
    for (i, column) in columns.iter().enumerate() {
        cell(&mut text, i, &format!("{}/{}", column.tokens.errors(), column.tokens.words));
    }
    text.push('\n');
    text
}

fn json_of(stages: &[&str], columns: &[Column]) -> Value {
    let column = |c: &Column| {
        let errors = stages.iter().zip(&c.errors).map(|(stage, e)| ((*stage).to_owned(), json!(e)));
        json!({
            "name": c.name,
            "nmse": errors.collect::<Map<_, _>>(),
            "tokens": c.tokens.words,
            "tokens_apart": c.tokens.errors(),
        })
    };
    json!({ "reference": "exact", "columns": columns.iter().map(column).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_column_for_each_route() {
        let column = |name: &str, errors: &[f64], heard: &[u32]| Column {
            name: name.into(),
            errors: errors.to_vec(),
            tokens: WordErrors::between_words(&[1, 2], heard),
        };
        let columns = [column("fast", &[1e-7, 0.0], &[1, 2]), column("int8-products", &[2.5e-5, 1e-4], &[1])];
        let wanted = "\
NMSE               fast  int8-products
block 0         1.00e-7        2.50e-5
encoded               0        1.00e-4
tokens apart        0/2            1/2
";
        assert_eq!(table(&["block 0", "encoded"], &columns), wanted);
    }
}
