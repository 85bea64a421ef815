//! `mynah bench llm`: how fast a language model reads prompts (`pp`) and writes tokens (`tg`), as llama-bench measures it: random
//! tokens, nothing is sampled, at several depths and for several sequences at a time.
//!
//! `measure` makes the figures, `report` the table or the JSON.

mod measure;
mod report;

use super::machine::Machine;
use crate::debug::Debug;
use crate::exit::{Exit, Usage};
use crate::flags::{ModelFlags, TalkFlags};
use crate::{flags, out};
use clap::Args;
use measure::{Kind, Model, Test};
use mynah_models::language::MAX_DRAFTS;
use std::path::PathBuf;

/// Flags of `mynah bench llm`.
#[derive(Args, Debug)]
pub(crate) struct Llm {
    /// More models, measured after the one of -m
    #[arg(value_name = "MODEL")]
    models: Vec<PathBuf>,

    /// Tokens of the prompts that are read; 0 leaves reading out
    #[arg(short, long, value_name = "N,...", value_delimiter = ',', default_value = "512")]
    prompt_tokens: Vec<u32>,

    /// Tokens that are written; 0 leaves writing out
    #[arg(short = 'n', long, value_name = "N,...", value_delimiter = ',', default_value = "128")]
    max_tokens: Vec<u32>,

    /// Tokens that are there before
    #[arg(short, long, value_name = "N,...", value_delimiter = ',', default_value = "0")]
    depth: Vec<u32>,

    /// Sequences at a time
    #[arg(short, long, value_name = "N,...", value_delimiter = ',', default_value = "1", value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: Vec<u32>,

    /// Tokens that the model's own layer drafts for each step of writing, what it writes being its own text then; 0 for none
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "0", value_parser = clap::value_parser!(u8).range(0..=MAX_DRAFTS as i64))]
    draft: Vec<u8>,

    /// Tokens of all prompts together that a step reads
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    chunk: u32,

    /// How often each is measured, after a time that is not counted
    #[arg(short, long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    reps: u16,

    /// Leave the machine's ceilings out, which take about half a second
    #[arg(long)]
    no_peaks: bool,

    /// Bytes a second that the device's memory gives at most, in GB/s, instead of what is measured; of a GPU nothing is
    #[arg(long, value_name = "GB/S", value_parser = flags::positive)]
    peak_bytes: Option<f64>,

    /// Operations a second that the device does at most, in GFLOP/s, instead of what is measured
    #[arg(long, value_name = "GFLOP/S", value_parser = flags::positive)]
    peak_flops: Option<f64>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    model: ModelFlags,

    #[command(flatten)]
    talk: TalkFlags,
}

impl Llm {
    /// Runs the measurement.
    ///
    /// # Errors
    /// A model that can't be used, or too little memory or context for a test.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let tests = self.tests();
        if tests.is_empty() {
            return Err(Usage::new("there is nothing to measure", "give -p or -n something above 0").into());
        }
        let machine = if self.no_peaks {
            None
        } else {
            Some(Machine::measure(&[usize::from(self.model.threads.unwrap_or(0))])?)
        };
        let debug = Debug::from_env()?;
        let mut results = Vec::new();
        for path in self.model.model.iter().chain(&self.models) {
            let flags = ModelFlags { model: Some(path.clone()), ..self.model.clone() };
            let sequences = self.batch.iter().max().map_or(1, |&n| n as usize);
            let drafts = self.draft.iter().max().map_or(0, |&n| usize::from(n));
            let room = [sequences, drafts];
            let mut model = Model::open(&flags, self.chunk as usize, room, self.talk.volume())?;
            model.executor().into_iter().for_each(|executor| debug.begin(executor));
            for test in &tests {
                let measured = model.run(test, self.reps.into())?;
                results.push(report::Result::new(&model, test, measured));
            }
            model.executor().into_iter().for_each(|executor| debug.end(executor));
        }
        if results.is_empty() {
            return Err(
                Usage::new("no model was given", "name a GGUF file of a language model with -m").into()
            );
        }
        let giga = |value: Option<f64>| value.map(|v| v * 1e9);
        let ceilings = report::Ceilings {
            machine: machine.as_ref(),
            bytes: giga(self.peak_bytes),
            operations: giga(self.peak_flops),
        };
        if self.json {
            out::write_json(&report::json(&ceilings, &results))?;
        } else {
            out::write(&report::text(&ceilings, &results))?;
        }
        Ok(Exit::Success)
    }

    /// Every kind with every length, depth and number of sequences, and of drafts where something is written.
    fn tests(&self) -> Vec<Test> {
        let mut tests = Vec::new();
        for (kind, lengths) in [(Kind::Prompt, &self.prompt_tokens), (Kind::Tokens, &self.max_tokens)] {
            for &tokens in lengths.iter().filter(|&&n| n > 0) {
                for &depth in &self.depth {
                    for &batch in &self.batch {
                        let [tokens, depth, sequences] = [tokens, depth, batch].map(|n| n as usize);
                        let drafts = if kind == Kind::Tokens { self.draft.as_slice() } else { &[0] };
                        let test = |&drafts: &u8| {
                            let drafts = usize::from(drafts);
                            Test { kind, tokens, depth, sequences, drafts }
                        };
                        tests.extend(drafts.iter().map(test));
                    }
                }
            }
        }
        tests
    }
}
