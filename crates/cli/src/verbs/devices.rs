//! `mynah devices`: what `--device` can name on this machine.

use crate::adapters::{self, Adapter};
use crate::exit::Exit;
use crate::verbs::bench::columns;
use crate::{notes, out, units};
use clap::Args;
use mynah::{DeviceChoice, DeviceReport};
use serde_json::json;

/// Flags of `mynah devices`.
#[derive(Args, Debug)]
pub(crate) struct Devices {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Devices {
    /// Runs the verb.
    ///
    /// # Errors
    /// A CPU that can't be opened. A GPU that can't be is listed with the reason.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let cpu = mynah::open_device(DeviceChoice::Cpu, None)?.report();
        let adapters = adapters::found();
        if self.json {
            let mut all = vec![json!({
                "device": "cpu",
                "kind": "processor",
                "name": cpu.description,
                "features": cpu.features,
                "threads": cpu.parallelism,
                "memory_available": cpu.memory,
            })];
            all.extend(adapters.iter().map(Adapter::json));
            out::write_json(&json!({ "auto": DeviceChoice::Auto.resolve().to_string(), "devices": all }))?;
        } else {
            out::write(&text(&cpu, &adapters))?;
            if adapters.is_empty() {
                notes::raw("note: no GPU was found\n");
            }
        }
        Ok(Exit::Success)
    }
}

fn text(cpu: &DeviceReport, adapters: &[Adapter]) -> String {
    let head = ["device", "kind", "name", "driver", "subgroup", "f16", "matrix units", "largest buffer"];
    let memory = cpu.memory.map_or("-".into(), |m| format!("{} free", units::bytes(m)));
    let mut rows: Vec<Vec<String>> = vec![head.iter().map(|&h| h.to_owned()).collect()];
    let name = format!("{}, {}", cpu.description, units::count(cpu.parallelism, "thread", "threads"));
    rows.push(vec![
        "cpu".into(),
        "processor".into(),
        name,
        cpu.features.join(" "),
        "-".into(),
        "-".into(),
        "-".into(),
        memory,
    ]);
    for adapter in adapters {
        let info = &adapter.info;
        let mut row =
            vec![info.choice.to_string(), info.kind.to_owned(), info.name.clone(), info.driver.clone()];
        match (adapter.capabilities(), &adapter.device) {
            (Some(caps), _) => row.extend([
                adapters::subgroup(caps),
                if caps.f16 { "yes" } else { "no" }.to_owned(),
                adapters::matrix(caps),
                units::bytes(caps.max_buffer),
            ]),
            (None, Err(e)) => row.push(format!("can't be opened: {e}")),
            (None, Ok(_)) => {}
        }
        rows.push(row);
    }
    let mut text = columns(&rows, head.len());
    text += &format!(
        "auto is {}; a software adapter is a processor that pretends to be a GPU\n",
        DeviceChoice::Auto.resolve()
    );
    text
}
