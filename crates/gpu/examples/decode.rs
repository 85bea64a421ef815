//! What a token of a language model waits for, by differences between chains of dependent dispatches, and a token of Qwen3.5 0.8B whole.
//!
//! ```text
//! cargo run --release -p mynah-gpu --example decode -- [--device vulkan] [--exact] [--kernels] [WHAT:TYPE ..]
//! ```
//!
//! `WHAT` is `token`, a [block](Block) or `add`. Of a block 24 in a row are run and 48: the difference is what 24 take, whatever starting
//! and reading back cost. Every weight is read once, and all of them together are more than a cache holds. `--kernels` lists the time
//! of each kernel by the GPU's clock, which costs some microseconds more than in a row with others.

#![allow(clippy::print_stdout, reason = "a table is what this is for")]

use mynah_device::{Data, Device, Policy, RunArgs, Session, StepTime, WeightBytes, WeightUse};
use mynah_gguf::{GgufFile, GgufWriter, Value};
use mynah_gpu::{GpuChoice, open};
use mynah_graph::{Activation, ElemType, Epilogue, GraphBuilder, Op, Prologue, ValueId, WeightSpec};
use mynah_lab::naive_plan;
use mynah_models::qwen35::{LoadOptions, Piece, Qwen35, StateLayout, Wanted};
use mynah_plan::Options;
use mynah_tensor::{DType, Rng, Shape, encode_row};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Blocks of the shorter of two chains.
const BLOCKS: usize = 24;
/// Runs of a chain that are timed, after some that are not.
const RUNS: usize = 40;
/// Tokens that are timed.
const TOKENS: usize = 200;
/// Runs that are not timed.
const WARM: usize = 5;
const HIDDEN: usize = 1024;
const EPS: f32 = 1e-6;

/// A part of a layer whose result the next one reads.
#[derive(Clone, Copy, Debug)]
enum Block {
    /// Projections of a delta net behind their norm, then that back, with the residual.
    Mixer,
    /// Gate and up behind their norm, then down behind the gated unit, with the residual.
    Feed,
    /// The feed-forward module of GPT-2 medium: behind a layer norm, with biases.
    Gpt2,
    /// 1024 × 1024, nothing else.
    Square,
    /// 1024 × 1024 behind a norm.
    Normed,
    /// An addition: what a dispatch costs.
    Add,
}

/// What is timed.
#[derive(Clone, Copy, Debug)]
enum What {
    Token,
    Chain(Block),
}

fn parse(text: &str) -> Result<(What, DType), String> {
    let (what, dtype) = text.split_once(':').unwrap_or((text, "Q8_0"));
    let what = match what {
        "token" => What::Token,
        "mixer" => What::Chain(Block::Mixer),
        "feed" => What::Chain(Block::Feed),
        "gpt2" => What::Chain(Block::Gpt2),
        "square" => What::Chain(Block::Square),
        "normed" => What::Chain(Block::Normed),
        "add" => What::Chain(Block::Add),
        other => {
            return Err(format!("'{other}' is none of token, mixer, feed, gpt2, square, normed, add"));
        }
    };
    Ok((what, dtype.parse().map_err(|_| format!("'{dtype}' is no type"))?))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut device, mut policy, mut kernels) = ("vulkan".to_owned(), Policy::default(), false);
    let mut wanted = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--device" => device = args.next().ok_or("--device needs a name, for example vulkan:1")?,
            "--exact" => policy = Policy::exact(),
            "--kernels" => kernels = true,
            what => wanted.push(parse(what)?),
        }
    }
    if wanted.is_empty() {
        for what in ["add", "square", "normed", "mixer", "feed", "gpt2", "token"] {
            wanted.push(parse(what)?);
        }
    }
    let device = open(device.parse::<GpuChoice>()?)?;
    let report = device.report();
    println!("{}: {}", report.description, report.features.join(", "));
    let device: Arc<dyn Device> = Arc::new(device);
    for (what, dtype) in wanted {
        match what {
            What::Token => token(&device, &policy, dtype, kernels)?,
            What::Chain(block) => chain(device.as_ref(), &policy, block, dtype, kernels)?,
        }
    }
    Ok(())
}

/// Rows of a weight, all alike: what they hold makes no difference to the time.
fn rows(rng: &mut Rng, dtype: DType, [n, k]: [usize; 2]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut values = vec![0.0; k];
    rng.fill_normal(&mut values, 1.0 / (k as f32).sqrt());
    let mut row = vec![0; dtype.row_bytes(k).ok_or("rows of the type are longer")?];
    encode_row(dtype, &values, &mut row)?;
    Ok(row.repeat(n))
}

/// Builds a chain, and gives its weights to a session.
struct Chain<'s> {
    graph: GraphBuilder,
    session: &'s mut dyn Session,
    rng: Rng,
    dtype: DType,
    weights: usize,
}

impl Chain<'_> {
    fn weight(&mut self, dtype: DType, dims: &[usize], use_: WeightUse) -> Result<ValueId, Box<dyn Error>> {
        let name = format!("w{}", self.weights);
        self.weights += 1;
        let shape = Shape::new(dims)?;
        let k = shape.last();
        let bytes = rows(&mut self.rng, dtype, [shape.numel() / k.max(1), k])?;
        self.session.prepare(&WeightBytes { name: &name, dtype, shape, bytes: &bytes }, use_)?;
        Ok(self.graph.weight(&WeightSpec { name, dtype, shape }))
    }

    fn vector(&mut self, n: usize) -> Result<ValueId, Box<dyn Error>> {
        self.weight(DType::F32, &[n], WeightUse::Elements)
    }

    /// A product behind `before`, whose operands follow.
    fn product(
        &mut self,
        x: ValueId,
        n: usize,
        before: Option<(Prologue, &[ValueId])>,
        (epilogue, after): (Epilogue, &[ValueId]),
    ) -> Result<ValueId, Box<dyn Error>> {
        let k = self.graph.shape(x).last();
        let w = self.weight(self.dtype, &[n, k], WeightUse::MatMul)?;
        let (op, operands) = match before {
            Some((prologue, own)) => (Op::MatMulAfter(prologue, epilogue), own),
            None => (Op::MatMul(epilogue), &[][..]),
        };
        Ok(self.graph.op(op, &[&[x, w], operands, after].concat()))
    }

    fn block(&mut self, block: Block, x: ValueId) -> Result<ValueId, Box<dyn Error>> {
        let plain = (Epilogue::default(), &[][..]);
        let residual = Epilogue { residual: true, ..Epilogue::default() };
        let norm = Prologue::RmsNorm { eps: EPS };
        match block {
            Block::Add => {
                let gain = self.vector(HIDDEN)?;
                Ok(self.graph.add(x, gain))
            }
            Block::Square => self.product(x, HIDDEN, None, plain),
            Block::Normed => {
                let gain = self.vector(HIDDEN)?;
                self.product(x, HIDDEN, Some((norm, &[gain])), plain)
            }
            Block::Mixer => {
                let gain = self.vector(HIDDEN)?;
                let z = self.product(x, 2048, Some((norm, &[gain])), plain)?;
                for n in [6144, 16, 16] {
                    self.product(x, n, Some((norm, &[gain])), plain)?;
                }
                self.product(z, HIDDEN, None, (residual, &[x]))
            }
            Block::Feed => {
                let gain = self.vector(HIDDEN)?;
                let gate = self.product(x, 3584, Some((norm, &[gain])), plain)?;
                let up = self.product(x, 3584, Some((norm, &[gain])), plain)?;
                self.product(up, HIDDEN, Some((Prologue::Gated(Activation::Silu), &[gate])), (residual, &[x]))
            }
            Block::Gpt2 => {
                let (gain, shift) = (self.vector(HIDDEN)?, self.vector(HIDDEN)?);
                let (wide, narrow) = (self.vector(4096)?, self.vector(HIDDEN)?);
                let up =
                    Epilogue { bias: true, activation: Some(Activation::GeluTanh), ..Epilogue::default() };
                let down = Epilogue { bias: true, ..residual };
                let norm = Prologue::LayerNorm { eps: EPS };
                let h = self.product(x, 4096, Some((norm, &[gain, shift])), (up, &[wide]))?;
                self.product(h, HIDDEN, None, (down, &[narrow, x]))
            }
        }
    }
}

/// Microseconds of a run with so many blocks, the least of several, and times by kernel.
fn run_chain(
    device: &dyn Device,
    policy: &Policy,
    block: Block,
    dtype: DType,
    blocks: usize,
    kernels: bool,
) -> Result<f64, Box<dyn Error>> {
    let mut session = device.open(policy)?;
    let graph = GraphBuilder::new("chain");
    let mut chain = Chain { graph, session: session.as_mut(), rng: Rng::new(1), dtype, weights: 0 };
    let mut x = chain.graph.input("x", ElemType::F32, [1, HIDDEN]);
    for _ in 0..blocks {
        x = chain.block(block, x)?;
    }
    let mut graph = chain.graph;
    graph.output("y", x);
    let program = session.compile(&naive_plan(&graph.finish()?))?;
    let mut values = vec![0.0; HIDDEN];
    Rng::new(2).fill_normal(&mut values, 1.0);
    let args = RunArgs { inputs: &[Data::F32(&values)], ..RunArgs::default() };
    let mut times = Vec::with_capacity(RUNS);
    for run in 0..WARM + RUNS {
        let begin = Instant::now();
        session.run(program, &args)?;
        session.output_f32(program, 0)?;
        if run >= WARM {
            times.push(begin.elapsed());
        }
    }
    if kernels {
        session.profile(true);
        for _ in 0..WARM {
            session.run(program, &args)?;
        }
        list(&session.step_times());
    }
    Ok(micros(&mut times)[0])
}

fn chain(
    device: &dyn Device,
    policy: &Policy,
    block: Block,
    dtype: DType,
    kernels: bool,
) -> Result<(), Box<dyn Error>> {
    let short = run_chain(device, policy, block, dtype, BLOCKS, kernels)?;
    let long = run_chain(device, policy, block, dtype, 2 * BLOCKS, false)?;
    let each = (long - short) / BLOCKS as f64;
    println!(
        "{:>8} {dtype:>6}  {each:>7.2} us each  ({short:.0} us for {BLOCKS}, {long:.0} for twice as many)",
        format!("{block:?}")
    );
    Ok(())
}

/// The least and the median in microseconds.
fn micros(times: &mut [Duration]) -> [f64; 2] {
    times.sort_unstable();
    [times.first(), times.get(times.len() / 2)].map(|t| t.map_or(f64::NAN, |t| t.as_secs_f64() * 1e6))
}

/// Times of kernels by the GPU's clock, those of one name together.
fn list(steps: &[StepTime]) {
    let mut kinds: Vec<(&str, u32, Duration, u64)> = Vec::new();
    for step in steps.iter().filter(|step| step.time > Duration::ZERO) {
        match kinds.iter_mut().find(|(kernel, ..)| *kernel == step.kernel) {
            Some((_, count, time, _)) => (*count, *time) = (*count + 1, *time + step.time),
            None => kinds.push((&step.kernel, 1, step.time, step.runs)),
        }
    }
    for (kernel, count, time, runs) in kinds {
        let each = time.as_secs_f64() * 1e6 / f64::from(count) / runs.max(1) as f64;
        println!("{:>16} {count:>3} x {each:>7.2} us  {kernel}", "");
    }
}

/// Tokens of Qwen3.5 0.8B after a hundred others: the whole, what the host takes to submit one without logits, and kernels.
fn token(
    device: &Arc<dyn Device>,
    policy: &Policy,
    dtype: DType,
    kernels: bool,
) -> Result<(), Box<dyn Error>> {
    let executor = Options { strict: true, policy: policy.clone(), ..Options::default() };
    let layout = StateLayout { page: 64, snapshots: 1, ..StateLayout::default() };
    let options = LoadOptions { executor, layout, sequences: 1, pages: 4 };
    let mut model = Qwen35::load(Arc::new(qwen(dtype)?), Arc::clone(device), None, options)?;
    model.reset(0)?;
    let prompt = vec![1; 100];
    let piece = |past, tokens, wanted| Piece { row: 0, pages: &[0, 1], past, snapshot: 0, tokens, wanted };
    model.step(&[piece(0, &prompt, Wanted::None)])?;
    let mut times = Vec::with_capacity(TOKENS);
    for run in 0..WARM + TOKENS {
        let begin = Instant::now();
        model.step(&[piece(100, &[2], Wanted::Last)])?;
        if run >= WARM {
            times.push(begin.elapsed());
        }
    }
    let [least, median] = micros(&mut times);
    println!("   token {dtype:>6}  {least:>7.1} us least, {median:.1} median: {:.0} tokens/s", 1e6 / median);
    // Without logits nothing is waited for: this is the host's part, which hides behind the device's where that is slower.
    let mut times = Vec::with_capacity(TOKENS);
    for run in 0..WARM + TOKENS {
        let begin = Instant::now();
        model.step(&[piece(100, &[2], Wanted::None)])?;
        if run >= WARM {
            times.push(begin.elapsed());
        }
    }
    let [least, median] = micros(&mut times);
    println!("   token {dtype:>6}  {least:>7.1} us least, {median:.1} median to submit, without logits");
    if kernels {
        model.executor().profile(true);
        for _ in 0..WARM {
            model.step(&[piece(100, &[2], Wanted::Last)])?;
        }
        list(&model.executor().step_times());
    }
    Ok(())
}

/// The 0.8B model with random weights.
fn qwen(dtype: DType) -> Result<GgufFile, Box<dyn Error>> {
    const LAYERS: usize = 24;
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", Value::from("qwen35".to_owned()));
    for (key, value) in [
        ("block_count", LAYERS),
        ("context_length", 262_144),
        ("embedding_length", HIDDEN),
        ("feed_forward_length", 3584),
        ("attention.head_count", 8),
        ("attention.head_count_kv", 2),
        ("attention.key_length", 256),
        ("attention.value_length", 256),
        ("rope.dimension_count", 64),
        ("ssm.conv_kernel", 4),
        ("ssm.state_size", 128),
        ("ssm.group_count", 16),
        ("ssm.time_step_rank", 16),
        ("ssm.inner_size", 2048),
    ] {
        writer.set(format!("qwen35.{key}"), Value::from(value as u32));
    }
    writer.set("qwen35.attention.layer_norm_rms_epsilon", Value::from(EPS));
    writer.set("qwen35.rope.freq_base", Value::from(1e7f32));
    let mut rng = Rng::new(3);
    let mut tensor = |name: &str, dims: &[usize]| -> Result<(), Box<dyn Error>> {
        let plain = dims.len() < 2 || dims[1] < HIDDEN;
        let dtype = if plain { DType::F32 } else { dtype };
        let k = *dims.last().unwrap_or(&1);
        let bytes = rows(&mut rng, dtype, [dims.iter().product::<usize>() / k, k])?;
        writer.tensor(name, dtype, dims, move |out| out.write_all(&bytes))?;
        Ok(())
    };
    tensor("token_embd.weight", &[248_320, HIDDEN])?;
    tensor("output_norm.weight", &[HIDDEN])?;
    let attention: &[(&str, &[usize])] = &[
        ("attn_q.weight", &[4096, HIDDEN]),
        ("attn_k.weight", &[512, HIDDEN]),
        ("attn_v.weight", &[512, HIDDEN]),
        ("attn_output.weight", &[HIDDEN, 2048]),
        ("attn_q_norm.weight", &[256]),
        ("attn_k_norm.weight", &[256]),
    ];
    let delta: &[(&str, &[usize])] = &[
        ("attn_qkv.weight", &[6144, HIDDEN]),
        ("attn_gate.weight", &[2048, HIDDEN]),
        ("ssm_conv1d.weight", &[6144, 4]),
        ("ssm_alpha.weight", &[16, HIDDEN]),
        ("ssm_beta.weight", &[16, HIDDEN]),
        ("ssm_out.weight", &[HIDDEN, 2048]),
        ("ssm_a", &[16]),
        ("ssm_dt.bias", &[16]),
        ("ssm_norm.weight", &[128]),
    ];
    let all: &[(&str, &[usize])] = &[
        ("ffn_gate.weight", &[3584, HIDDEN]),
        ("ffn_up.weight", &[3584, HIDDEN]),
        ("ffn_down.weight", &[HIDDEN, 3584]),
        ("attn_norm.weight", &[HIDDEN]),
        ("post_attention_norm.weight", &[HIDDEN]),
    ];
    for i in 0..LAYERS {
        let mixer = if (i + 1) % 4 == 0 { attention } else { delta };
        for (name, dims) in mixer.iter().chain(all) {
            tensor(&format!("blk.{i}.{name}"), dims)?;
        }
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes)?;
    Ok(GgufFile::from_bytes(bytes)?)
}
