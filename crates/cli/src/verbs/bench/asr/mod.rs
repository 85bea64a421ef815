//! `mynah bench asr`: steady-state speed of recognition, where the time goes, how near to the machine's ceilings, memory.
//!
//! Every model is measured with every number of threads asked for, one after the other in one process, after the machine's
//! own ceilings: `measure` makes the figures of one, `report` the lines, the table or the JSON of all.

mod measure;
mod report;

use super::machine::Machine;
use super::signal::speech_like;
use crate::exit::Exit;
use crate::flags::{HearingFlags, ModelFlags, TalkFlags};
use crate::{ears, out};
use anyhow::Context as _;
use clap::Args;
use measure::Figures;
use mynah::AudioStream;
use mynah_audio::{PieceReader, SAMPLE_RATE};
use std::path::PathBuf;

/// Flags of `mynah bench asr`.
#[derive(Args, Debug)]
pub(crate) struct Asr {
    /// More models, measured after the one of -m
    #[arg(value_name = "MODEL")]
    models: Vec<PathBuf>,

    /// A recording to measure with; otherwise something like speech is made
    #[arg(long, value_name = "FILE")]
    audio: Option<PathBuf>,

    /// How much speech is made
    #[arg(long, value_name = "N", default_value_t = 60.0, value_parser = crate::flags::positive)]
    seconds: f64,

    /// As many clips like it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10000))]
    copies: u16,

    /// How often everything is recognised, after a run that is not counted
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    reps: u16,

    /// Several numbers of threads, one after the other, instead of --threads
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads_list: Vec<u16>,

    /// Leave the machine's ceilings out, which take about half a second
    #[arg(long)]
    no_peaks: bool,

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

impl Asr {
    /// Runs the measurement.
    ///
    /// # Errors
    /// A recording or model that can't be used.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let clip = self.pieces()?;
        let pieces: Vec<Vec<f32>> = (0..self.copies).flat_map(|_| clip.iter().cloned()).collect();
        let threads: Vec<Option<u16>> = match self.threads_list.as_slice() {
            [] => vec![self.model.threads],
            list => list.iter().copied().map(Some).collect(),
        };
        let machine = if self.no_peaks {
            None
        } else {
            let counts: Vec<usize> = threads.iter().map(|t| usize::from(t.unwrap_or(0))).collect();
            Some(Machine::measure(&counts)?)
        };
        let mut all: Vec<Figures> = Vec::new();
        for model in self.all_models() {
            for &threads in &threads {
                all.push(self.measure(model.as_ref(), threads, &pieces)?);
            }
        }
        if self.json {
            out::write_json(&report::json(machine.as_ref(), &all))?;
        } else {
            out::write(&report::text(machine.as_ref(), &all))?;
        }
        Ok(Exit::Success)
    }

    /// The models in turn; none is the one inside the binary.
    fn all_models(&self) -> Vec<Option<PathBuf>> {
        let named = self.model.model.iter().chain(&self.models).cloned().map(Some);
        let all: Vec<Option<PathBuf>> = named.collect();
        if all.is_empty() { vec![None] } else { all }
    }

    fn measure(
        &self,
        model: Option<&PathBuf>,
        threads: Option<u16>,
        pieces: &[Vec<f32>],
    ) -> anyhow::Result<Figures> {
        let flags = ModelFlags { model: model.cloned(), threads, ..self.model.clone() };
        let file = ears::file(model.map(PathBuf::as_path))?;
        let batch = usize::from(self.hearing.batch);
        let task = measure::Task { pieces, batch, head: self.hearing.decoder, reps: self.reps.into() };
        measure::run(&file, &task, &flags, || ears::open(&flags, &self.hearing, self.talk.volume()))
    }

    /// Pieces as `mynah transcribe` would cut them.
    fn pieces(&self) -> anyhow::Result<Vec<Vec<f32>>> {
        let config = self.hearing.options().pieces;
        let Some(path) = &self.audio else {
            let made = speech_like(self.seconds, 1);
            let blocks = made.chunks(SAMPLE_RATE as usize).map(|block| Ok(block.to_vec()));
            return Ok(PieceReader::new(blocks, config)
                .map(|p| p.map(|p| p.samples))
                .collect::<Result<_, _>>()?);
        };
        let audio = AudioStream::open(path).with_context(|| format!("can't read {}", path.display()))?;
        Ok(PieceReader::new(audio, config).map(|p| p.map(|p| p.samples)).collect::<Result<_, _>>()?)
    }
}
