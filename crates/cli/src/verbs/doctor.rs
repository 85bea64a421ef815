//! `mynah doctor`: what Mynah found on this machine and whether it computes, in one block to read and to paste into a bug
//! report.

use crate::adapters::{self, Adapter};
use crate::config::Config;
use crate::exit::Exit;
use crate::graphs::{self, Task, USUAL_SECONDS};
use crate::placement::Placed;
use crate::{out, units};
use clap::Args;
use mynah::{Device, DeviceChoice, Devices, Policy, Precision};
use mynah_audio::SAMPLE_RATE;
use mynah_graph::Graph;
use mynah_lab::{OpCase, Status, quick, run_case};
use mynah_models::GgufWeights;
use mynah_models::parakeet::ParakeetConfig;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

/// Flags of `mynah doctor`.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Don't run the quick op tests
    #[arg(long)]
    no_tests: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Failures that are spelled out.
const TOLD: usize = 5;

/// How a device did.
struct Checkup {
    device: String,
    routes: Vec<(&'static str, &'static str)>,
    /// Quick op tests, if they ran.
    tests: Option<Tests>,
    /// What of the built-in model runs there, or why that can't be told.
    placement: Option<String>,
}

/// The quick op tests of a device, both precisions together.
struct Tests {
    run: usize,
    passed: usize,
    unsupported: usize,
    failures: Vec<String>,
    seconds: f64,
}

/// Everything found.
struct Findings {
    processor: mynah::DeviceReport,
    adapters: Vec<Adapter>,
    checkups: Vec<Checkup>,
    builtin: Option<u64>,
    config: Option<(bool, String)>,
    variables: Vec<(String, Value)>,
}

impl Doctor {
    /// Runs the verb.
    ///
    /// # Errors
    /// A CPU that can't be opened. What is wrong with an adapter is part of the findings; a quick test that fails makes the
    /// exit code [`Exit::Failure`].
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let findings = self.examine()?;
        if self.json {
            out::write_json(&findings.json())?;
        } else {
            out::write(&findings.text())?;
        }
        let failed =
            findings.checkups.iter().filter_map(|c| c.tests.as_ref()).any(|t| !t.failures.is_empty());
        Ok(if failed { Exit::Failure } else { Exit::Success })
    }

    fn examine(&self) -> anyhow::Result<Findings> {
        let cpu = mynah::open_device(DeviceChoice::Cpu, None)?;
        let adapters = adapters::found();
        let mut devices = vec![Devices { device: Arc::clone(&cpu), fallback: None }];
        for device in adapters.iter().filter_map(|a| a.device.as_ref().ok()) {
            devices.push(Devices { device: device.clone(), fallback: Some(Arc::clone(&cpu)) });
        }
        let cases = if self.no_tests { Vec::new() } else { quick()? };
        let graphs = usual_graphs()?;
        let checkups = devices.iter().map(|devices| Checkup {
            device: devices.device.name().to_owned(),
            routes: devices.device.routes().iter().map(|r| (r.name, r.about)).collect(),
            tests: (!self.no_tests).then(|| Tests::run(&cases, devices.device.as_ref())),
            placement: graphs.as_ref().map(|graphs| match Placed::of(graphs, devices, false) {
                Ok(placed) => placed.summary(),
                Err(e) => e.to_string(),
            }),
        });
        Ok(Findings {
            processor: cpu.report(),
            checkups: checkups.collect(),
            adapters,
            builtin: mynah::has_builtin()
                .then(mynah::builtin_file)
                .transpose()?
                .map(|file| file.file_bytes()),
            config: Config::usual_path().map(|path| (path.exists(), path.display().to_string())),
            variables: variables(),
        })
    }
}

impl Tests {
    fn run(cases: &[OpCase], device: &dyn Device) -> Self {
        let mut tests = Self { run: 0, passed: 0, unsupported: 0, failures: Vec::new(), seconds: 0.0 };
        let begin = Instant::now();
        for precision in [Precision::Exact, Precision::Fast] {
            let policy = Policy { precision, ..Policy::default() };
            for case in cases {
                tests.run += 1;
                match run_case(case, device, &policy).status {
                    Status::Passed => tests.passed += 1,
                    Status::Unsupported(_) => tests.unsupported += 1,
                    Status::Failed(reason) => {
                        // What compilers of drivers say goes over many lines.
                        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
                        tests.failures.push(format!("{}: {reason}", case.name));
                    }
                }
            }
        }
        tests.seconds = begin.elapsed().as_secs_f64();
        tests
    }

    fn text(&self) -> String {
        let Self { run, passed, unsupported, failures, .. } = self;
        let mut text = format!("{passed} of {run} quick op tests pass");
        if *unsupported > 0 {
            let _ = write!(text, ", {unsupported} can't run there");
        }
        if !failures.is_empty() {
            let _ = write!(text, ", {} FAIL", failures.len());
        }
        text
    }
}

/// The built-in model's graphs on the usual length, for placement.
fn usual_graphs() -> anyhow::Result<Option<Vec<Graph>>> {
    if !mynah::has_builtin() {
        return Ok(None);
    }
    let file = Arc::new(mynah::builtin_file()?);
    let config = ParakeetConfig::read(&file)?;
    let weights = GgufWeights::new(Arc::clone(&file));
    let task = Task { head: None, batch: 1, samples: USUAL_SECONDS * SAMPLE_RATE as usize };
    let graphs = graphs::of(&file, &config, &task)?.into_iter().map(|g| graphs::rewritten(g, &weights));
    graphs.collect::<Result<_, _>>().map(Some)
}

impl Findings {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |label: &str, value: &str| {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{label:<14}{value}");
        };
        let cpu = &self.processor;
        line("mynah", &format!("{} for {}", env!("CARGO_PKG_VERSION"), target()));
        line("processor", &cpu.description);
        line("instructions", &cpu.features.join(", "));
        line("threads", &cpu.parallelism.to_string());
        line("memory", &cpu.memory.map_or("unknown".into(), |m| format!("{} can be had", units::bytes(m))));
        let builtin = self.builtin.map(|bytes| format!("{}, {}", mynah::BUILTIN_NAME, units::bytes(bytes)));
        line("built-in model", &builtin.map_or(" none; name one with -m".into(), |b| format!(" {b}")));
        let config = self.config.as_ref();
        let config =
            config.map(|(there, path)| format!("{path}{}", if *there { "" } else { " (not there)" }));
        line("config file", &config.unwrap_or_else(|| "no home folder to look in".into()));
        for adapter in &self.adapters {
            let info = &adapter.info;
            line("adapter", &format!("{}: {} ({}), {}", info.choice, info.name, info.kind, info.driver));
            match (adapter.capabilities(), &adapter.device) {
                (Some(caps), _) => {
                    let f16 = if caps.f16 { "yes" } else { "no" };
                    let timestamps = if caps.timestamps { "yes" } else { "no" };
                    let (subgroup, matrix) = (adapters::subgroup(caps), adapters::matrix(caps));
                    line(
                        "  features",
                        &format!(
                            "subgroups {subgroup}, f16 {f16}, matrix units {matrix}, timestamps {timestamps}"
                        ),
                    );
                    line("  limits", &adapters::limits(caps));
                }
                (None, Err(e)) => line("  error", &e.to_string()),
                (None, Ok(_)) => {}
            }
        }
        if self.adapters.is_empty() {
            line("adapter", "none found");
        }
        line("auto", &DeviceChoice::Auto.resolve().to_string());
        for checkup in &self.checkups {
            line("device", &checkup.device);
            if let Some(tests) = &checkup.tests {
                line("  ops", &tests.text());
                tests.failures.iter().take(TOLD).for_each(|failure| line("  FAILED", failure));
            }
            checkup.placement.iter().for_each(|placement| line("  model", placement));
            for (name, about) in &checkup.routes {
                line("  route", &format!("{name}: {about}"));
            }
        }
        for (name, value) in &self.variables {
            line("environment", &format!("{name}={}", value.as_str().unwrap_or_default()));
        }
        text
    }

    fn json(&self) -> Value {
        let routes = |c: &Checkup| -> Vec<Value> {
            c.routes.iter().map(|(name, about)| json!({ "name": name, "about": about })).collect()
        };
        let checkups = self.checkups.iter().map(|c| {
            let tests = c.tests.as_ref().map(|t| {
                json!({
                    "run": t.run,
                    "passed": t.passed,
                    "unsupported": t.unsupported,
                    "failures": t.failures,
                    "seconds": t.seconds,
                })
            });
            json!({ "device": c.device, "routes": routes(c), "tests": tests, "builtin_model": c.placement })
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "target": target(),
            "auto": DeviceChoice::Auto.resolve().to_string(),
            "processor": self.processor.description,
            "features": self.processor.features,
            "threads": self.processor.parallelism,
            "memory_available": self.processor.memory,
            "adapters": self.adapters.iter().map(Adapter::json).collect::<Vec<_>>(),
            "devices": checkups.collect::<Vec<_>>(),
            "builtin_model": mynah::has_builtin().then_some(mynah::BUILTIN_NAME),
            "config": self.config.as_ref().map(|(there, path)| json!({ "path": path, "exists": there })),
            "environment": self.variables.iter().cloned().collect::<serde_json::Map<_, _>>(),
        })
    }
}

fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// Variables that Mynah would read, by name.
fn variables() -> Vec<(String, Value)> {
    let mut all: Vec<_> = std::env::vars_os()
        .filter(|(name, _)| name.to_str().is_some_and(|n| n.starts_with("MYNAH_")))
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned().into())
        })
        .collect();
    all.sort_by(|a: &(String, _), b| a.0.cmp(&b.0));
    all
}
