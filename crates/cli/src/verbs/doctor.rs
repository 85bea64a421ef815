//! `mynah doctor`: what Mynah found on this machine, to read and to paste into a bug report.

use crate::config::Config;
use crate::exit::Exit;
use crate::{out, units};
use clap::Args;
use mynah::DeviceChoice;
use serde_json::json;
use std::fmt::Write as _;

/// Flags of `mynah doctor`.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Runs the verb.
    ///
    /// # Errors
    /// A device that can't be opened.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let device = mynah::open_device(DeviceChoice::Auto, None)?;
        let report = device.report();
        let builtin =
            mynah::has_builtin().then(mynah::builtin_file).transpose()?.map(|file| file.file_bytes());
        let config = Config::usual_path().map(|path| (path.exists(), path.display().to_string()));
        let variables = variables();
        if self.json {
            let routes: Vec<_> =
                device.routes().iter().map(|r| json!({ "name": r.name, "about": r.about })).collect();
            out::write_json(&json!({
                "version": env!("CARGO_PKG_VERSION"),
                "target": target(),
                "device": device.name(),
                "processor": report.description,
                "features": report.features,
                "threads": report.parallelism,
                "memory_available": report.memory,
                "routes": routes,
                "builtin_model": mynah::has_builtin().then_some(mynah::BUILTIN_NAME),
                "config": config.map(|(there, path)| json!({ "path": path, "exists": there })),
                "environment": variables.into_iter().collect::<serde_json::Map<_, _>>(),
            }))?;
            return Ok(Exit::Success);
        }
        let mut text = String::new();
        let mut line = |label: &str, value: &str| {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{label:<14}{value}");
        };
        line("mynah", &format!("{} for {}", env!("CARGO_PKG_VERSION"), target()));
        line("processor", &report.description);
        line("instructions", &report.features.join(", "));
        line("threads", &report.parallelism.to_string());
        line(
            "memory",
            &report.memory.map_or("unknown".into(), |m| format!("{} can be had", units::bytes(m))),
        );
        let builtin = builtin.map(|bytes| format!("{}, {}", mynah::BUILTIN_NAME, units::bytes(bytes)));
        line("built-in model", &builtin.map_or(" none; name one with -m".into(), |b| format!(" {b}")));
        let config = config.map(|(there, path)| format!("{path}{}", if there { "" } else { " (not there)" }));
        line("config file", &config.unwrap_or_else(|| "no home folder to look in".into()));
        for route in device.routes() {
            line("route", &format!("{}: {}", route.name, route.about));
        }
        for (name, value) in variables {
            line("environment", &format!("{name}={}", value.as_str().unwrap_or_default()));
        }
        out::write(&text)?;
        Ok(Exit::Success)
    }
}

fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// Variables that Mynah would read, by name.
fn variables() -> Vec<(String, serde_json::Value)> {
    let mut all: Vec<_> = std::env::vars_os()
        .filter(|(name, _)| name.to_str().is_some_and(|n| n.starts_with("MYNAH_")))
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned().into())
        })
        .collect();
    all.sort_by(|a: &(String, _), b| a.0.cmp(&b.0));
    all
}
