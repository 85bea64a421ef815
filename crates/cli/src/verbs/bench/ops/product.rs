//! Times products of one weight type and shape on a device, with weights from memory or from the cache.

use super::Shape;
use mynah::Policy;
use mynah_device::{Data, Device, ProgramId, RunArgs, Session, WeightBytes, WeightUse};
use mynah_graph::{ElemType, GraphBuilder, WeightSpec};
use mynah_lab::naive_plan;
use mynah_lab::timing::{Effort, measure};
use mynah_tensor::{DType, Rng, encode_row};
use std::time::Duration;

/// Bytes of weights that no cache holds, and copies at most.
const COLD: usize = 256 << 20;
const COPIES: usize = 1024;
/// Rows of a weight that are drawn; the rest repeats them, since encoding takes far longer than multiplying.
const DRAWN: usize = 64;

/// A product's time.
pub(super) struct Measured {
    /// Median seconds of one product.
    pub(super) seconds: f64,
    /// The kernel it took.
    pub(super) kernel: String,
}

/// Copies of a weight on a device.
pub(super) struct Weights {
    session: Box<dyn Session>,
    names: Vec<String>,
    shape: Shape,
    dtype: DType,
    bytes: usize,
}

impl Weights {
    /// Draws a weight and brings as many copies of it to the device as it takes to fill no cache.
    ///
    /// # Errors
    /// What encoding or the device reports.
    pub(super) fn prepare(
        shape: Shape,
        dtype: DType,
        device: &dyn Device,
        policy: &Policy,
    ) -> anyhow::Result<Self> {
        let Shape { terms, columns } = shape;
        let drawn = DRAWN.min(columns);
        let mut values = vec![0.0; terms * drawn];
        Rng::new(1).fill_normal(&mut values, 0.05);
        let mut stripe = vec![0; dtype.row_bytes(values.len()).unwrap_or_default()];
        encode_row(dtype, &values, &mut stripe)?;
        let stored: Vec<u8> = stripe.iter().copied().cycle().take(stripe.len() / drawn * columns).collect();
        let copies = COLD.div_ceil(stored.len().max(1)).clamp(1, COPIES);
        let mut session = device.open(policy)?;
        let names: Vec<String> = (0..copies).map(|copy| format!("w{copy}")).collect();
        for name in &names {
            let weight = WeightBytes { name, dtype, shape: [columns, terms].into(), bytes: &stored };
            session.prepare(&weight, WeightUse::MatMul)?;
        }
        Ok(Self { session, names, shape, dtype, bytes: stored.len() })
    }

    /// Bytes of one weight in a file.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Times products of `rows` rows for about `budget` seconds, with all copies in turn when `cold`, else with one.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn time(&mut self, rows: usize, cold: bool, budget: f64) -> anyhow::Result<Measured> {
        let copies = if cold { self.names.len() } else { 1 };
        let programs: Vec<ProgramId> =
            (0..copies).map(|copy| self.compile(rows, copy)).collect::<Result<_, _>>()?;
        let mut x = vec![0.0; rows * self.shape.terms];
        Rng::new(2).fill_normal(&mut x, 1.0);
        let args = RunArgs { inputs: &[Data::F32(&x)], ..RunArgs::default() };
        // Several products between two looks at the clock, and the first pass over the copies not counted.
        let session = &mut self.session;
        let mut pass = || programs.iter().try_for_each(|&program| session.run(program, &args));
        let effort =
            Effort { warm_up: 1, at_least: 3, at_most: 10_000, budget: Duration::from_secs_f64(budget) };
        let timing = measure(effort, &mut pass)?;
        self.session.profile(true);
        let ran = programs.first().map(|&program| self.session.run(program, &args));
        let kernel = self.session.step_times().into_iter().find(|s| s.runs > 0).map(|s| s.kernel);
        self.session.profile(false);
        programs.iter().for_each(|&program| self.session.forget(program));
        ran.transpose()?;
        Ok(Measured {
            seconds: timing.median.as_secs_f64().max(1e-9) / copies as f64,
            kernel: kernel.unwrap_or_default(),
        })
    }

    /// The product with one copy as a program of its own.
    fn compile(&mut self, rows: usize, copy: usize) -> anyhow::Result<ProgramId> {
        let Shape { terms, columns } = self.shape;
        let mut graph = GraphBuilder::new("bench");
        let x = graph.input("x", ElemType::F32, [rows, terms]);
        let name = self.names[copy].clone();
        let w = graph.weight(&WeightSpec { name, shape: [columns, terms].into(), dtype: self.dtype });
        let y = graph.matmul(x, w);
        graph.output("y", y);
        Ok(self.session.compile(&naive_plan(&graph.finish()?))?)
    }
}
