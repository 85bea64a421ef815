//! `--dump graph|plan|steps`: the model's graphs at the shape of a recording, stage by stage.

use super::inputs::Input;
use super::{Dump, Transcribe};
use crate::exit::Exit;
use crate::{ears, out};
use anyhow::Context as _;
use mynah::{AudioStream, DeviceChoice, Head};
use mynah_audio::{PieceReader, SAMPLE_RATE};
use mynah_device::Device;
use mynah_gguf::GgufFile;
use mynah_graph::Graph;
use mynah_models::GgufWeights;
use mynah_models::parakeet::{
    EncoderDims, ParakeetConfig, encoder_graph, joint_graph, pre_encode_graph, predictor_graph,
    subsample_graph, tile_frames,
};
use mynah_plan::{FoldedWeights, dump_plan, dump_steps, plan_memory, rewrite};
use std::sync::Arc;

/// Without a recording, the length that the field quotes its figures for.
const USUAL_SECONDS: usize = 11;

/// Mel frames of an encoder frame, and what encoder frames are rounded up to.
const SUBSAMPLING: usize = 8;
const BUCKET: usize = 16;

/// Prints and stops.
pub(super) fn run(args: &Transcribe, kind: Dump, input: Option<&Input>) -> anyhow::Result<Exit> {
    let file = Arc::new(ears::file(args.model.model.as_deref())?);
    let mut config = ParakeetConfig::read(&file)?;
    config.window = args.hearing.attention.map_or(config.window, |a| a.0);
    let samples = match input {
        None => USUAL_SECONDS * SAMPLE_RATE as usize,
        Some(input) => first_piece(args, input).with_context(|| format!("can't read {}", input.name))?,
    };
    let device = mynah::open_device(DeviceChoice::Cpu, Some(1))?;
    let weights = GgufWeights::new(Arc::clone(&file));
    for graph in graphs(args, &file, &config, samples)? {
        out::write(&text(kind, graph, &weights, device.as_ref())?)?;
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

/// Every graph that recognising a piece of that many samples takes, as the model writes it.
fn graphs(
    args: &Transcribe,
    file: &GgufFile,
    config: &ParakeetConfig,
    samples: usize,
) -> anyhow::Result<Vec<Graph>> {
    let head = args.hearing.decoder.or_else(|| config.heads_available().first().copied());
    let batch = usize::from(args.hearing.batch.max(1));
    let mel = config.mel.valid_frames(samples);
    let frames = mel.div_ceil(SUBSAMPLING).max(1).next_multiple_of(BUCKET);
    let ctc = head == Some(Head::Ctc);
    let dims = EncoderDims { batch, frames, window: config.window, ctc, transducer: !ctc, trace: false };
    let mut graphs = vec![
        subsample_graph(file, config, tile_frames(mel))?,
        pre_encode_graph(file, config, frames)?,
        encoder_graph(file, config, &dims)?,
    ];
    if let (false, Some(transducer)) = (ctc, &config.transducer) {
        graphs.push(predictor_graph(file, config, transducer, batch)?);
        graphs.push(joint_graph(file, config, transducer, batch)?);
    }
    Ok(graphs)
}

fn text(kind: Dump, mut graph: Graph, weights: &GgufWeights, device: &dyn Device) -> anyhow::Result<String> {
    if kind == Dump::Graph {
        return Ok(format!("{graph}\n"));
    }
    let name = graph.name.clone();
    rewrite::run(&mut graph, &rewrite::Context { weights, folded: &FoldedWeights::default() })?;
    let plan = plan_memory(&graph, device);
    Ok(match kind {
        Dump::Graph | Dump::Plan => format!("{}\n", dump_plan(&plan)),
        Dump::Steps => format!("steps {name}\n{}\n", dump_steps(&plan)),
    })
}
