//! `mynah bench ops`: matrix products of every weight type, by rows and shapes, against the machine's ceilings.
//!
//! Few rows are bound by reading the weights, so they are measured with weights that come from memory: as many copies as
//! no cache holds, in turn. Many rows are bound by arithmetic and are measured both ways, from memory and with one weight
//! again and again. `product` does the measuring.

mod product;

use super::machine::Machine;
use crate::exit::{Exit, Usage};
use crate::flags::element_type;
use crate::out;
use clap::Args;
use mynah::{DeviceChoice, Policy, Precision};
use mynah_tensor::DType;
use product::{Measured, Weights};
use serde_json::{Value, json};

/// Flags of `mynah bench ops`.
#[derive(Args, Debug)]
pub(crate) struct BenchOps {
    /// Weight types; by default all that can be written
    #[arg(long = "type", value_name = "TYPE,...", value_delimiter = ',', value_parser = element_type)]
    dtype: Vec<DType>,

    /// Rows of the input
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values = ["1", "2", "4", "8", "64", "138", "512"], value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    rows: Vec<u32>,

    /// Terms of each sum and columns of the output
    #[arg(long, value_name = "KxN,...", value_delimiter = ',', default_values = ["1024x1024", "1024x4096", "4096x1024", "4096x14336"])]
    shape: Vec<Shape>,

    /// Time spent on each product; three passes at least
    #[arg(long, value_name = "SECONDS", default_value_t = 0.25, value_parser = crate::flags::positive)]
    budget: f64,

    /// Where: auto, cpu, metal, vulkan or dx12, with :N for one of several adapters
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

/// Terms and columns of a product: its weight is `[columns, terms]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    terms: usize,
    columns: usize,
}

impl std::str::FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "give TERMSxCOLUMNS such as 1024x4096, each from 1 to 65536".to_owned();
        let (terms, columns) = text.split_once(['x', '×']).ok_or_else(wrong)?;
        let size = |s: &str| s.parse::<usize>().ok().filter(|n| (1..=1 << 16).contains(n)).ok_or_else(wrong);
        Ok(Self { terms: size(terms)?, columns: size(columns)? })
    }
}

/// Rows up to which reading the weights bounds a product on every machine there is.
const FEW: usize = 8;

/// One line of the table.
struct Line {
    shape: Shape,
    dtype: DType,
    rows: usize,
    /// With weights from memory.
    cold: Measured,
    /// With one weight again and again.
    cached: Option<Measured>,
    /// Bytes of the weight in a file.
    bytes: usize,
}

impl Line {
    fn operations(&self) -> f64 {
        2.0 * self.rows as f64 * self.shape.terms as f64 * self.shape.columns as f64
    }

    /// Operations a second.
    fn rate(&self, measured: &Measured) -> f64 {
        self.operations() / measured.seconds
    }

    /// Bytes of the file's weight a second.
    fn read(&self) -> f64 {
        self.bytes as f64 / self.cold.seconds
    }
}

impl BenchOps {
    /// Runs the measurement.
    ///
    /// # Errors
    /// A route that does not exist, a device that can't be opened or run.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let threads = self.threads.map(usize::from);
        let device = mynah::open_device(self.device, threads)?;
        let mut policy = Policy { precision: self.precision, ..Policy::default() };
        policy
            .switch(&self.route.join(","), device.routes())
            .map_err(|e| Usage::plain(format!("--route: {e}")))?;
        let dtypes: Vec<DType> = match self.dtype.as_slice() {
            [] => DType::ALL.into_iter().filter(|d| d.can_encode() && *d != DType::F64).collect(),
            chosen => chosen.to_vec(),
        };
        if let Some(dtype) = dtypes.iter().find(|d| !d.can_encode()) {
            return Err(Usage::plain(format!("{dtype} can be read but not made")).into());
        }
        let machine = Machine::measure(&[threads.unwrap_or(0)])?;
        let mut lines = Vec::new();
        for &shape in &self.shape {
            for &dtype in &dtypes {
                // Rows that end inside a block can't be encoded.
                if dtype.row_bytes(shape.terms).is_none() {
                    continue;
                }
                let mut weights = Weights::prepare(shape, dtype, device.as_ref(), &policy)?;
                for rows in self.rows.iter().map(|&rows| rows as usize) {
                    let cold = weights.time(rows, true, self.budget)?;
                    let cached =
                        if rows > FEW { Some(weights.time(rows, false, self.budget)?) } else { None };
                    lines.push(Line { shape, dtype, rows, cold, cached, bytes: weights.bytes() });
                }
            }
        }
        // The ceilings measured are the CPU's, and no number of its threads stands for a GPU.
        let threads = match self.device.resolve() {
            DeviceChoice::Gpu(_) => 0,
            DeviceChoice::Auto | DeviceChoice::Cpu => device.report().parallelism,
        };
        if self.json {
            let results = lines.iter().map(|line| json_of(line, &machine, threads, &policy));
            out::write_json(&json!({ "machine": machine.json(), "results": results.collect::<Vec<_>>() }))?;
        } else {
            out::write(&text(&lines, &machine, threads, &policy))?;
        }
        Ok(Exit::Success)
    }
}

fn text(lines: &[Line], machine: &Machine, threads: usize, policy: &Policy) -> String {
    let head = [
        "terms×columns",
        "type",
        "rows",
        "µs",
        "GOP/s",
        "of peak",
        "cached",
        "of peak",
        "GB/s",
        "of reads",
        "kernel",
    ];
    let mut rows: Vec<Vec<String>> = vec![head.iter().map(|&h| h.to_owned()).collect()];
    for line in lines {
        let percent = |part: Option<f64>| part.map_or("-".to_owned(), |p| format!("{:.0}%", 100.0 * p));
        let ceiling = machine.ceiling(threads, line.dtype, policy);
        let of_peak = |rate: f64| percent(ceiling.map(|c| rate / c.rate));
        let cached = line.cached.as_ref().map(|m| line.rate(m));
        rows.push(vec![
            format!("{}×{}", line.shape.terms, line.shape.columns),
            line.dtype.to_string(),
            line.rows.to_string(),
            format!("{:.1}", 1e6 * line.cold.seconds),
            format!("{:.0}", line.rate(&line.cold) / 1e9),
            of_peak(line.rate(&line.cold)),
            cached.map_or("-".into(), |rate| format!("{:.0}", rate / 1e9)),
            cached.map_or("-".into(), of_peak),
            format!("{:.1}", line.read() / 1e9),
            percent(machine.peaks(threads).map(|p| line.read() / p.read)),
            line.cold.kernel.clone(),
        ]);
    }
    format!("{}{}", machine.text(), super::columns(&rows, 2))
}

fn json_of(line: &Line, machine: &Machine, threads: usize, policy: &Policy) -> Value {
    let ceiling = machine.ceiling(threads, line.dtype, policy);
    json!({
        "terms": line.shape.terms,
        "columns": line.shape.columns,
        "rows": line.rows,
        "type": line.dtype.name(),
        "threads": threads,
        "kernel": line.cold.kernel,
        "weight_bytes": line.bytes,
        "seconds": line.cold.seconds,
        "seconds_cached": line.cached.as_ref().map(|m| m.seconds),
        "rate": line.rate(&line.cold),
        "rate_cached": line.cached.as_ref().map(|m| line.rate(m)),
        "read": line.read(),
        "ceiling": ceiling.map(|c| c.name),
        "of_ceiling": ceiling.map(|c| line.rate(&line.cold) / c.rate),
        "of_ceiling_cached": ceiling.and_then(|c| line.cached.as_ref().map(|m| line.rate(m) / c.rate)),
        "of_reads": machine.peaks(threads).map(|p| line.read() / p.read),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_two_sizes() {
        assert_eq!("1024x4096".parse(), Ok(Shape { terms: 1024, columns: 4096 }));
        for wrong in ["1024", "0x4", "4x", "ax1", "99999x1"] {
            assert!(wrong.parse::<Shape>().is_err(), "{wrong}");
        }
    }
}
