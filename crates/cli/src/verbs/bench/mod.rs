//! `mynah bench`: how fast, and with how much memory.

mod asr;
mod ops;
mod signal;

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
            What::Ops(ops) => ops.run(),
        }
    }
}
