//! Which tokens of a step are a sequence's own, and where its state is.

use crate::program::Fault;
use std::collections::HashSet;

/// Row of the state tensor, length and snapshot of each sequence. All are checked before anything is written: rows must be there and
/// differ, lengths be at most `time`.
pub(crate) fn sequences(
    numbers: &[i32],
    rows: usize,
    time: usize,
    snapshots: usize,
) -> Result<Vec<[usize; 3]>, Fault> {
    let mut seen = HashSet::new();
    let (numbers, _) = numbers.as_chunks::<3>();
    let check = |&[row, length, from]: &[i32; 3]| {
        let sequence = [
            Fault::check("state row", i64::from(row), rows)?,
            Fault::check("length", i64::from(length), time + 1)?,
            Fault::check("snapshot", i64::from(from), snapshots)?,
        ];
        if !seen.insert(row) {
            return Err(Fault::Twice { what: "state row", found: i64::from(row) });
        }
        Ok(sequence)
    };
    numbers.iter().map(check).collect()
}
