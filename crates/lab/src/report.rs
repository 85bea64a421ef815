//! The table `mynah ops` prints: per op how many cases ran, how far off the worst was, and what the device lacks.

use crate::run::{CaseResult, Status};
use std::collections::BTreeMap;
use std::fmt;

/// Results of a suite on one device under one policy.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Device and policy, for the heading.
    pub title: String,
    /// In the order they ran.
    pub results: Vec<CaseResult>,
}

/// One line of the table.
#[derive(Default)]
struct Line {
    cases: usize,
    passed: usize,
    unsupported: usize,
    /// Largest share of its bound that a case used up, with its error and bound.
    worst: Option<(f64, f64, f64)>,
}

impl Report {
    /// Cases that failed.
    pub fn failures(&self) -> impl Iterator<Item = (&CaseResult, &str)> {
        self.results.iter().filter_map(|r| match &r.status {
            Status::Failed(reason) => Some((r, reason.as_str())),
            _ => None,
        })
    }

    /// Cases the device can't run.
    pub fn unsupported(&self) -> impl Iterator<Item = (&CaseResult, &str)> {
        self.results.iter().filter_map(|r| match &r.status {
            Status::Unsupported(reason) => Some((r, reason.as_str())),
            _ => None,
        })
    }

    fn lines(&self) -> BTreeMap<&'static str, Line> {
        let mut lines: BTreeMap<&'static str, Line> = BTreeMap::new();
        for r in &self.results {
            let line = lines.entry(r.op).or_default();
            line.cases += 1;
            match &r.status {
                Status::Passed => line.passed += 1,
                Status::Unsupported(_) => line.unsupported += 1,
                Status::Failed(_) => {}
            }
            let Some(error) = &r.error else { continue };
            let share = if error.nmse == 0.0 { 0.0 } else { error.nmse / r.bound };
            if line.worst.is_none_or(|(worst, ..)| share > worst) {
                line.worst = Some((share, error.nmse, r.bound));
            }
        }
        lines
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        writeln!(
            f,
            "{:<20} {:>5} {:>6} {:>11} {:>11} {:>7}",
            "op", "cases", "passed", "unsupported", "worst NMSE", "bound"
        )?;
        for (op, line) in self.lines() {
            let (nmse, bound) =
                line.worst.map_or(("-".into(), "-".into()), |(_, n, b)| (scientific(n), scientific(b)));
            let Line { cases, passed, unsupported, .. } = line;
            writeln!(f, "{op:<20} {cases:>5} {passed:>6} {unsupported:>11} {nmse:>11} {bound:>7}")?;
        }
        for (r, reason) in self.unsupported() {
            writeln!(f, "unsupported: {}: {reason}", r.name)?;
        }
        for (r, reason) in self.failures() {
            writeln!(f, "FAILED: {}: {reason}", r.name)?;
        }
        Ok(())
    }
}

fn scientific(value: f64) -> String {
    if value == 0.0 { "0".into() } else { format!("{value:.1e}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::compare;

    fn result(name: &str, op: &'static str, status: Status, found: Option<f64>, bound: f64) -> CaseResult {
        CaseResult { name: name.into(), op, status, bound, error: found.map(|f| compare(&[f], &[1.0])) }
    }

    #[test]
    fn the_table_names_what_failed_and_what_is_missing() {
        let report = Report {
            title: "cpu, exact".into(),
            results: vec![
                result("glu/a", "glu", Status::Passed, Some(1.0), 1e-12),
                result("glu/b", "glu", Status::Failed("too far".into()), Some(1.5), 1e-12),
                result("conv2d/c", "conv2d", Status::Unsupported("conv2d: groups of 3".into()), None, 1e-11),
                result("gather/d", "gather", Status::Passed, Some(1.0), 0.0),
            ],
        };
        let wanted = "\
cpu, exact
op                   cases passed unsupported  worst NMSE   bound
conv2d                   1      0           1           -       -
gather                   1      1           0           0       0
glu                      2      1           0      2.5e-1 1.0e-12
unsupported: conv2d/c: conv2d: groups of 3
FAILED: glu/b: too far
";
        assert_eq!(report.to_string(), wanted);
        assert_eq!((report.failures().count(), report.unsupported().count()), (1, 1));
    }
}
