//! `mynah ops list`: the ops and how many cases the suite has for each.

use crate::exit::Exit;
use crate::out;
use crate::verbs::bench::columns;
use clap::Args;
use mynah_lab::{OpCase, cases, generated, real};
use serde_json::json;
use std::collections::BTreeMap;

/// Flags of `mynah ops list`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Generated cases to count along
    #[arg(long, value_name = "N", default_value_t = 200)]
    generated: usize,

    /// Seed of the generated cases
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Print the name of every case
    #[arg(long)]
    cases: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl List {
    /// Runs the verb.
    ///
    /// # Errors
    /// A case that can't be built.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let kinds = [cases()?, generated(self.seed, self.generated)?, real()?];
        if self.cases {
            let names: Vec<&str> = kinds.iter().take(2).flatten().map(|c| c.name.as_str()).collect();
            if self.json {
                out::write_json(&json!(names))?;
            } else {
                out::write(&names.iter().map(|n| format!("{n}\n")).collect::<String>())?;
            }
            return Ok(Exit::Success);
        }
        let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for (kind, cases) in kinds.iter().enumerate() {
            cases.iter().for_each(|c: &OpCase| counts.entry(c.op).or_default()[kind] += 1);
        }
        if self.json {
            let ops = counts.iter().map(|(op, [fixed, generated, timed])| {
                json!({ "op": op, "fixed": fixed, "generated": generated, "timed": timed })
            });
            out::write_json(&ops.collect())?;
            return Ok(Exit::Success);
        }
        let mut rows = vec![["op", "fixed", "generated", "timed"].map(str::to_owned).to_vec()];
        for (op, counts) in &counts {
            let mut row = vec![(*op).to_owned()];
            row.extend(counts.map(|n| n.to_string()));
            rows.push(row);
        }
        out::write(&columns(&rows, 1))?;
        Ok(Exit::Success)
    }
}
