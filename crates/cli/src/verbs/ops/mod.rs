//! `mynah ops`: the ops of the graph, what devices make of them, whether they are right, and how fast they are.

mod list;
mod perf;
mod support;
mod test;

use crate::exit::{Exit, Usage};
use clap::{Args, Subcommand};
use mynah_lab::OpCase;
use std::collections::BTreeSet;

/// Flags of `mynah ops`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Ops {
    #[command(subcommand)]
    what: Option<What>,

    #[command(flatten)]
    test: test::Test,
}

#[derive(Subcommand, Debug)]
enum What {
    /// The ops and the number of cases that each has
    List(list::List),
    /// Which ops every device of this machine runs
    Support(support::Support),
    /// Check every op of a device against the f64 reference; what `mynah ops` alone does
    Test(test::Test),
    /// Time every op at the shapes of real models
    Perf(perf::Perf),
}

impl Ops {
    /// Runs the verb.
    ///
    /// # Errors
    /// An op, route or device that does not exist.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        match &self.what {
            None => self.test.run(),
            Some(What::List(list)) => list.run(),
            Some(What::Support(support)) => support.run(),
            Some(What::Test(test)) => test.run(),
            Some(What::Perf(perf)) => perf.run(),
        }
    }
}

/// The cases of an op, or all.
///
/// # Errors
/// An op without cases.
fn of_op(mut all: Vec<OpCase>, op: Option<&str>) -> anyhow::Result<Vec<OpCase>> {
    let Some(op) = op else { return Ok(all) };
    let names: BTreeSet<&str> = all.iter().map(|case| case.op).collect();
    if !names.contains(op) {
        let known = names.into_iter().collect::<Vec<_>>().join(", ");
        let hint = format!("there are some for {known}");
        return Err(Usage::new(format!("there are no cases for '{op}'"), hint).into());
    }
    all.retain(|case| case.op == op);
    Ok(all)
}
