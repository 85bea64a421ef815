//! `mynah ops perf`: every op at the shapes of real models: time, GB/s, GFLOP/s, and how much of the device's peak that
//! is.
//!
//! The time is that of the op's own step, as the device measures it; transfers to and from a GPU are no part of it. The
//! CPU's peaks are measured. Those of a GPU are not to be had from outside: its bandwidth is taken to be that of the best
//! copy that this device makes itself, or what --peak-bytes says, its arithmetic only what --peak-flops says.

use crate::exit::{Exit, Usage};
use crate::verbs::bench::columns;
use crate::{flags, out};
use clap::Args;
use mynah::{Device, DeviceChoice, Policy, Precision};
use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::StepTime;
use mynah_graph::{Graph, Node, Op};
use mynah_lab::{LabError, OpCase, Program, Work, real};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Flags of `mynah ops perf`.
#[derive(Args, Debug)]
pub(crate) struct Perf {
    /// Only this op
    #[arg(long, value_name = "NAME")]
    op: Option<String>,

    /// Where they run: auto, cpu, metal, vulkan or dx12, with :N for one of several adapters
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,

    /// Threads of the CPU; by default one for each physical core
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// exact or fast
    #[arg(long, value_name = "exact|fast", default_value = "fast", value_parser = flags::precision)]
    precision: Precision,

    /// Switch single routes
    #[arg(long, value_name = "NAME=on|off,...", value_delimiter = ',')]
    route: Vec<String>,

    /// Seconds of runs for each op
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5, value_parser = flags::positive)]
    budget: f64,

    /// Bytes a second that the device's memory gives at most, in GB/s, instead of what is measured
    #[arg(long, value_name = "GB/S", value_parser = flags::positive)]
    peak_bytes: Option<f64>,

    /// Operations a second that the device does at most, in GFLOP/s, instead of what is measured
    #[arg(long, value_name = "GFLOP/S", value_parser = flags::positive)]
    peak_flops: Option<f64>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a device does at most in a second.
#[derive(Clone, Copy, Debug, Default)]
struct Peak {
    bytes: Option<f64>,
    flops: Option<f64>,
}

/// One case.
struct Line {
    name: String,
    op: &'static str,
    outcome: Result<Measured, String>,
    bytes: f64,
    operations: f64,
}

/// A case that ran.
struct Measured {
    seconds: f64,
    kernel: String,
}

impl Line {
    /// Bytes and operations a second.
    fn rates(&self) -> Option<[f64; 2]> {
        let seconds = self.outcome.as_ref().ok()?.seconds.max(1e-9);
        Some([self.bytes / seconds, self.operations / seconds])
    }

    /// How much of the nearer peak that is.
    fn of_peak(&self, peak: Peak) -> Option<f64> {
        let [bytes, operations] = self.rates()?;
        let parts = [peak.bytes.map(|p| bytes / p), peak.flops.map(|p| operations / p)];
        parts.into_iter().flatten().reduce(f64::max)
    }
}

impl Perf {
    /// Runs the verb.
    ///
    /// # Errors
    /// An op, route or device that does not exist. A case that fails is a line that says why.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let threads = self.threads.map(usize::from);
        let device = mynah::open_device(self.device, threads)?;
        let mut policy = Policy { precision: self.precision, ..Policy::default() };
        policy
            .switch(&self.route.join(","), device.routes())
            .map_err(|e| Usage::plain(format!("--route: {e}")))?;
        let all = real()?;
        let stream = all.iter().find(|c| c.name.contains("/stream/")).cloned();
        let cases = super::of_op(all, self.op.as_deref())?;
        let peak = self.peak(device.as_ref(), &policy, stream.as_ref(), threads)?;
        let lines: Vec<Line> = cases.iter().map(|case| self.line(case, device.as_ref(), &policy)).collect();
        if self.json {
            let results: Vec<Value> = lines.iter().map(|line| json_of(line, peak)).collect();
            out::write_json(&json!({
                "device": device.name(),
                "description": device.report().description,
                "peak": { "bytes": peak.bytes, "flops": peak.flops },
                "results": results,
            }))?;
        } else {
            out::write(&text(&lines, peak, device.as_ref()))?;
        }
        Ok(Exit::Success)
    }

    fn peak(
        &self,
        device: &dyn Device,
        policy: &Policy,
        stream: Option<&OpCase>,
        threads: Option<usize>,
    ) -> anyhow::Result<Peak> {
        let mut peak = match self.device.resolve() {
            DeviceChoice::Gpu(_) => {
                let copied = stream.and_then(|case| self.line(case, device, policy).rates());
                Peak { bytes: copied.map(|[bytes, _]| bytes), flops: None }
            }
            DeviceChoice::Auto | DeviceChoice::Cpu => {
                let peaks = CpuDevice::new(CpuOptions { threads, simd: None })?.peaks()?;
                let best = [peaks.int8, peaks.bf16, Some(peaks.f32)].into_iter().flatten().reduce(f64::max);
                Peak { bytes: Some(peaks.read), flops: best }
            }
        };
        peak.bytes = self.peak_bytes.map(|giga| giga * 1e9).or(peak.bytes);
        peak.flops = self.peak_flops.map(|giga| giga * 1e9).or(peak.flops);
        Ok(peak)
    }

    fn line(&self, case: &OpCase, device: &dyn Device, policy: &Policy) -> Line {
        let outcome = self.measure(case, device, policy).map_err(|e| e.to_string());
        let (bytes, operations) = (bytes(&case.graph), Work::of(&case.graph).operations());
        Line { name: case.name.clone(), op: case.op, outcome, bytes, operations }
    }

    fn measure(&self, case: &OpCase, device: &dyn Device, policy: &Policy) -> Result<Measured, LabError> {
        let mut program = Program::new(&case.graph, case.weights.as_ref(), device, policy)?;
        // Weights come into reach, kernels are compiled, pages are touched.
        program.run(&case.arguments)?;
        program.session().profile(true);
        let (begin, budget) = (Instant::now(), Duration::from_secs_f64(self.budget));
        let mut runs = 0u32;
        while runs == 0 || begin.elapsed() < budget {
            program.run(&case.arguments)?;
            runs += 1;
        }
        let whole = begin.elapsed().as_secs_f64() / f64::from(runs);
        let steps = program.session().step_times();
        let of_runs = |s: &StepTime| s.time.as_secs_f64() / s.runs.max(1) as f64;
        let taken: f64 = steps.iter().map(of_runs).sum();
        let kernel = steps.into_iter().map(|s| s.kernel).collect::<Vec<_>>().join(", ");
        // A device without clocks of its own is timed from outside.
        Ok(Measured { seconds: if taken > 0.0 { taken } else { whole }, kernel })
    }
}

/// Bytes that the nodes of a graph read and write at least.
fn bytes(graph: &Graph) -> f64 {
    let mut sum = 0.0;
    for node in graph.nodes() {
        let outputs = graph.shape(node.output).numel();
        sum += 4.0 * outputs as f64;
        for (operand, &value) in node.inputs.iter().enumerate() {
            let stored = |n: usize| graph.weight(value).and_then(|w| w.dtype.row_bytes(n)).unwrap_or(4 * n);
            // Of a table only the rows asked for are read.
            let read = if matches!(node.op, Op::Gather) && operand == 0 {
                outputs
            } else {
                graph.shape(value).numel()
            };
            sum += stored(read) as f64;
        }
        sum += of_states(graph, node);
    }
    sum
}

/// Bytes of state tensors that a node reads, and writes beside its output.
fn of_states(graph: &Graph, node: &Node) -> f64 {
    let outputs = graph.shape(node.output).numel();
    let elements = match &node.op {
        // What comes out was read.
        Op::StateGather(_) => outputs,
        Op::GatedDeltaNet(delta) => {
            let dims = |operand: usize| node.inputs.get(operand).map(|&v| graph.shape(v));
            let (Some(v), Some(state)) = (dims(2), graph.states().get(delta.state.0 as usize)) else {
                return 0.0;
            };
            // Each row of the batch begins with one matrix a head, and leaves one for each snapshot that it reaches.
            let (batch, time) = (v.dims()[0], v.dims()[1]);
            let matrices = state.row.numel() / delta.snapshots.max(1);
            batch * matrices * (1 + delta.snapshots.min(time))
        }
        // All pages listed, of keys and of values; of the last one some places may be empty.
        Op::CausalAttention(attention) => {
            let pages = node.inputs.get(4).map_or(0, |&pages| graph.shape(pages).numel());
            let cache = [attention.keys, attention.values].map(|id| graph.states().get(id.0 as usize));
            let bytes = cache.into_iter().flatten().map(|s| s.row.numel() * s.elem.bytes());
            return (pages * bytes.sum::<usize>()) as f64;
        }
        _ => 0,
    };
    4.0 * elements as f64
}

fn text(lines: &[Line], peak: Peak, device: &dyn Device) -> String {
    let giga = |rate: f64| format!("{:.1}", rate / 1e9);
    let known = |rate: Option<f64>, unit: &str| {
        rate.map_or(format!("unknown {unit}"), |r| format!("{} {unit}", giga(r)))
    };
    let mut text = format!(
        "device   {} ({})\nat most  {}, {}\n",
        device.name(),
        device.report().description,
        known(peak.bytes, "GB/s"),
        known(peak.flops, "GFLOP/s"),
    );
    let head = ["case", "kernel", "µs", "GB/s", "GFLOP/s", "of peak"];
    let mut rows: Vec<Vec<String>> = vec![head.iter().map(|&h| h.to_owned()).collect()];
    for line in lines {
        let mut row = vec![line.name.clone()];
        match (&line.outcome, line.rates()) {
            (Ok(measured), Some([bytes, operations])) => row.extend([
                measured.kernel.clone(),
                format!("{:.1}", 1e6 * measured.seconds),
                giga(bytes),
                if operations > 0.0 { giga(operations) } else { "-".into() },
                line.of_peak(peak).map_or("-".into(), |p| format!("{:.0}%", 100.0 * p)),
            ]),
            (Err(reason), _) => row.push(reason.clone()),
            (Ok(_), None) => {}
        }
        rows.push(row);
    }
    text += &columns(&rows, 2);
    text
}

fn json_of(line: &Line, peak: Peak) -> Value {
    let measured = line.outcome.as_ref().ok();
    json!({
        "name": line.name,
        "op": line.op,
        "error": line.outcome.as_ref().err(),
        "kernel": measured.map(|m| m.kernel.as_str()),
        "seconds": measured.map(|m| m.seconds),
        "bytes": line.bytes,
        "operations": line.operations,
        "bytes_per_second": line.rates().map(|r| r[0]),
        "operations_per_second": line.rates().map(|r| r[1]),
        "of_peak": line.of_peak(peak),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_graph::{ElemType, GraphBuilder, WeightSpec};
    use mynah_tensor::DType;

    #[test]
    fn bytes_by_hand() {
        let mut b = GraphBuilder::new("bytes");
        let ids = b.input("ids", ElemType::I32, [3]);
        let table = b.weight(&WeightSpec { name: "t".into(), shape: [100, 64].into(), dtype: DType::Q8_0 });
        let rows = b.gather(table, ids);
        let w = b.weight(&WeightSpec { name: "w".into(), shape: [5, 64].into(), dtype: DType::F16 });
        let y = b.matmul(rows, w);
        b.output("y", y);
        // Three rows of the table, the ids, what comes out; then that again, the weight, and the product.
        let wanted = 3 * 68 + 12 + 768 + 768 + 640 + 60;
        assert_eq!(bytes(&b.finish().unwrap()), f64::from(wanted));
    }

    #[test]
    fn a_recurrence_reads_and_writes_its_state() {
        let all = real().unwrap();
        let decode = all.iter().find(|c| c.op == "gated_delta_net" && c.name.contains("/1x1/")).unwrap();
        // 32 heads of 128: a matrix each in and out; q, k, v and the result; two numbers a head; three of the sequence.
        let matrices = 2 * 32 * 128 * 128;
        assert_eq!(bytes(&decode.graph), f64::from(4 * (matrices + 4 * 32 * 128 + 2 * 32 + 3)));
        assert_eq!(Work::of(&decode.graph).operations(), f64::from(7 * 32 * 128 * 128));
    }

    #[test]
    fn a_line_is_set_against_the_nearer_peak() {
        let outcome = Ok(Measured { seconds: 0.5, kernel: String::new() });
        let line = Line { name: String::new(), op: "matmul", outcome, bytes: 10.0, operations: 30.0 };
        assert_eq!(line.rates(), Some([20.0, 60.0]));
        assert_eq!(line.of_peak(Peak { bytes: Some(40.0), flops: Some(100.0) }), Some(0.6));
        assert_eq!(line.of_peak(Peak { bytes: Some(40.0), flops: None }), Some(0.5));
        assert_eq!(line.of_peak(Peak::default()), None);
    }
}
