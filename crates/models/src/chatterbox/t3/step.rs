//! The graphs of the backbone: the beginning of a sequence, and a token more of several.
//!
//! A guided sequence is two rows of the batch, the second without the text, so each weight is read once for both.

use super::align::ALIGNED_HEADS;
use super::config::{Backbone, T3Config};
use super::layer::{Layer, layer_norm, rms_norm, state_decls};
use super::pages::CacheLayout;
use crate::error::ModelError;
use crate::params::Params;
use mynah_gguf::GgufFile;
use mynah_graph::{ElemType, Graph, GraphBuilder, Op, StateId, ValueId};

/// The shape a beginning is planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PrefillDims {
    /// Rows of the batch: two with guidance.
    pub(super) batch: usize,
    /// Rows of the voice.
    pub(super) voice: usize,
    /// Text tokens, with room.
    pub(super) text: usize,
    /// Pages listed for each row.
    pub(super) pages: usize,
    /// Whether queries and keys of the aligned heads are wanted.
    pub(super) aligned: bool,
}

impl PrefillDims {
    /// Rows that may follow each other.
    pub(super) fn time(&self, config: &T3Config) -> usize {
        // Start of speech once for GPT-2 and twice for the Llama, as in Python, whose loop adds a second one.
        let (emotion, starts) = config.llama().map_or((0, 1), |llama| (usize::from(llama.emotion), 2));
        self.voice + emotion + self.text + starts
    }
}

/// The shape a step is planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StepDims {
    /// Rows of the batch.
    pub(super) batch: usize,
    /// Pages listed for each row.
    pub(super) pages: usize,
    /// Whether queries and keys of the aligned heads are wanted.
    pub(super) aligned: bool,
}

/// f32 `voice [C, H]`, with emotion f32 `exaggeration [1, 1]`, i32 `text [N]`, for the Llama i32 `text_positions [N]`, i32 `start [1]`,
/// for the Llama i32 `start_position [1]`; i32 `rows [B, T]`, `positions [B, T]`, `cached [B, 2]`, `pages [B, P]`, `last [B]` → `logits [B, V]`,
/// and `queries`, `keys` `[B, T, heads, width]` where they are wanted.
///
/// `rows` says which rows of a table follow each other in each row of the batch: those of the voice, emotion, text, (for the Llama) text
/// positions alone, start of speech. So the lengths of voice and text, and guidance, need no graph of their own.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub(super) fn prefill_graph(
    file: &GgufFile,
    config: &T3Config,
    cache: CacheLayout,
    dims: &PrefillDims,
) -> Result<Graph, ModelError> {
    let params = Params::new(file);
    let mut g = GraphBuilder::new("prefill");
    let hidden = config.hidden;
    let mut table = vec![g.input("voice", ElemType::F32, [dims.voice, hidden])];
    if config.llama().is_some_and(|llama| llama.emotion) {
        let exaggeration = g.input("exaggeration", ElemType::F32, [1, 1]);
        let w = params.weight(&mut g, "chatterbox/emotion_adv_fc/w", [1, hidden])?;
        table.push(g.mul(w, exaggeration));
    }
    let text = g.input("text", ElemType::I32, [dims.text]);
    let embedding = params.weight(&mut g, "chatterbox/text_emb", [config.text_vocabulary, hidden])?;
    let text = g.gather(embedding, text);
    match config.llama() {
        None => table.push(text),
        Some(llama) => {
            let positions = g.input("text_positions", ElemType::I32, [dims.text]);
            let rows = [llama.text_positions, hidden];
            let rows = params.weight(&mut g, "chatterbox/text_pos_emb", rows)?;
            let positions = g.gather(rows, positions);
            table.push(g.add(text, positions));
            table.push(positions);
        }
    }
    let start = g.input("start", ElemType::I32, [1]);
    let position = config.llama().map(|_| g.input("start_position", ElemType::I32, [1]));
    table.push(speech(&mut g, &params, config, start, position)?);
    let table = g.op(Op::Concat { axis: 0 }, &table);

    let time = dims.time(config);
    let rows = g.input("rows", ElemType::I32, [dims.batch, time]);
    let places = Places::declare(&mut g, [dims.batch, time, dims.pages]);
    let last = g.input("last", ElemType::I32, [dims.batch]);
    let mut x = g.gather(table, rows);
    if let Backbone::Gpt2 { positions } = config.backbone {
        let wpe = params.weight(&mut g, "model/wpe", [positions, hidden])?;
        let positions = g.gather(wpe, places.positions);
        x = g.add(x, positions);
    }
    let x = backbone(&mut g, params, config, cache, &places, dims.aligned, x)?;
    let x = g.reshape(x, &[dims.batch * time, hidden]);
    let x = g.gather(x, last);
    let logits = head(&mut g, &params, config, x)?;
    g.output("logits", logits);
    Ok(g.finish()?)
}

/// i32 `tokens [B, 1]`, for the Llama i32 `speech_positions [B, 1]`; i32 `positions [B, 1]`, `cached [B, 2]`, `pages [B, P]` →
/// `logits [B, V]`, and `queries`, `keys` `[B, 1, heads, width]` where they are wanted.
///
/// # Errors
/// A tensor that is missing or has the wrong shape.
pub(super) fn step_graph(
    file: &GgufFile,
    config: &T3Config,
    cache: CacheLayout,
    dims: &StepDims,
) -> Result<Graph, ModelError> {
    let params = Params::new(file);
    let mut g = GraphBuilder::new("step");
    let tokens = g.input("tokens", ElemType::I32, [dims.batch, 1]);
    let speech_positions =
        config.llama().map(|_| g.input("speech_positions", ElemType::I32, [dims.batch, 1]));
    let places = Places::declare(&mut g, [dims.batch, 1, dims.pages]);
    // GPT-2 counts every row of the sequence, the Llama speech alone.
    let x = speech(&mut g, &params, config, tokens, Some(speech_positions.unwrap_or(places.positions)))?;
    let x = backbone(&mut g, params, config, cache, &places, dims.aligned, x)?;
    let x = g.reshape(x, &[dims.batch, config.hidden]);
    let logits = head(&mut g, &params, config, x)?;
    g.output("logits", logits);
    Ok(g.finish()?)
}

/// Embeddings of speech tokens, with the positions of these numbers where there are any.
fn speech(
    g: &mut GraphBuilder,
    params: &Params<'_>,
    config: &T3Config,
    tokens: ValueId,
    positions: Option<ValueId>,
) -> Result<ValueId, ModelError> {
    let hidden = config.hidden;
    let table = params.weight(g, "chatterbox/speech_emb", [config.speech_vocabulary, hidden])?;
    let x = g.gather(table, tokens);
    let Some(positions) = positions else { return Ok(x) };
    let (name, rows) = match &config.backbone {
        Backbone::Llama(llama) => ("chatterbox/speech_pos_emb", llama.speech_positions),
        Backbone::Gpt2 { positions } => ("model/wpe", *positions),
    };
    let table = params.weight(g, name, [rows, hidden])?;
    let positions = g.gather(table, positions);
    Ok(g.add(x, positions))
}

/// Where the tokens of a rectangle stand in their sequences.
struct Places {
    positions: ValueId,
    cached: ValueId,
    pages: ValueId,
}

impl Places {
    fn declare(g: &mut GraphBuilder, [batch, time, pages]: [usize; 3]) -> Self {
        Self {
            positions: g.input("positions", ElemType::I32, [batch, time]),
            cached: g.input("cached", ElemType::I32, [batch, 2]),
            pages: g.input("pages", ElemType::I32, [batch, pages]),
        }
    }
}

/// All layers; `aligned` makes the queries and keys of [`ALIGNED_HEADS`] outputs.
fn backbone(
    g: &mut GraphBuilder,
    params: Params<'_>,
    config: &T3Config,
    cache: CacheLayout,
    places: &Places,
    aligned: bool,
    mut x: ValueId,
) -> Result<ValueId, ModelError> {
    let states: Vec<StateId> = state_decls(config, cache).iter().map(|decl| g.declare(decl)).collect();
    let mut looked_at = [None; ALIGNED_HEADS.len()];
    for (i, &states) in states.as_chunks::<2>().0.iter().enumerate() {
        let layer = Layer {
            params,
            config,
            name: format!("model/h{i}"),
            states,
            positions: places.positions,
            cached: places.cached,
            pages: places.pages,
        };
        let passed = g.scope(format!("h{i}"), |g| layer.block(g, x))?;
        x = passed.x;
        for (place, &(layer, head)) in looked_at.iter_mut().zip(&ALIGNED_HEADS) {
            if aligned && layer == i {
                let key_head = head / (config.heads / config.key_heads);
                *place = Some([g.slice(passed.queries, 2, head, 1), g.slice(passed.keys, 2, key_head, 1)]);
            }
        }
    }
    for (part, name) in ["queries", "keys"].into_iter().enumerate() {
        let heads: Vec<ValueId> = looked_at.iter().flatten().map(|both| both[part]).collect();
        if heads.len() == ALIGNED_HEADS.len() {
            let joined = g.op(Op::Concat { axis: 2 }, &heads);
            g.output(name, joined);
        }
    }
    Ok(x)
}

/// `x [n, H]` → logits `[n, V]`.
fn head(
    g: &mut GraphBuilder,
    params: &Params<'_>,
    config: &T3Config,
    x: ValueId,
) -> Result<ValueId, ModelError> {
    let x = match config.backbone {
        Backbone::Llama(_) => rms_norm(g, params, "model/norm", x, config.eps)?,
        Backbone::Gpt2 { .. } => layer_norm(g, params, "model/ln_f", x, config.eps)?,
    };
    let w = params.weight(g, "chatterbox/speech_head", [config.speech_vocabulary, config.hidden])?;
    let bias = params.optional(g, "chatterbox/speech_head_bias", [config.speech_vocabulary])?;
    Ok(g.linear(x, w, bias))
}

/// A number for a device; one too large for it is out of every range, and refused as such.
pub(super) fn number(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// Page counts are rounded up to powers of four, as each has plans of its own.
pub(super) fn page_bucket(pages: usize) -> usize {
    let mut bucket: usize = 4;
    while bucket < pages {
        bucket = bucket.saturating_mul(4);
    }
    bucket
}

/// Text lengths are rounded up, so that few plans serve all texts.
pub(super) fn text_bucket(tokens: usize) -> usize {
    tokens.next_multiple_of(if tokens <= 64 { 8 } else { 32 })
}
