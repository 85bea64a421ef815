//! `mynah bench ops`: matrix products at the shapes of Parakeet's encoder and decoder, one line a weight type.

use crate::exit::{Exit, Usage};
use crate::flags::element_type;
use crate::out;
use clap::Args;
use mynah::{DeviceChoice, Policy, Precision};
use mynah_device::Device;
use mynah_graph::{ElemType, GraphBuilder, WeightSpec};
use mynah_lab::timing::{Effort, measure};
use mynah_lab::{Arguments, Elements, Program};
use mynah_plan::MemoryWeights;
use mynah_tensor::{DType, HostTensor, Rng, encode_row};
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;

/// Flags of `mynah bench ops`.
#[derive(Args, Debug)]
pub(crate) struct BenchOps {
    /// Weight types; by default all that can be written
    #[arg(long = "type", value_name = "TYPE,...", value_delimiter = ',', value_parser = element_type)]
    dtype: Vec<DType>,

    /// Where: auto or cpu
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,

    /// Threads; by default one for each physical core
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// exact or fast
    #[arg(long, value_name = "exact|fast", default_value = "fast", value_parser = crate::flags::precision)]
    precision: Precision,

    /// Switch single routes
    #[arg(long, value_name = "NAME=on|off,...", value_delimiter = ',')]
    route: Vec<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Rows, columns and inner dimension of a product, and where it comes from.
const SHAPES: [([usize; 3], &str); 4] = [
    ([138, 1024, 1024], "0.6b attention, 11 s"),
    ([138, 4096, 1024], "0.6b feed-forward, 11 s"),
    ([138, 2048, 512], "110m feed-forward, 11 s"),
    ([1, 8198, 640], "0.6b v3 joint, one frame"),
];

impl BenchOps {
    /// Runs the measurement.
    ///
    /// # Errors
    /// A route that does not exist, a device that can't be opened or run.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let device = mynah::open_device(self.device, self.threads.map(usize::from))?;
        let mut policy = Policy { precision: self.precision, ..Policy::default() };
        policy
            .switch(&self.route.join(","), device.routes())
            .map_err(|e| Usage::plain(format!("--route: {e}")))?;
        let can_encode = |d: &DType| d.can_encode();
        let dtypes: Vec<DType> = match self.dtype.as_slice() {
            [] => DType::ALL.into_iter().filter(can_encode).collect(),
            chosen => chosen.to_vec(),
        };
        if let Some(dtype) = dtypes.iter().find(|d| !d.can_encode()) {
            return Err(Usage::plain(format!("{dtype} can be read but not made")).into());
        }
        let mut lines = Vec::new();
        for (shape, about) in SHAPES {
            for &dtype in &dtypes {
                // Rows that end inside a block can't be encoded.
                let [m, n, k] = shape;
                if dtype.row_bytes(k).is_none() {
                    continue;
                }
                let time = product(shape, dtype, device.as_ref(), &policy)?;
                let giga = 2.0 * (m * n * k) as f64 / time.as_secs_f64() / 1e9;
                lines.push((shape, about, dtype, time, giga));
            }
        }
        if self.json {
            let one = |(shape, about, dtype, time, giga): &([usize; 3], &str, DType, Duration, f64)| {
                json!({
                    "rows": shape[0], "columns": shape[1], "inner": shape[2], "from": about,
                    "type": dtype.name(), "seconds": time.as_secs_f64(), "gflops": giga,
                })
            };
            out::write_json(&lines.iter().map(one).collect())?;
            return Ok(Exit::Success);
        }
        let mut text = format!(
            "{:<28} {:<16} {:<6} {:>10} {:>8}\n",
            "matmul", "rows×cols×inner", "type", "µs", "GFLOP/s"
        );
        for ([m, n, k], about, dtype, time, giga) in lines {
            let (shape, micro) = (format!("{m}×{n}×{k}"), time.as_secs_f64() * 1e6);
            // Writing to a String can't fail.
            let _ = writeln!(text, "{about:<28} {shape:<16} {:<6} {micro:>10.1} {giga:>8.1}", dtype.name());
        }
        out::write(&text)?;
        Ok(Exit::Success)
    }
}

/// The median time of one product.
fn product(
    [m, n, k]: [usize; 3],
    dtype: DType,
    device: &dyn Device,
    policy: &Policy,
) -> anyhow::Result<Duration> {
    let mut rng = Rng::new(1);
    let mut random = |count: usize| -> Vec<f32> { (0..count).map(|_| rng.uniform() - 0.5).collect() };
    let mut stored = vec![0; dtype.row_bytes(n * k).unwrap_or_default()];
    encode_row(dtype, &random(n * k), &mut stored)?;
    let mut weights = MemoryWeights::default();
    weights.insert("w", HostTensor::new(dtype, [n, k], stored)?);
    let mut builder = GraphBuilder::new("bench");
    let x = builder.input("x", ElemType::F32, [m, k]);
    let w = builder.weight(&WeightSpec { name: "w".into(), shape: [n, k].into(), dtype });
    let y = builder.matmul(x, w);
    builder.output("y", y);
    let mut program = Program::new(&builder.finish()?, &weights, device, policy)?;
    let arguments = Arguments { inputs: vec![Elements::F32(random(m * k))], ..Arguments::default() };
    let effort = Effort { warm_up: 2, at_least: 5, at_most: 200, budget: Duration::from_millis(300) };
    let timing = measure(effort, || program.run(&arguments).map(|_| ()))?;
    Ok(timing.median)
}
