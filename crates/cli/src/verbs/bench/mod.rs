//! `mynah bench`: how fast, how near to what the machine can do, and with how much memory.

mod asr;
mod llm;
mod machine;
mod ops;
mod ppl;
mod signal;
mod tts;
mod weights;

use crate::exit::Exit;
use clap::{Args, Subcommand};

/// What is measured.
#[derive(Args, Debug)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Speech recognition, from samples to tokens
    Asr(asr::Asr),
    /// A language model: reading prompts and writing tokens, as llama-bench measures them
    Llm(llm::Llm),
    /// Speech synthesis, from text to samples, stage by stage
    Tts(tts::Tts),
    /// Perplexity of a text
    Ppl(ppl::Ppl),
    /// Matrix products, the bulk of all work
    Ops(ops::BenchOps),
}

impl Bench {
    /// Runs the verb.
    ///
    /// # Errors
    /// What the measured thing reports.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        match &self.what {
            What::Asr(asr) => asr.run(),
            What::Llm(llm) => llm.run(),
            What::Tts(tts) => tts.run(),
            What::Ppl(ppl) => ppl.run(),
            What::Ops(ops) => ops.run(),
        }
    }
}

/// Rows of cells as aligned text; the first `left` columns stand left, numbers stand right.
pub(crate) fn columns(rows: &[Vec<String>], left: usize) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_left_and_numbers_right() {
        let rows = [vec!["type".into(), "µs".into()], vec!["F32".into(), "12.5".into()]];
        assert_eq!(columns(&rows, 1), "type    µs\nF32   12.5\n");
    }
}
