//! Where the time went, by op and by kernel.

use mynah_device::StepTime;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// A line for each op.
pub(super) fn by_op(steps: &[StepTime]) -> String {
    table("op", steps, |step| step.op.to_owned())
}

/// A line for each op and the kernel it took.
pub(super) fn by_kernel(steps: &[StepTime]) -> String {
    table("kernel", steps, |step| format!("{} {}", step.op, step.kernel))
}

fn table(heading: &str, steps: &[StepTime], key: impl Fn(&StepTime) -> String) -> String {
    let mut lines: BTreeMap<String, (u64, Duration)> = BTreeMap::new();
    let mut total = Duration::ZERO;
    for step in steps {
        let line = lines.entry(key(step)).or_default();
        line.0 += step.runs;
        line.1 += step.time;
        total += step.time;
    }
    let mut lines: Vec<_> = lines.into_iter().collect();
    lines.sort_by_key(|(_, (_, time))| std::cmp::Reverse(*time));
    let width = lines.iter().map(|(name, _)| name.len()).chain([heading.len()]).max().unwrap_or(0);
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let mut text = format!("{heading:<width$}  {:>8}  {:>10}  {:>6}\n", "runs", "ms", "share");
    for (name, (runs, time)) in lines {
        let share = 100.0 * time.as_secs_f64() / total.as_secs_f64().max(1e-12);
        // Writing to a String can't fail.
        let _ = writeln!(text, "{name:<width$}  {runs:>8}  {:>10.2}  {share:>5.1}%", milliseconds(time));
    }
    let _ = writeln!(text, "{:<width$}  {:>8}  {:>10.2}", "all", "", milliseconds(total));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_add_up_and_the_largest_comes_first() {
        let step = |op, kernel: &str, ms| StepTime {
            node: "n".into(),
            op,
            kernel: kernel.into(),
            runs: 2,
            time: Duration::from_millis(ms),
        };
        let steps = [step("add", "simd", 5), step("matmul", "f32", 30), step("matmul", "int8", 65)];
        let wanted = "\
op          runs          ms   share
matmul         4       95.00   95.0%
add            2        5.00    5.0%
all                   100.00
";
        assert_eq!(by_op(&steps), wanted);
        assert!(by_kernel(&steps).lines().nth(1).unwrap().starts_with("matmul int8 "));
    }
}
