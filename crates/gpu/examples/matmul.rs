//! Times matrix products with the GPU's own clock and checks them: TFLOP/s for many rows, TB/s of weights for few.
//!
//! ```text
//! cargo run --release -p mynah-gpu --example matmul -- [--device vulkan] [--exact] [ROWSxTERMSxCOLUMNS:TYPE ..]
//! ```
//!
//! Every product is taken with several copies of its weight, so that caches don't hold what memory should bring. The time is the
//! middle one of the copies', each timed alone, which costs some microseconds more than in a row with others.

#![allow(clippy::print_stdout, reason = "a table is what this is for")]

use mynah_device::{Data, Device, Policy, RunArgs, WeightBytes, WeightUse};
use mynah_gpu::open;
use mynah_graph::{ElemType, GraphBuilder, WeightSpec};
use mynah_lab::naive_plan;
use mynah_tensor::{DType, HostTensor, Rng, Shape};
use std::error::Error;

/// Bytes of weights that no cache holds.
const BEYOND_CACHES: usize = 256 << 20;
/// Bytes of activations that may be held at once.
const ACTIVATIONS: usize = 2 << 30;
/// Runs that are timed, after two that are not.
const RUNS: u32 = 10;
/// Elements of the result that are checked.
const CHECKED: usize = 256;

/// Rows, terms, columns and type of a product.
type Case = ([usize; 3], DType);

fn cases() -> Vec<Case> {
    let mut all = vec![([4096, 4096, 4096], DType::F16)];
    for rows in [138, 8832] {
        for dtype in [DType::F16, DType::BF16, DType::Q8_0, DType::Q4K] {
            all.extend([[rows, 1024, 4096], [rows, 4096, 1024]].map(|shape| (shape, dtype)));
        }
    }
    let halves = [DType::F16, DType::BF16];
    let blocks = [DType::Q8_0, DType::Q4_0, DType::Q5_0, DType::Q4K, DType::Q5K, DType::Q6K];
    all.extend(halves.into_iter().chain(blocks).map(|dtype| ([1, 4096, 14336], dtype)));
    all.extend([2, 4, 8].map(|rows| ([rows, 4096, 14336], DType::Q8_0)));
    all.extend([[1, 1024, 1024], [1, 4096, 1024]].map(|shape| (shape, DType::Q8_0)));
    all
}

fn parse(text: &str) -> Result<Case, String> {
    let wrong = || format!("'{text}' is not ROWSxTERMSxCOLUMNS:TYPE, for example 138x1024x4096:Q8_0");
    let (shape, dtype) = text.split_once(':').ok_or_else(wrong)?;
    let numbers: Result<Vec<usize>, _> = shape.split('x').map(str::parse).collect();
    let shape: [usize; 3] = numbers.ok().and_then(|n| n.try_into().ok()).ok_or_else(wrong)?;
    if shape.contains(&0) {
        return Err(wrong());
    }
    Ok((shape, dtype.parse().map_err(|_| wrong())?))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut device, mut policy, mut wanted) = ("vulkan".to_owned(), Policy::default(), Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--device" => device = args.next().ok_or("--device needs a name, for example vulkan:1")?,
            "--exact" => policy = Policy::exact(),
            case => wanted.push(parse(case)?),
        }
    }
    if wanted.is_empty() {
        wanted = cases();
    }
    let device = open(device.parse()?)?;
    let report = device.report();
    println!("{}: {}", report.description, report.features.join(", "));
    println!("               product    type       time   TFLOP/s     TB/s      NMSE  kernel");
    for (shape, dtype) in wanted {
        measure(&device, &policy, shape, dtype)?;
    }
    Ok(())
}

fn measure(
    device: &dyn Device,
    policy: &Policy,
    [m, k, n]: [usize; 3],
    dtype: DType,
) -> Result<(), Box<dyn Error>> {
    let mut values = vec![0.0; n * k];
    Rng::new(1).fill_normal(&mut values, 1.0 / (k as f32).sqrt());
    let weight = HostTensor::from_f32(Shape::from([n, k]), &values)?.to_dtype(dtype)?;
    // Every copy has a result of its own, which with many rows is far larger than the weight.
    let most = (ACTIVATIONS.saturating_sub(4 * m * k) / (4 * m * n)).clamp(2, 32);
    let copies = BEYOND_CACHES.div_ceil(weight.data().len().max(1)).clamp(2, most);
    let mut b = GraphBuilder::new("products");
    let input = b.input("x", ElemType::F32, [m, k]);
    let mut session = device.open(policy)?;
    let mut last = input;
    for copy in 0..copies {
        let name = format!("w{copy}");
        let shape = weight.shape();
        let w = b.weight(&WeightSpec { name: name.clone(), shape, dtype });
        session
            .prepare(&WeightBytes { name: &name, dtype, shape, bytes: weight.data() }, WeightUse::MatMul)?;
        last = b.matmul(input, w);
    }
    b.output("y", last);
    let program = session.compile(&naive_plan(&b.finish()?))?;
    let mut x = vec![0.0; m * k];
    Rng::new(2).fill_normal(&mut x, 1.0);
    let args = RunArgs { inputs: &[Data::F32(&x)], ..RunArgs::default() };
    for _ in 0..2 {
        session.run(program, &args)?;
    }
    let error = error(&x, &weight, session.output_f32(program, 0)?, [m, k, n]);
    session.profile(true);
    for _ in 0..RUNS {
        session.run(program, &args)?;
    }
    let times = session.step_times();
    let mut each: Vec<f64> = times.iter().map(|s| s.time.as_secs_f64() / s.runs.max(1) as f64).collect();
    each.sort_by(f64::total_cmp);
    let time = each.get(each.len() / 2).copied().unwrap_or(f64::NAN);
    let kernel = times.first().map(|s| s.kernel.clone()).unwrap_or_default();
    let flops = 2.0 * (m * k * n) as f64 / time / 1e12;
    let bytes = weight.data().len() as f64 / time / 1e12;
    let (product, micros) = (format!("{m} x {k} x {n}"), time * 1e6);
    println!(
        "{product:>22}  {dtype:>6}  {micros:>6.1} us  {flops:>8.2}  {bytes:>7.3}  {error:>8.1e}  {kernel}"
    );
    Ok(())
}

/// Normalised mean square error of some elements against sums in f64.
fn error(x: &[f32], weight: &HostTensor, y: &[f32], [m, k, n]: [usize; 3]) -> f64 {
    let w = weight.to_f32();
    let mut rng = Rng::new(3);
    let (mut wrong, mut right) = (0.0, 0.0);
    for _ in 0..CHECKED {
        let (row, column) = (rng.below(m), rng.below(n));
        let terms = x[row * k..][..k].iter().zip(&w[column * k..][..k]);
        let wanted: f64 = terms.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        wrong += (f64::from(y[row * n + column]) - wanted).powi(2);
        right += wanted.powi(2);
    }
    wrong / right
}
