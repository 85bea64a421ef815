//! Times as the formats write them. Everything is whole milliseconds; what is no time at all counts as zero.

/// The largest time the formats can write: 9999 hours.
const LIMIT_MS: f64 = 9999.0 * 3_600_000.0;

/// Seconds to whole milliseconds, rounded; not-a-number and negative times are 0.
pub(crate) fn milliseconds(seconds: f64) -> u64 {
    // `clamp` keeps NaN, and the cast turns it into 0.
    (seconds * 1000.0).round().clamp(0.0, LIMIT_MS) as u64
}

/// `HH:MM:SS` and milliseconds after `separator`; hours take more digits when they need them.
pub(crate) fn hms(ms: u64, separator: char) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}{separator}{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A finite number for JSON: not-a-number and infinity become 0.
pub(crate) fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_carry_and_grow() {
        assert_eq!(hms(0, ','), "00:00:00,000");
        assert_eq!(hms(milliseconds(3661.0005), '.'), "01:01:01.001");
        assert_eq!(hms(milliseconds(59.9996), ','), "00:01:00,000");
        assert_eq!(hms(milliseconds(360_000.0), '.'), "100:00:00.000");
    }

    #[test]
    fn times_that_are_none_are_zero() {
        assert_eq!(milliseconds(f64::NAN), 0);
        assert_eq!(milliseconds(-1.0), 0);
        assert_eq!(milliseconds(f64::INFINITY), 35_996_400_000);
    }
}
