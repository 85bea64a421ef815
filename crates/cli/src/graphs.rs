//! The graphs of a model at the shape of a recording, for tools that look at plans without running them.

use mynah::Head;
use mynah_gguf::GgufFile;
use mynah_graph::Graph;
use mynah_models::GgufWeights;
use mynah_models::parakeet::{
    EncoderDims, Keep, ParakeetConfig, encoder_graph, joint_graph, pre_encode_graph, predictor_graph,
    subsample_graph, tile_frames,
};
use mynah_plan::{FoldedWeights, rewrite};

/// Without a recording, the length that the field quotes its figures for.
pub(crate) const USUAL_SECONDS: usize = 11;

/// Mel frames of an encoder frame, and what encoder frames are rounded up to.
const SUBSAMPLING: usize = 8;
const BUCKET: usize = 16;

/// What the graphs are for.
pub(crate) struct Task {
    /// The decoder head; `None` for the model's default.
    pub(crate) head: Option<Head>,
    /// Pieces together.
    pub(crate) batch: usize,
    /// Samples of a piece.
    pub(crate) samples: usize,
}

/// All graphs, as the model writes them.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub(crate) fn of(file: &GgufFile, config: &ParakeetConfig, task: &Task) -> anyhow::Result<Vec<Graph>> {
    let head = task.head.or_else(|| config.heads_available().first().copied());
    let batch = task.batch.max(1);
    let mel = config.mel.valid_frames(task.samples);
    let frames = mel.div_ceil(SUBSAMPLING).max(1).next_multiple_of(BUCKET);
    let ctc = head == Some(Head::Ctc);
    let dims = EncoderDims { batch, frames, window: config.window, ctc, transducer: !ctc, keep: Keep::Heads };
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

/// A graph after the planner's rewrites.
///
/// # Errors
/// What a rewrite reports.
pub(crate) fn rewritten(mut graph: Graph, weights: &GgufWeights) -> anyhow::Result<Graph> {
    rewrite::run(&mut graph, &rewrite::Context { weights, folded: &FoldedWeights::default(), device: None })?;
    Ok(graph)
}
