//! The usual table: how far fast results are from exact ones, stage by stage, for all fast routes and for each alone.
//!
//! The exact policy is the reference, so a route that drifts is found by its column and the stage where it begins by
//! its row.

use super::setting::{Setting, Spec};
use super::subject::{Apart, Run, Subject};
use crate::exit::Exit;
use crate::out;
use mynah::{DeviceChoice, Precision};
use mynah_lab::compare;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// One way to compute, against the exact one.
struct Column {
    name: String,
    /// Normalised mean square error of each stage.
    errors: Vec<f64>,
    /// Tokens that differ.
    apart: Apart,
}

/// Runs the exact policy, all routes, and each route by itself.
///
/// # Errors
/// As [`Subject::run`].
pub(super) fn run(subject: &mut dyn Subject, device: DeviceChoice, json: bool) -> anyhow::Result<Exit> {
    let choice = device.resolve();
    let devices = subject.bench().devices(choice)?;
    let setting = |precision, routes: Vec<String>| {
        let spec = Spec { precision: Some(precision), routes, ..Spec::default() };
        Setting::of(&spec, choice, precision, devices.device.as_ref())
    };
    let exact = subject.run(&setting(Precision::Exact, vec![])?, None)?;
    let mut ways = vec![("fast", setting(Precision::Fast, vec![])?)];
    for route in devices.device.routes() {
        ways.push((route.name, setting(Precision::Exact, vec![format!("{}=on", route.name)])?));
    }
    let mut columns = Vec::new();
    for (name, setting) in ways {
        columns.push(column(name, &exact, &subject.run(&setting, Some(&exact))?));
    }
    let stages: Vec<&str> = exact.stages.iter().map(|(name, _)| name.as_str()).collect();
    if json {
        out::write_json(&json_of(&stages, &columns))?;
    } else {
        out::write(&table(&stages, &columns))?;
    }
    Ok(Exit::Success)
}

fn column(name: &str, exact: &Run, run: &Run) -> Column {
    let pairs = run.stages.iter().zip(&exact.stages);
    let errors = pairs.map(|((_, found), (_, wanted))| compare(found, wanted).nmse).collect();
    Column { name: name.to_owned(), errors, apart: run.apart(exact) }
}

fn table(stages: &[&str], columns: &[Column]) -> String {
    let first = stages.iter().map(|s| s.len()).chain(["tokens apart".len()]).max().unwrap_or(0);
    let widths: Vec<usize> = columns.iter().map(|c| c.name.len().max(9)).collect();
    let mut text = format!("{:first$}", "NMSE");
    let cell = |text: &mut String, column: usize, value: &str| {
        // Writing to a String can't fail.
        let _ = write!(text, "  {value:>width$}", width = widths[column]);
    };
    for (i, column) in columns.iter().enumerate() {
        cell(&mut text, i, &column.name);
    }
    for (row, stage) in stages.iter().enumerate() {
        let _ = write!(text, "\n{stage:first$}");
        for (i, column) in columns.iter().enumerate() {
            let value = column
                .errors
                .get(row)
                .map_or("-".into(), |e| if *e == 0.0 { "0".into() } else { format!("{e:.2e}") });
            cell(&mut text, i, &value);
        }
    }
    let _ = write!(text, "\n{:first$}", "tokens apart");
    for (i, column) in columns.iter().enumerate() {
        cell(&mut text, i, &format!("{}/{}", column.apart.tokens, column.apart.of));
    }
    text.push('\n');
    text
}

fn json_of(stages: &[&str], columns: &[Column]) -> Value {
    let column = |c: &Column| {
        let errors = stages.iter().zip(&c.errors).map(|(stage, e)| ((*stage).to_owned(), json!(e)));
        json!({
            "name": c.name,
            "nmse": errors.collect::<Map<_, _>>(),
            "tokens": c.apart.of,
            "tokens_apart": c.apart.tokens,
            "first_apart": c.apart.first,
        })
    };
    json!({ "reference": "exact", "columns": columns.iter().map(column).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_column_for_each_route() {
        let column = |name: &str, errors: &[f64], tokens| Column {
            name: name.into(),
            errors: errors.to_vec(),
            apart: Apart { of: 2, tokens, first: None },
        };
        let columns = [column("fast", &[1e-7, 0.0], 0), column("int8-products", &[2.5e-5, 1e-4], 1)];
        let wanted = "\
NMSE               fast  int8-products
block 0         1.00e-7        2.50e-5
encoded               0        1.00e-4
tokens apart        0/2            1/2
";
        assert_eq!(table(&["block 0", "encoded"], &columns), wanted);
    }
}
