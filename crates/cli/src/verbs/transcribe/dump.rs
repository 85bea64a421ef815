//! `--dump graph|plan|steps|placement`: the model's graphs at the shape of a recording, stage by stage.

use super::inputs::Input;
use super::{Dump, Transcribe};
use crate::exit::Exit;
use crate::graphs::{self, Task, USUAL_SECONDS};
use crate::placement::Placed;
use crate::{ears, out};
use anyhow::Context as _;
use mynah::AudioStream;
use mynah_audio::{PieceReader, SAMPLE_RATE};
use mynah_device::Device;
use mynah_graph::Graph;
use mynah_models::GgufWeights;
use mynah_models::parakeet::ParakeetConfig;
use mynah_plan::{dump_plan, dump_steps, plan_memory};
use std::sync::Arc;

/// Prints and stops.
pub(super) fn run(args: &Transcribe, kind: Dump, input: Option<&Input>) -> anyhow::Result<Exit> {
    let file = Arc::new(ears::file(args.model.model.as_deref())?);
    let mut config = ParakeetConfig::read(&file)?;
    config.window = args.hearing.attention.map_or(config.window, |a| a.0);
    let samples = match input {
        None => USUAL_SECONDS * SAMPLE_RATE as usize,
        Some(input) => first_piece(args, input).with_context(|| format!("can't read {}", input.name))?,
    };
    let devices = mynah::open_devices(args.model.device, args.model.threads.map(usize::from))?;
    let weights = GgufWeights::new(Arc::clone(&file));
    let task = Task { head: args.hearing.decoder, batch: usize::from(args.hearing.batch), samples };
    let all = graphs::of(&file, &config, &task)?;
    if kind == Dump::Placement {
        let all: Vec<Graph> =
            all.into_iter().map(|g| graphs::rewritten(g, &weights)).collect::<Result<_, _>>()?;
        out::write(&Placed::of(&all, &devices, args.model.strict)?.to_string())?;
        return Ok(Exit::Success);
    }
    for graph in all {
        out::write(&text(kind, graph, &weights, devices.device.as_ref())?)?;
    }
    Ok(Exit::Success)
}

/// Samples of the first piece of a recording.
fn first_piece(args: &Transcribe, input: &Input) -> anyhow::Result<usize> {
    let audio = match &input.path {
        None => AudioStream::from_reader(Box::new(std::io::stdin()), None)?,
        Some(path) => AudioStream::open(path)?,
    };
    let piece = PieceReader::new(audio, args.hearing.options().pieces).next_piece()?;
    Ok(piece.map_or(0, |p| p.samples.len()))
}

fn text(kind: Dump, graph: Graph, weights: &GgufWeights, device: &dyn Device) -> anyhow::Result<String> {
    if kind == Dump::Graph {
        return Ok(format!("{graph}\n"));
    }
    let name = graph.name.clone();
    let plan = plan_memory(&graphs::rewritten(graph, weights)?, device);
    Ok(match kind {
        Dump::Steps => format!("steps {name}\n{}\n", dump_steps(&plan)),
        _ => format!("{}\n", dump_plan(&plan)),
    })
}
