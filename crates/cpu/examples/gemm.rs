//! Measures matrix products of the shapes of Parakeet 0.6b: GFLOP/s for many rows, GB/s of weights for few.
//!
//! `cargo run --release -p mynah-cpu --example gemm -- [threads] [filter]`

#![allow(clippy::print_stdout)] // a table is what this is for

use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::{Data, Device, Policy, RunArgs, WeightBytes, WeightUse};
use mynah_graph::{ElemType, GraphBuilder, WeightSpec};
use mynah_lab::naive_plan;
use mynah_tensor::{DType, HostTensor, Rng, Shape};
use std::error::Error;
use std::time::{Duration, Instant};

/// Rows, terms and columns: attention and feed-forward of a clip of 11 s, long audio, and the decoder's steps.
const SHAPES: [[usize; 3]; 7] = [
    [138, 1024, 1024],
    [138, 1024, 4096],
    [138, 4096, 1024],
    [3750, 1024, 1024],
    [1, 640, 8198],
    [1, 1280, 2560],
    [4, 640, 8198],
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let threads = args.next().map_or(Ok(1), |t| t.parse())?;
    let filter = args.next().unwrap_or_default();
    let device = CpuDevice::new(CpuOptions { threads: Some(threads), simd: None })?;
    println!("{} threads, {}", device.threads(), device.simd());
    for [m, k, n] in SHAPES {
        for dtype in [DType::F32, DType::F16, DType::Q8_0, DType::Q4_0, DType::Q5_0, DType::Q4K, DType::Q6K] {
            if k % dtype.block_len() != 0 {
                continue;
            }
            let weight = random(n, k, dtype)?;
            for (name, policy) in [("exact", Policy::exact()), ("fast", Policy::default())] {
                if format!("{m}x{k}x{n} {dtype} {name}").contains(&filter) {
                    measure(&device, &policy, name, [m, k, n], &weight)?;
                }
            }
        }
    }
    Ok(())
}

fn random(n: usize, k: usize, dtype: DType) -> Result<HostTensor, Box<dyn Error>> {
    let mut values = vec![0.0; n * k];
    Rng::new(1).fill_normal(&mut values, 0.05);
    Ok(HostTensor::from_f32(Shape::from([n, k]), &values)?.to_dtype(dtype)?)
}

fn measure(
    device: &CpuDevice,
    policy: &Policy,
    name: &str,
    [m, k, n]: [usize; 3],
    weight: &HostTensor,
) -> Result<(), Box<dyn Error>> {
    let mut b = GraphBuilder::new("gemm");
    let x = b.input("x", ElemType::F32, [m, k]);
    let shape = Shape::from([n, k]);
    let w = b.weight(&WeightSpec { name: "w".into(), shape, dtype: weight.dtype() });
    let y = b.matmul(x, w);
    b.output("y", y);
    let mut session = device.open(policy)?;
    let bytes = WeightBytes { name: "w", dtype: weight.dtype(), shape, bytes: weight.data() };
    session.prepare(&bytes, WeightUse::MatMul)?;
    let program = session.compile(&naive_plan(&b.finish()?))?;
    let mut x = vec![0.0; m * k];
    Rng::new(2).fill_normal(&mut x, 1.0);
    let args = RunArgs { inputs: &[Data::F32(&x)], ..RunArgs::default() };
    session.run(program, &args)?;
    let (start, mut best) = (Instant::now(), Duration::MAX);
    while start.elapsed() < Duration::from_millis(300) {
        let once = Instant::now();
        session.run(program, &args)?;
        best = best.min(once.elapsed());
    }
    session.profile(true);
    session.run(program, &args)?;
    let kernel = session.step_times().first().map(|s| s.kernel.clone()).unwrap_or_default();
    let seconds = best.as_secs_f64();
    let rate = 2.0 * (m * k * n) as f64 / seconds / 1e9;
    let read = weight.data().len() as f64 / seconds / 1e9;
    let micros = seconds * 1e6;
    println!(
        "{m:>5} x {k:>4} x {n:>4}  {name:<5}  {rate:>7.1} GFLOP/s  {read:>6.1} GB/s  {micros:>8.0} us  {kernel}"
    );
    Ok(())
}
