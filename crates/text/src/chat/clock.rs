//! The clock that templates read through `strftime_now`.

use jiff::{Timestamp, Zoned, fmt::strtime, tz::TimeZone};

/// What time it is for a template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// The machine's time in its own zone.
    #[default]
    System,
    /// Always this moment, in UTC: for prompts that must not change from day to day.
    Fixed {
        /// Seconds since 1970-01-01T00:00:00Z.
        unix_seconds: i64,
    },
}

impl Clock {
    /// The time in the manner of C's `strftime`.
    pub(super) fn format(self, format: &str) -> Result<String, jiff::Error> {
        let now = match self {
            Clock::System => Zoned::now(),
            Clock::Fixed { unix_seconds } => Timestamp::from_second(unix_seconds)?.to_zoned(TimeZone::UTC),
        };
        strtime::format(format, &now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_as_c_does() {
        let clock = Clock::Fixed { unix_seconds: 1_772_323_199 };
        assert_eq!(clock.format("%d %b %Y").ok().as_deref(), Some("28 Feb 2026"));
        assert_eq!(
            clock.format("%Y-%m-%d %H:%M:%S %A %j").ok().as_deref(),
            Some("2026-02-28 23:59:59 Saturday 059")
        );
        assert!(clock.format("%").is_err());
        assert!(Clock::Fixed { unix_seconds: i64::MAX }.format("%Y").is_err());
        assert_eq!(Clock::System.format("%Y").map(|year| year.len()).ok(), Some(4));
    }
}
