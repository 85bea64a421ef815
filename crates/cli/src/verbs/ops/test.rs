//! `mynah ops test`: the op suite on a device, against the f64 reference, with sentinels around every value.

use crate::exit::{Exit, Usage};
use crate::{notes, out, units};
use clap::Args;
use mynah::{DeviceChoice, Policy, Precision};
use mynah_lab::{CaseResult, OpCase, Report, Status, cases, generated, run_case, run_planned};
use serde_json::{Value, json};

/// Flags of `mynah ops test`, and of `mynah ops` alone.
#[derive(Args, Debug)]
pub(crate) struct Test {
    /// Only the cases of this op
    #[arg(long, value_name = "NAME")]
    op: Option<String>,

    /// Where they run: auto, cpu, metal, vulkan or dx12, with :N for one of several adapters
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,

    /// Threads; by default one for each physical core
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// Only this precision, exact or fast; by default both
    #[arg(long, value_name = "exact|fast", value_parser = crate::flags::precision)]
    precision: Option<Precision>,

    /// Switch single routes
    #[arg(long, value_name = "NAME=on|off,...", value_delimiter = ',')]
    route: Vec<String>,

    /// Add that many generated cases, with sizes nobody would choose
    #[arg(long, value_name = "N", default_value_t = 200)]
    generated: usize,

    /// Seed of the generated cases
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Through the planner, with its rewrites and shared memory, instead of each kernel by itself
    #[arg(long)]
    planned: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Test {
    /// Runs the verb.
    ///
    /// # Errors
    /// An op or route that does not exist, a device that can't be opened. A case that fails gives [`Exit::Failure`].
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let device = mynah::open_device(self.device, self.threads.map(usize::from))?;
        let mut all = cases()?;
        all.extend(generated(self.seed, self.generated)?);
        let chosen = super::of_op(all, self.op.as_deref())?;
        let precisions = self.precision.map_or(vec![Precision::Exact, Precision::Fast], |p| vec![p]);
        let mut reports = Vec::new();
        for precision in precisions {
            let mut policy = Policy { precision, ..Policy::default() };
            policy
                .switch(&self.route.join(","), device.routes())
                .map_err(|e| Usage::plain(format!("--route: {e}")))?;
            let run = |case: &OpCase| match self.planned {
                true => run_planned(case, device.clone(), &policy),
                false => run_case(case, device.as_ref(), &policy),
            };
            let name = if precision == Precision::Exact { "exact" } else { "fast" };
            let title = format!("{}, {name}", device.name());
            reports.push(Report { title, results: chosen.iter().map(run).collect() });
        }
        if self.json {
            out::write_json(&reports.iter().map(json_of).collect())?;
        } else {
            let text: Vec<String> = reports.iter().map(ToString::to_string).collect();
            out::write(&text.join("\n"))?;
        }
        let failed: usize = reports.iter().map(|r| r.failures().count()).sum();
        if failed > 0 {
            notes::raw(&format!("error: {} out of bounds\n", units::count(failed, "case is", "cases are")));
            return Ok(Exit::Failure);
        }
        Ok(Exit::Success)
    }
}

fn json_of(report: &Report) -> Value {
    json!({ "title": report.title, "cases": report.results.iter().map(case_json).collect::<Vec<_>>() })
}

fn case_json(case: &CaseResult) -> Value {
    let (status, reason) = match &case.status {
        Status::Passed => ("passed", None),
        Status::Failed(reason) => ("failed", Some(reason)),
        Status::Unsupported(reason) => ("unsupported", Some(reason)),
    };
    json!({
        "name": case.name,
        "op": case.op,
        "status": status,
        "reason": reason,
        "bound": case.bound,
        "nmse": case.error.map(|e| e.nmse),
        "worst_element": case.error.map(|e| e.max_relative),
    })
}
