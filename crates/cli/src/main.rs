//! The `mynah` command: flags in, results on stdout, everything else on stderr.
//!
//! ```text
//! config file ─┐
//! MYNAH_* ─────┼─► cli (clap) ─► verbs ─► mynah (library) ─► out, outputs of files
//! flags ───────┘                   └────► progress, notes, failure (stderr)
//! ```
//!
//! A verb returns an [`exit::Exit`] or an error; what an error looks like and which code it ends with is decided here
//! and nowhere else.

mod adapters;
mod cli;
mod config;
mod debug;
mod ears;
mod exit;
mod failure;
mod flags;
mod given;
mod graphs;
mod hints;
mod interrupt;
mod memory;
mod mind;
mod nearby;
mod notes;
mod out;
mod placement;
mod progress;
mod screen;
mod units;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = interrupt::install().and_then(|()| run());
    match outcome {
        Ok(exit) => exit.code(),
        Err(error) => failure::end(&error),
    }
}

fn run() -> anyhow::Result<exit::Exit> {
    let config = config::Config::find()?;
    match cli::parse(&config)? {
        cli::Parsed::Command(command) => verbs::run(&command),
        cli::Parsed::Done(exit) => Ok(exit),
    }
}
