//! What the stages ask of the machine, to set their times against what it can do: the bytes that a token of T3 reads, and the
//! operations of the others.

use super::measure::{Load, Run};
use crate::verbs::bench::machine::{Ceiling, Machine};
use crate::verbs::bench::weights::main_type;
use anyhow::Context as _;
use mynah_device::{Device, Policy};
use mynah_gguf::GgufFile;
use mynah_graph::Graph;
use mynah_lab::Work;
use mynah_models::ModelError;
use mynah_models::chatterbox::cfm::{self, StepDims};
use mynah_models::chatterbox::flow::{FlowDims, flow_graph};
use mynah_models::chatterbox::hift::{pitch_graph, vocoder_graph};
use mynah_models::chatterbox::s3gen::S3GenConfig;
use mynah_models::chatterbox::t3::{Lengths, T3, T3Config};
use mynah_tensor::DType;

/// What a stage asks for in one run, of all texts together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    /// Products, a multiplication and an addition being two.
    pub(super) operations: f64,
    /// Bytes that are read at least, where reading is what bounds it.
    pub(super) bytes: Option<f64>,
    /// What most of its weights are.
    dtype: DType,
}

/// What each of [`Run::stages`] asks for; the source is no product.
pub(super) type Costs = [Option<Cost>; 7];

/// What the machine can do, as far as it is known.
pub(super) struct Ceilings {
    pub(super) machine: Option<Machine>,
    /// Bytes a second, instead of what was measured.
    pub(super) bytes: Option<f64>,
    /// Operations a second, instead of what was measured.
    pub(super) operations: Option<f64>,
    pub(super) threads: usize,
    pub(super) policy: Policy,
    /// Of a GPU nothing is measured.
    pub(super) on_gpu: bool,
}

impl Ceilings {
    fn measured(&self) -> Option<&Machine> {
        self.machine.as_ref().filter(|_| !self.on_gpu)
    }

    /// The part of the arithmetic's ceiling that a stage reached in so many seconds, and the ceiling's name.
    pub(super) fn of_operations(&self, cost: &Cost, seconds: f64) -> Option<(f64, &'static str)> {
        let given = self.operations.map(|rate| Ceiling { name: "given", rate });
        let measured = || self.measured()?.ceiling(self.threads, cost.dtype, &self.policy);
        let ceiling = given.or_else(measured)?;
        (seconds > 0.0).then(|| (cost.operations / seconds / ceiling.rate, ceiling.name))
    }

    /// The part of the memory's bandwidth that a stage reached.
    pub(super) fn of_bytes(&self, cost: &Cost, seconds: f64) -> Option<f64> {
        let measured = || Some(self.measured()?.peaks(self.threads)?.read);
        let rate = self.bytes.or_else(measured)?;
        cost.bytes.filter(|_| seconds > 0.0).map(|bytes| bytes / seconds / rate)
    }
}

/// Lengths in a voice that decide how much work there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prompt {
    /// Rows of T3's sequences before the text, the guided one's alone.
    pub(super) rows: usize,
    /// Tokens that S3Gen goes on from.
    pub(super) tokens: usize,
}

/// Costs of [`Load`] on a device under a policy. T3's are those of its weights and of its cache; what attention computes is left out.
///
/// # Errors
/// What is wrong with a file.
pub(super) fn costs(
    files: &[GgufFile; 2],
    load: &Load,
    prompt: Prompt,
    at: (&dyn Device, &Policy),
) -> anyhow::Result<Costs> {
    let [t3, s3gen] = files;
    let [prefill, tokens] = t3_costs(t3, load, prompt, at).context("T3's work can't be told")?;
    let [encoder, flow, pitch, vocoder] =
        s3gen_costs(s3gen, load, prompt).context("S3Gen's work can't be told")?;
    Ok([Some(prefill), Some(tokens), Some(encoder), Some(flow), Some(pitch), None, Some(vocoder)])
}

fn t3_costs(
    file: &GgufFile,
    load: &Load,
    prompt: Prompt,
    (device, policy): (&dyn Device, &Policy),
) -> Result<[Cost; 2], ModelError> {
    let (mut bytes, mut layers, mut head) = (0.0, 0.0, 0.0);
    for tensor in file.tensors() {
        let name = tensor.name.as_str();
        let is_head = name == "chatterbox/speech_head";
        let in_layer = name.starts_with("model/h") && name.ends_with("/w");
        if tensor.shape.dims().len() != 2 || !(is_head || in_layer) {
            continue;
        }
        bytes += tensor.nbytes as f64;
        *(if is_head { &mut head } else { &mut layers }) += 2.0 * tensor.shape.numel() as f64;
    }
    let config = T3Config::read(file)?;
    let lengths = Lengths { requests: load.batch, guided: true, text: load.text, speech: load.tokens };
    let cached = T3::estimate(file, device, policy, &lengths)?.token as f64;
    let (sequences, decoded) = (lengths.batch(&config) as f64, load.tokens.saturating_sub(1) as f64);
    let before = (prompt.rows + load.text) as f64;
    let dtype = main_type(file, |name| name.starts_with("model/h"));
    // Keys and values of what came before, and of half of what is made on average.
    let rows = before + decoded / 2.0;
    Ok([
        Cost { operations: sequences * (layers * before + head), bytes: None, dtype },
        Cost {
            operations: decoded * sequences * (layers + head),
            bytes: Some(decoded * (bytes + sequences * cached * rows)),
            dtype,
        },
    ])
}

fn s3gen_costs(file: &GgufFile, load: &Load, prompt: Prompt) -> Result<[Cost; 4], ModelError> {
    let config = S3GenConfig::read(file)?;
    let (batch, tokens) = (load.batch, prompt.tokens + load.tokens);
    let (frames, spoken) = (tokens * config.flow.ratio, load.tokens * config.flow.ratio);
    let flow = FlowDims { batch, tokens, stages: false };
    let step = StepDims { batch, frames, stages: false };
    let steps = load.steps.unwrap_or(config.cfm.steps) as f64;
    let cost = |part: &str, graph: Result<Graph, ModelError>, times: f64| -> Result<Cost, ModelError> {
        let operations = times * Work::of(&graph?).operations();
        Ok(Cost { operations, bytes: None, dtype: main_type(file, |name| name.starts_with(part)) })
    };
    Ok([
        cost("flow/", flow_graph(file, &config.flow, &flow), 1.0)?,
        cost("cfm/", cfm::step_graph(file, &config.cfm, &step), steps)?,
        cost("hift/f0_predictor/", pitch_graph(file, &config.hift, spoken), batch as f64)?,
        cost("hift/", vocoder_graph(file, &config.hift, spoken, false), batch as f64)?,
    ])
}

/// Bytes that a step of T3 reads.
pub(super) fn bytes_per_step(costs: &Costs, run: &Run) -> Option<f64> {
    let bytes = costs[1].and_then(|cost| cost.bytes)?;
    (run.decoded > 0).then(|| bytes / run.decoded as f64)
}
