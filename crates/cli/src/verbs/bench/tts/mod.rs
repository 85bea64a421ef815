//! `mynah bench tts`: how fast a text becomes speech, stage by stage, at a fixed number of speech tokens.
//!
//! Tokens are random, so nothing is sampled and every run does the same work, as `bench llm` does it. `measure` takes the times,
//! `floor` counts what the stages ask of the machine, `report` prints both.

mod floor;
mod measure;
mod report;

use super::machine::Machine;
use crate::debug::Debug;
use crate::exit::Exit;
use crate::flags::{self, ModelFlags, TalkFlags};
use crate::verbs::speak;
use crate::{memory, out};
use clap::Args;
use floor::{Ceilings, Prompt};
use measure::{Load, measure};
use mynah::{DeviceChoice, Policy, Speaker};
use std::path::{Path, PathBuf};

/// Flags of `mynah bench tts`.
#[derive(Args, Debug)]
pub(crate) struct Tts {
    /// The file of S3Gen; by default the one beside T3's whose name has s3gen in place of t3
    #[arg(long, value_name = "FILE")]
    s3gen: Option<PathBuf>,

    /// Tokens of the text
    #[arg(short, long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1024))]
    prompt_tokens: u32,

    /// Speech tokens that are made and spoken, 25 a second
    #[arg(short = 'n', long, value_name = "N", default_value_t = 140, value_parser = clap::value_parser!(u32).range(1..=4000))]
    max_tokens: u32,

    /// Texts at a time
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    batch: u32,

    /// Steps of the flow; by default what the file says
    #[arg(long, value_name = "N", value_parser = crate::flags::flow_steps)]
    cfm_steps: Option<usize>,

    /// How often it is measured, after a time that is not counted
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
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
    #[arg(long, conflicts_with = "bench_keys")]
    json: bool,

    /// Print the BENCH lines of chatterbox.cpp
    #[arg(long)]
    bench_keys: bool,

    #[command(flatten)]
    model: ModelFlags,

    #[command(flatten)]
    talk: TalkFlags,
}

impl Tts {
    /// Runs the measurement.
    ///
    /// # Errors
    /// Models that can't be used, or too little memory or room for so many tokens.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let debug = Debug::from_env()?;
        // Before the models are in memory, which the ceilings would push out.
        let ceilings = self.ceilings()?;
        memory::forget_peak();
        let began = std::time::Instant::now();
        let mut speaker = speak::open(&self.model, self.s3gen.as_deref(), self.talk.volume())?;
        let loaded = began.elapsed();
        let load = Load {
            text: self.prompt_tokens as usize,
            tokens: self.max_tokens as usize,
            batch: self.batch as usize,
            steps: self.cfm_steps,
        };
        debug.begin(speaker.t3().executor());
        debug.begin(speaker.s3gen().executor());
        debug.begin(speaker.s3gen().pitch_executor());
        let measured = measure(&mut speaker, &load, self.reps.into())?;
        debug.end(speaker.t3().executor());
        debug.end(speaker.s3gen().executor());
        debug.end(speaker.s3gen().pitch_executor());
        let costs = self.costs(&mut speaker, &load, &ceilings.policy)?;
        let report = report::Report { load, loaded, runs: measured, costs, ceilings };
        if self.json {
            out::write_json(&report.json())?;
        } else if self.bench_keys {
            out::write(&report.keys())?;
        } else {
            out::write(&report.text())?;
        }
        Ok(Exit::Success)
    }

    /// What the machine can do, or is said to.
    fn ceilings(&self) -> anyhow::Result<Ceilings> {
        let options = self.model.options();
        let device = mynah::open_device(options.device, options.threads)?;
        let (threads, policy) = (device.report().parallelism, options.executor(device.as_ref())?.policy);
        drop(device);
        let on_gpu = matches!(self.model.device.resolve(), DeviceChoice::Gpu(_));
        let machine = if self.no_peaks || on_gpu { None } else { Some(Machine::measure(&[threads])?) };
        let giga = |value: Option<f64>| value.map(|v| v * 1e9);
        let (bytes, operations) = (giga(self.peak_bytes), giga(self.peak_flops));
        Ok(Ceilings { machine, bytes, operations, threads, policy, on_gpu })
    }

    fn costs(&self, speaker: &mut Speaker, load: &Load, policy: &Policy) -> anyhow::Result<floor::Costs> {
        let voice = speaker.built_in_voice()?;
        let tokens = voice.prompt_tokens().len();
        let voice = speaker.ready(&voice)?;
        let llama = speaker.t3().config().llama().copied();
        // The voice's, exaggeration, start and stop of the text, and the start of speech, which Llama is given twice.
        let others = llama.map_or(1, |llama| usize::from(llama.emotion) + 4);
        let rows = voice.conditioning().count() + others;
        let named = self.model.model.as_deref().unwrap_or_else(|| Path::new(""));
        let (_, files) = speak::pair(named, self.s3gen.as_deref())?;
        floor::costs(&files, load, Prompt { rows, tokens }, (speaker.devices().device.as_ref(), policy))
    }
}
