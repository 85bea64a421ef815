//! The machine that figures belong to: its name, its ceilings, the day, and which ceiling a speed is set against.

use anyhow::Context as _;
use mynah_cpu::{CpuDevice, CpuOptions, Peaks};
use mynah_device::{Device, Policy, Route};
use mynah_tensor::DType;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Names of the routes by which products leave 32-bit floats.
const INT8: &str = "int8-dot";
const BF16: &str = "bf16-dot";

/// The machine, with the ceilings for one or several numbers of threads.
pub(super) struct Machine {
    processor: String,
    features: Vec<String>,
    peaks: Vec<Peaks>,
    routes: Vec<Route>,
}

/// What products of a weight type could reach at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ceiling {
    /// `int8`, `bf16` or `f32`.
    pub(super) name: &'static str,
    /// Operations a second.
    pub(super) rate: f64,
}

impl Machine {
    /// Measures the ceilings for each number of threads; 0 is what the device takes by itself.
    ///
    /// # Errors
    /// Instructions in `MYNAH_CPU` that the machine lacks, or too little memory.
    pub(super) fn measure(threads: &[usize]) -> anyhow::Result<Self> {
        let mut machine = Self { processor: String::new(), features: vec![], peaks: vec![], routes: vec![] };
        for &threads in threads {
            let device =
                CpuDevice::new(CpuOptions { threads: (threads > 0).then_some(threads), simd: None })?;
            if machine.peaks.iter().any(|p| p.threads == device.threads()) {
                continue;
            }
            machine.peaks.push(device.peaks().context("can't measure the machine")?);
            let report = device.report();
            (machine.processor, machine.features) = (report.description, report.features);
            machine.routes = device.routes().to_vec();
        }
        Ok(machine)
    }

    /// The ceilings for a number of threads.
    pub(super) fn peaks(&self, threads: usize) -> Option<&Peaks> {
        self.peaks.iter().find(|p| p.threads == threads)
    }

    /// What products of a type are set against under a policy.
    pub(super) fn ceiling(&self, threads: usize, dtype: DType, policy: &Policy) -> Option<Ceiling> {
        let peaks = self.peaks(threads)?;
        let allowed = |name| self.routes.iter().any(|r| r.name == name && policy.allows(r));
        let int8 = peaks.int8.filter(|_| dtype.is_quantized() && allowed(INT8));
        let bf16 = peaks.bf16.filter(|_| !dtype.is_quantized() && allowed(BF16));
        Some(match (int8, bf16) {
            (Some(rate), _) => Ceiling { name: "int8", rate },
            (_, Some(rate)) => Ceiling { name: "bf16", rate },
            _ => Ceiling { name: "f32", rate: peaks.f32 },
        })
    }

    /// Lines for people.
    pub(super) fn text(&self) -> String {
        let mut text = format!("machine     {} ({})\n", self.processor, self.features.join(" "));
        for p in &self.peaks {
            let giga = |rate: f64| format!("{:.0}", rate / 1e9);
            let optional = |rate: Option<f64>| rate.map_or("-".to_owned(), giga);
            // Writing to a String can't fail.
            let _ = writeln!(
                text,
                "{:<12}int8 {} GOP/s, bf16 {} GFLOP/s, f32 {} GFLOP/s, reads {:.1} GB/s with {}",
                "at most",
                optional(p.int8),
                optional(p.bf16),
                giga(p.f32),
                p.read / 1e9,
                crate::units::count(p.threads, "thread", "threads"),
            );
        }
        text
    }

    /// The same for programs, with the version and the day.
    pub(super) fn json(&self) -> Value {
        let peaks = self.peaks.iter().map(|p| {
            json!({
                "threads": p.threads,
                "int8_ops": p.int8,
                "bf16_flops": p.bf16,
                "f32_flops": p.f32,
                "read_bytes": p.read,
            })
        });
        json!({
            "processor": self.processor,
            "features": self.features,
            "version": env!("CARGO_PKG_VERSION"),
            "date": today(),
            "peaks": peaks.collect::<Vec<_>>(),
        })
    }
}

/// The day in UTC, `2026-11-21`.
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    format!("{year}-{month:02}-{day:02}")
}

/// Year, month and day of a number of days since 1970-01-01, in the proleptic Gregorian calendar. Years begin in March,
/// so that a leap day is the last of its year (Hinnant, chrono-compatible date algorithms).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_device::Precision;

    #[test]
    fn days_have_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(11_017), (2000, 3, 1));
        assert_eq!(civil(20_453), (2025, 12, 31));
    }

    #[test]
    fn a_speed_is_set_against_the_route_it_took() {
        let routes = [INT8, BF16].map(|name| Route { name, about: "" }).to_vec();
        let peaks = Peaks { threads: 2, int8: Some(4.0), bf16: Some(2.0), f32: 1.0, read: 1.0 };
        let machine = Machine { processor: String::new(), features: vec![], peaks: vec![peaks], routes };
        let name = |dtype, policy: &Policy| machine.ceiling(2, dtype, policy).map(|c| (c.name, c.rate));
        let fast = Policy { precision: Precision::Fast, ..Policy::default() };
        assert_eq!(name(DType::Q4K, &fast), Some(("int8", 4.0)));
        assert_eq!(name(DType::F16, &fast), Some(("bf16", 2.0)));
        assert_eq!(name(DType::Q8_0, &Policy::exact()), Some(("f32", 1.0)));
        assert_eq!(machine.ceiling(1, DType::Q8_0, &fast), None);
    }
}
