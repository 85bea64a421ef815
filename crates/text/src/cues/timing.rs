//! When cues appear and disappear, in whole milliseconds, settled after rounding so that files never overlap.

use std::ops::Range;

use super::CueOptions;
use super::units::Unit;
use crate::formats::milliseconds;

/// Start and end of every group: `start < end <= next start`, whatever times the words claim.
pub(super) fn times(units: &[Unit], groups: &[Range<usize>], options: &CueOptions) -> Vec<(u64, u64)> {
    let mut times: Vec<(u64, u64)> = Vec::with_capacity(groups.len());
    let mut free = 0;
    for group in groups {
        let unit = units.get(group.clone()).unwrap_or_default();
        let (Some(first), Some(last)) = (unit.first(), unit.last()) else { continue };
        let start = milliseconds(first.start).max(free);
        free = start + 1;
        times.push((start, milliseconds(last.end)));
    }
    let (least, most) = (milliseconds(options.min_seconds), milliseconds(options.max_seconds).max(1));
    let mut limit = u64::MAX;
    for (start, end) in times.iter_mut().rev() {
        *end = (*end).max(*start + least).min(*start + most).min(limit).max(*start + 1);
        limit = *start;
    }
    times
}
