//! How far the decisions behind two lists of logits agree: what matters of a drift in the end.

use std::cmp::Ordering;

/// Candidates whose places are compared.
const CANDIDATES: usize = 20;

/// How alike two sets of logits rank the same candidates, over all rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Rows compared.
    pub rows: usize,
    /// Share of the rows whose first candidate is the same.
    pub top1: f64,
    /// Share of the reference's first 5 candidates that are among the first 5 found, on average.
    pub top5: f64,
    /// The same for 20.
    pub top20: f64,
    /// Share of the reference's first 20 candidates that stand in another place.
    pub moved: f64,
    /// The most places that one of them moved.
    pub largest_move: usize,
}

/// Compares logits row by row; `width` is the length of a row and `choices` how many of its first elements are
/// candidates. `None` when the lists have different lengths, no whole row, or no candidates.
pub fn agreement(found: &[f64], wanted: &[f64], width: usize, choices: usize) -> Option<Agreement> {
    if found.len() != wanted.len() || width == 0 || choices == 0 || choices > width || found.len() < width {
        return None;
    }
    let (mut rows, mut firsts, mut fives, mut twenties) = (0, 0, 0.0, 0.0);
    let (mut moved, mut candidates, mut largest_move) = (0, 0, 0);
    for (f, w) in found.chunks_exact(width).zip(wanted.chunks_exact(width)) {
        let (f, w) = (ranking(&f[..choices]), ranking(&w[..choices]));
        let mut place = vec![0; choices];
        f.iter().enumerate().for_each(|(at, &candidate)| place[candidate] = at);
        let shared = |n: usize| {
            let n = n.min(choices);
            w[..n].iter().filter(|&&c| place[c] < n).count() as f64 / n as f64
        };
        rows += 1;
        firsts += usize::from(f[0] == w[0]);
        fives += shared(5);
        twenties += shared(CANDIDATES);
        for (at, &candidate) in w.iter().take(CANDIDATES).enumerate() {
            let by = place[candidate].abs_diff(at);
            candidates += 1;
            moved += usize::from(by > 0);
            largest_move = largest_move.max(by);
        }
    }
    let share = |sum: f64, of: usize| sum / of as f64;
    Some(Agreement {
        rows,
        top1: share(firsts as f64, rows),
        top5: share(fives, rows),
        top20: share(twenties, rows),
        moved: share(moved as f64, candidates),
        largest_move,
    })
}

/// Candidates from the largest logit to the smallest, equals by number, what is no number last.
fn ranking(logits: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    let key = |i: usize| if logits[i].is_nan() { f64::NEG_INFINITY } else { logits[i] };
    order.sort_by(|&a, &b| key(b).partial_cmp(&key(a)).unwrap_or(Ordering::Equal).then(a.cmp(&b)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_by_hand() {
        // The second row's first two candidates change places; the fourth element is no candidate.
        let wanted = [3.0, 2.0, 1.0, 9.0, 3.0, 2.0, 1.0, 0.0];
        let found = [3.1, 2.1, 0.9, 0.0, 2.0, 3.0, 1.0, 9.0];
        let a = agreement(&found, &wanted, 4, 3).unwrap();
        assert_eq!((a.rows, a.top1, a.top5, a.top20), (2, 0.5, 1.0, 1.0));
        assert_eq!((a.moved, a.largest_move), (2.0 / 6.0, 1));
    }

    #[test]
    fn the_first_five_of_many() {
        let wanted: Vec<f64> = (0..30).map(|i| -f64::from(i)).collect();
        let mut found = wanted.clone();
        // The first candidate falls to the end.
        found[0] = -99.0;
        let a = agreement(&found, &wanted, 30, 30).unwrap();
        assert_eq!((a.top1, a.top5, a.top20), (0.0, 0.8, 0.95));
        assert_eq!((a.moved, a.largest_move), (1.0, 29));
    }

    #[test]
    fn what_can_not_be_compared_is_none() {
        assert_eq!(agreement(&[1.0], &[1.0, 2.0], 1, 1), None);
        assert_eq!(agreement(&[1.0], &[1.0], 1, 2), None);
        assert_eq!(agreement(&[], &[], 3, 3), None);
        let nan = agreement(&[f64::NAN, 1.0], &[2.0, 1.0], 2, 2).unwrap();
        assert_eq!(nan.top1, 0.0);
    }
}
