//! Which rows go to which expert, and how that is cut into tasks.

use crate::program::Fault;
use std::ops::Range;

/// Tasks for each thread, so that they even out what a thread loses to others.
const TASKS: usize = 4;

/// The chosen ids of a run, sorted by expert.
pub(super) struct Assignments {
    /// Places of `ids`, those of the first expert first, in rising order within an expert.
    pub(super) order: Vec<u32>,
    /// Where each expert's begin, and the end.
    starts: Vec<usize>,
}

/// What one task computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) expert: usize,
    /// A stretch of [`Assignments::order`].
    pub(super) rows: Range<usize>,
    pub(super) panels: Range<usize>,
}

impl Assignments {
    /// Sorts ids.
    ///
    /// # Errors
    /// An id that is no expert.
    pub(super) fn new(ids: &[i32], experts: usize) -> Result<Self, Fault> {
        let mut starts = vec![0; experts + 1];
        for &id in ids {
            starts[Fault::check("expert", i64::from(id), experts)? + 1] += 1;
        }
        for expert in 0..experts {
            starts[expert + 1] += starts[expert];
        }
        let (mut next, mut order) = (starts.clone(), vec![0; ids.len()]);
        for (place, &id) in ids.iter().enumerate() {
            let at = &mut next[id as usize];
            order[*at] = place as u32;
            *at += 1;
        }
        Ok(Self { order, starts })
    }

    /// Cuts the work so that no task has more than `most` rows and the threads have enough to do.
    pub(super) fn shares(&self, most: usize, panels: usize, threads: usize) -> Vec<Share> {
        let most = most.max(1);
        let experts = || self.starts.windows(2).enumerate().map(|(expert, ends)| (expert, ends[0]..ends[1]));
        let groups: usize = experts().map(|(_, rows)| rows.len().div_ceil(most)).sum();
        let across = if threads > 1 { (TASKS * threads).div_ceil(groups.max(1)) } else { 1 };
        let wide = panels.div_ceil(across).max(1);
        let mut shares = Vec::new();
        for (expert, rows) in experts() {
            for first in rows.clone().step_by(most) {
                for panel in (0..panels).step_by(wide) {
                    let rows = first..rows.end.min(first + most);
                    shares.push(Share { expert, rows, panels: panel..panels.min(panel + wide) });
                }
            }
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_are_sorted_by_expert() {
        let a = Assignments::new(&[2, 0, 2, 1, 0], 4).unwrap();
        assert_eq!((a.order, a.starts), (vec![1, 4, 3, 0, 2], vec![0, 2, 3, 5, 5]));
        assert!(Assignments::new(&[4], 4).is_err() && Assignments::new(&[-1], 4).is_err());
    }

    proptest! {
        #[test]
        fn shares_cover_everything_once(
            ids in prop::collection::vec(0i32..9, 0..80), most in 1usize..20, panels in 1usize..20, threads in 1usize..9,
        ) {
            let a = Assignments::new(&ids, 9).unwrap();
            let mut seen = vec![0; ids.len() * panels];
            for share in a.shares(most, panels, threads) {
                prop_assert!((1..=most).contains(&share.rows.len()) && !share.panels.is_empty());
                for row in share.rows {
                    prop_assert_eq!(ids[a.order[row] as usize], share.expert as i32);
                    share.panels.clone().for_each(|panel| seen[row * panels + panel] += 1);
                }
            }
            prop_assert!(seen.iter().all(|&n| n == 1));
        }
    }
}
