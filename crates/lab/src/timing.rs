//! Timing by the median of several runs, for `mynah bench`.
//!
//! The median, because on a shared machine a few runs are always disturbed; the quartiles, because a figure without
//! its spread says nothing about whether another one differs from it.

use std::time::{Duration, Instant};

/// How often something is run.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Runs before timing begins: caches, page faults, clock speed.
    pub warm_up: usize,
    /// Timed runs at least, whatever they take.
    pub at_least: usize,
    /// Timed runs at most.
    pub at_most: usize,
    /// No further run begins once the timed ones have taken this long.
    pub budget: Duration,
}

impl Default for Effort {
    fn default() -> Self {
        Self { warm_up: 1, at_least: 3, at_most: 50, budget: Duration::from_secs(5) }
    }
}

/// Times of several runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// Number of runs.
    pub runs: usize,
    /// The fastest.
    pub min: Duration,
    /// The middle one; between the middle two for an even number.
    pub median: Duration,
    /// The slowest.
    pub max: Duration,
    /// Between the first and the third quartile, over the median.
    pub spread: f64,
}

impl Timing {
    /// What these times come to, `None` when there are none.
    pub fn of(times: &[Duration]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let median = quantile(&sorted, 0.5);
        let between = quantile(&sorted, 0.75).saturating_sub(quantile(&sorted, 0.25));
        let spread = if median.is_zero() { 0.0 } else { between.as_secs_f64() / median.as_secs_f64() };
        Some(Self { runs: sorted.len(), min, median, max, spread })
    }
}

/// Linear between the two neighbours.
fn quantile(sorted: &[Duration], q: f64) -> Duration {
    let position = q * (sorted.len() - 1) as f64;
    let (low, part) = (position as usize, position.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + sorted[high].saturating_sub(sorted[low]).mul_f64(part)
}

/// Runs `body` as often as `effort` says.
///
/// # Errors
/// The first error of `body`.
pub fn measure<E>(effort: Effort, body: impl FnMut() -> Result<(), E>) -> Result<Timing, E> {
    Ok(Timing::of(&times(effort, body)?).unwrap_or_default())
}

/// Runs `body` as often as `effort` says; the time of each run in the order they were made.
///
/// # Errors
/// The first error of `body`.
pub fn times<E>(effort: Effort, mut body: impl FnMut() -> Result<(), E>) -> Result<Vec<Duration>, E> {
    for _ in 0..effort.warm_up {
        body()?;
    }
    let begin = Instant::now();
    let mut times = Vec::new();
    loop {
        let start = Instant::now();
        body()?;
        times.push(start.elapsed());
        let enough = times.len() >= effort.at_least.max(1);
        if enough && (times.len() >= effort.at_most || begin.elapsed() >= effort.budget) {
            return Ok(times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(values: &[u64]) -> Vec<Duration> {
        values.iter().map(|&v| Duration::from_millis(v)).collect()
    }

    #[test]
    fn medians_and_quartiles_by_hand() {
        let t = Timing::of(&ms(&[50, 10, 20, 30, 40])).unwrap();
        assert_eq!((t.runs, t.min, t.median, t.max), (5, ms(&[10])[0], ms(&[30])[0], ms(&[50])[0]));
        // Quartiles 20 and 40, median 30.
        assert!((t.spread - 20.0 / 30.0).abs() < 1e-12);
        assert_eq!(Timing::of(&ms(&[10, 20])).unwrap().median, ms(&[15])[0]);
        assert_eq!(Timing::of(&ms(&[7])).unwrap().spread, 0.0);
        assert_eq!(Timing::of(&[]), None);
    }

    #[test]
    fn effort_bounds_the_number_of_runs() {
        let count = |effort| {
            let mut n = 0;
            let timing = measure::<()>(effort, || {
                n += 1;
                Ok(())
            });
            (n, timing.unwrap().runs)
        };
        let effort = Effort { warm_up: 2, at_least: 3, at_most: 5, budget: Duration::from_secs(60) };
        assert_eq!(count(effort), (7, 5));
        assert_eq!(count(Effort { budget: Duration::ZERO, ..effort }), (5, 3));
        assert_eq!(count(Effort { warm_up: 0, at_least: 0, at_most: 0, ..effort }), (1, 1));
    }

    #[test]
    fn an_error_ends_the_measurement() {
        let mut n = 0;
        let result = measure(Effort::default(), || {
            n += 1;
            if n == 3 { Err("third") } else { Ok(()) }
        });
        assert_eq!((result, n), (Err("third"), 3));
    }
}
