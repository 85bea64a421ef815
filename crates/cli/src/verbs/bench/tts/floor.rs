//! What the stages ask of the machine, to set their times against what it can do: the bytes that a token of T3 reads, and the
//! operations of the others.

use super::measure::{Load, Run};
use crate::verbs::bench::machine::Machine;
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
    /// Products with quantised weights, a multiplication and an addition being two.
    quantised: f64,
    /// All other products: float weights, convolutions, attention.
    floats: f64,
    /// Bytes that are read at least, where reading is what bounds it.
    pub(super) bytes: Option<f64>,
    /// Whether it takes no fast route under any policy.
    exact: bool,
}

impl Cost {
    /// Of products with weights that are mostly of a type.
    fn of_weights(dtype: DType, operations: f64, bytes: Option<f64>) -> Self {
        let (quantised, floats) = if dtype.is_quantized() { (operations, 0.0) } else { (0.0, operations) };
        Self { quantised, floats, bytes, exact: false }
    }

    /// Of `times` runs of a graph.
    fn of_graph(work: Work, times: f64) -> Self {
        let quantised = times * work.quantised;
        Self { quantised, floats: times * work.operations() - quantised, bytes: None, exact: false }
    }

    /// All products.
    pub(super) fn operations(&self) -> f64 {
        self.quantised + self.floats
    }
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

    /// The part of the arithmetic's ceiling that a stage reached in so many seconds, and the ceiling's name. Products of either kind
    /// have a ceiling of their own: a stage with both can at best take as long as one and then the other.
    pub(super) fn of_operations(&self, cost: &Cost, seconds: f64) -> Option<(f64, String)> {
        if seconds <= 0.0 {
            return None;
        }
        if let Some(rate) = self.operations {
            return Some((cost.operations() / seconds / rate, "given".to_owned()));
        }
        let (machine, exact) = (self.measured()?, Policy::exact());
        let policy = if cost.exact { &exact } else { &self.policy };
        let (mut least, mut names) = (0.0, Vec::new());
        for (dtype, operations) in [(DType::Q8_0, cost.quantised), (DType::F32, cost.floats)] {
            let ceiling = machine.ceiling(self.threads, dtype, policy)?;
            least += operations / ceiling.rate;
            if operations > 0.0 && !names.contains(&ceiling.name) {
                names.push(ceiling.name);
            }
        }
        Some((least / seconds, names.join("+")))
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
        Cost::of_weights(dtype, sequences * (layers * before + head), None),
        Cost::of_weights(
            dtype,
            decoded * sequences * (layers + head),
            Some(decoded * (bytes + sequences * cached * rows)),
        ),
    ])
}

fn s3gen_costs(file: &GgufFile, load: &Load, prompt: Prompt) -> Result<[Cost; 4], ModelError> {
    let config = S3GenConfig::read(file)?;
    let (batch, tokens) = (load.batch, prompt.tokens + load.tokens);
    let (frames, spoken) = (tokens * config.flow.ratio, load.tokens * config.flow.ratio);
    let flow = FlowDims { batch, tokens, stages: false };
    let step = StepDims { batch, frames, stages: false };
    let steps = load.steps.unwrap_or(config.cfm.steps) as f64;
    let cost = |graph: Result<Graph, ModelError>, times: f64| -> Result<Cost, ModelError> {
        Ok(Cost::of_graph(Work::of(&graph?), times))
    };
    Ok([
        cost(flow_graph(file, &config.flow, &flow), 1.0)?,
        cost(cfm::step_graph(file, &config.cfm, &step), steps)?,
        Cost { exact: true, ..cost(pitch_graph(file, &config.hift, spoken), batch as f64)? },
        cost(vocoder_graph(file, &config.hift, spoken, false), batch as f64)?,
    ])
}

/// Bytes that a step of T3 reads.
pub(super) fn bytes_per_step(costs: &Costs, run: &Run) -> Option<f64> {
    let bytes = costs[1].and_then(|cost| cost.bytes)?;
    (run.decoded > 0).then(|| bytes / run.decoded as f64)
}
