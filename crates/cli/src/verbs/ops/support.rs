//! `mynah ops support`: a table of ops and devices. The device's own check answers, the one that placement asks.

use crate::adapters;
use crate::exit::Exit;
use crate::verbs::bench::columns;
use crate::{notes, out};
use clap::Args;
use mynah::{Device, DeviceChoice};
use mynah_lab::{OpCase, cases};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Flags of `mynah ops support`.
#[derive(Args, Debug)]
pub(crate) struct Support {
    /// Only these devices; by default the CPU and every adapter found. May be given often
    #[arg(long, value_name = "DEVICE")]
    device: Vec<DeviceChoice>,

    /// Say why for every op that isn't supported whole
    #[arg(long)]
    reasons: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a device makes of an op.
#[derive(Default)]
struct Cell {
    cases: usize,
    supported: usize,
    /// Why not, with how often.
    reasons: BTreeMap<String, usize>,
}

impl Cell {
    fn text(&self) -> String {
        match self.supported {
            n if n == self.cases => "yes".into(),
            0 => "no".into(),
            n => format!("{n} of {}", self.cases),
        }
    }
}

impl Support {
    /// Runs the verb.
    ///
    /// # Errors
    /// A device that was asked for and can't be opened. An adapter that was found and can't be is told of.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let devices = self.devices()?;
        let cases = cases()?;
        let tables: Vec<_> = devices.iter().map(|device| table(device.as_ref(), &cases)).collect();
        if self.json {
            let all =
                devices.iter().zip(&tables).map(|(device, table)| (device.name().to_owned(), json_of(table)));
            out::write_json(&Value::Object(all.collect::<Map<_, _>>()))?;
            return Ok(Exit::Success);
        }
        let mut rows = vec![vec!["op".to_owned()]];
        rows[0].extend(devices.iter().map(|d| d.name().to_owned()));
        for op in tables.first().map(|t| t.keys().copied().collect::<Vec<_>>()).unwrap_or_default() {
            let mut row = vec![op.to_owned()];
            row.extend(tables.iter().map(|t| t.get(op).map(Cell::text).unwrap_or_default()));
            rows.push(row);
        }
        let mut text = columns(&rows, rows[0].len());
        if self.reasons {
            for (device, table) in devices.iter().zip(&tables) {
                for (op, cell) in table {
                    for (reason, count) in &cell.reasons {
                        text += &format!("{}: {op}: {reason} ({count} ×)\n", device.name());
                    }
                }
            }
        }
        out::write(&text)?;
        Ok(Exit::Success)
    }

    fn devices(&self) -> anyhow::Result<Vec<Arc<dyn Device>>> {
        if !self.device.is_empty() {
            return self.device.iter().map(|&choice| Ok(mynah::open_device(choice, None)?)).collect();
        }
        let mut all = vec![mynah::open_device(DeviceChoice::Cpu, None)?];
        for adapter in adapters::found() {
            match adapter.device {
                Ok(device) => all.push(device),
                Err(e) => notes::warn(&format!("{}: {e}", adapter.info.choice)),
            }
        }
        Ok(all)
    }
}

/// Asks a device for every node of every case.
fn table(device: &dyn Device, cases: &[OpCase]) -> BTreeMap<&'static str, Cell> {
    let mut table: BTreeMap<&'static str, Cell> = BTreeMap::new();
    for case in cases {
        for node in case.graph.nodes() {
            let cell = table.entry(node.op.name()).or_default();
            cell.cases += 1;
            match device.supports(&case.graph, node) {
                Ok(()) => cell.supported += 1,
                Err(e) => *cell.reasons.entry(e.reason).or_default() += 1,
            }
        }
    }
    table
}

fn json_of(table: &BTreeMap<&'static str, Cell>) -> Value {
    let cell = |(op, c): (&&str, &Cell)| {
        let value = json!({ "nodes": c.cases, "supported": c.supported, "reasons": c.reasons });
        ((*op).to_owned(), value)
    };
    Value::Object(table.iter().map(cell).collect())
}
