//! `mynah doctor`: what Mynah found on this machine and whether it computes, in one block to read and to paste into a bug
//! report.

mod model;

use crate::adapters::{self, Adapter};
use crate::config::Config;
use crate::exit::Exit;
use crate::graphs::USUAL_SECONDS;
use crate::{out, units};
use clap::Args;
use model::{Builtin, Fit};
use mynah::{Device, DeviceChoice, Devices, Policy, Precision};
use mynah_lab::{OpCase, Status, quick, run_case};
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
    /// The built-in model there, or why it can't be brought there.
    model: Option<Result<Fit, String>>,
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
    /// A CPU that can't be opened. What is wrong with an adapter is part of the findings; a quick test that fails, or a device that
    /// the built-in model can't be brought to, makes the exit code [`Exit::Failure`].
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let findings = self.examine()?;
        if self.json {
            out::write_json(&findings.json())?;
        } else {
            out::write(&findings.text())?;
        }
        let failed = findings.checkups.iter().any(|c| {
            c.tests.as_ref().is_some_and(|t| !t.failures.is_empty()) || matches!(c.model, Some(Err(_)))
        });
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
        let builtin = Builtin::open()?;
        let checkups = devices.iter().map(|devices| Checkup {
            device: devices.device.name().to_owned(),
            routes: devices.device.routes().iter().map(|r| (r.name, r.about)).collect(),
            tests: (!self.no_tests).then(|| Tests::run(&cases, devices.device.as_ref())),
            model: builtin.as_ref().map(|model| model.fit(devices).map_err(|e| format!("{e:#}"))),
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

impl Checkup {
    /// Steps of the built-in model that a route changes, and all of them.
    fn used(&self, route: usize) -> Option<(usize, usize)> {
        let fit = self.model.as_ref()?.as_ref().ok()?;
        Some((*fit.taken.get(route)?, fit.steps))
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
            match &checkup.model {
                Some(Ok(fit)) => {
                    line("  model", &fit.placement);
                    let bytes = units::bytes(fit.bytes as u64);
                    line("  memory", &format!("{bytes} for the model and {USUAL_SECONDS} s of audio"));
                }
                Some(Err(reason)) => line("  MODEL FAILED", reason),
                None => {}
            }
            for (route, (name, about)) in checkup.routes.iter().enumerate() {
                let use_ = checkup.used(route).map_or(String::new(), |(taken, steps)| match taken {
                    0 => "not taken here, ".to_owned(),
                    _ => format!("{taken} of the model's {steps} steps, "),
                });
                line("  route", &format!("{name}: {use_}{about}"));
            }
        }
        for (name, value) in &self.variables {
            line("environment", &format!("{name}={}", value.as_str().unwrap_or_default()));
        }
        text
    }

    fn json(&self) -> Value {
        let routes = |c: &Checkup| -> Vec<Value> {
            let one = |(route, (name, about)): (usize, &(&str, &str))| json!({ "name": name, "about": about, "steps": c.used(route).map(|(taken, _)| taken) });
            c.routes.iter().enumerate().map(one).collect()
        };
        let model = |c: &Checkup| match c.model.as_ref()? {
            Ok(fit) => Some(json!({ "placement": fit.placement, "steps": fit.steps, "bytes": fit.bytes })),
            Err(reason) => Some(json!({ "error": reason })),
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
            json!({ "device": c.device, "routes": routes(c), "tests": tests, "builtin_model": model(c) })
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
