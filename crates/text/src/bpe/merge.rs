//! Byte-pair merges of one word: the pair of lowest rank first, the leftmost of equals, until no pair is in the table.
//! Takes the words of [`super::presplit`] as byte tokens and gives back token ids.
//!
//! Symbols form a linked list and candidate pairs wait in a heap, so a word of n bytes costs O(n log n): a run of a
//! megabyte of one letter is no word a model should see, but anyone may send it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// The merge table: which pairs join, in which order, into what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Merges {
    /// Left and right id → rank.
    ranks: HashMap<(u32, u32), u32>,
    /// By rank: left, right, result.
    rules: Vec<(u32, u32, u32)>,
}

impl Merges {
    /// Appends the rule of the next rank. `false`, and no change, if the pair has one already.
    pub(crate) fn push(&mut self, left: u32, right: u32, result: u32) -> bool {
        let Ok(rank) = u32::try_from(self.rules.len()) else { return false };
        if self.ranks.contains_key(&(left, right)) {
            return false;
        }
        self.ranks.insert((left, right), rank);
        self.rules.push((left, right, result));
        true
    }

    fn rank(&self, left: u32, right: u32) -> Option<u32> {
        self.ranks.get(&(left, right)).copied()
    }
}

/// The end of the list, in either direction.
const NONE: usize = usize::MAX;

#[derive(Debug, Clone, Copy)]
struct Symbol {
    id: u32,
    previous: usize,
    next: usize,
    /// `false` once the symbol went into its left neighbour.
    alive: bool,
}

/// Merges word after word, keeping its buffers.
#[derive(Default)]
pub(crate) struct Merger {
    symbols: Vec<Symbol>,
    /// Rank and position of the left symbol, lowest first.
    pairs: BinaryHeap<Reverse<(u32, usize)>>,
}

impl Merger {
    /// Merges `word`, a token id for each byte, and appends the result to `out`.
    pub(crate) fn merge(&mut self, merges: &Merges, word: impl Iterator<Item = u32>, out: &mut Vec<u32>) {
        self.symbols.clear();
        self.pairs.clear();
        for (at, id) in word.enumerate() {
            let previous = at.checked_sub(1).unwrap_or(NONE);
            self.symbols.push(Symbol { id, previous, next: at + 1, alive: true });
        }
        let Some(last) = self.symbols.last_mut() else { return };
        last.next = NONE;
        for left in 0..self.symbols.len() {
            self.consider(merges, left);
        }
        while let Some(Reverse((rank, at))) = self.pairs.pop() {
            self.apply(merges, rank, at);
        }
        let mut at = 0;
        while let Some(symbol) = self.symbols.get(at) {
            out.push(symbol.id);
            at = symbol.next;
        }
    }

    /// Puts the pair that begins at `left` on the heap if the table has it.
    fn consider(&mut self, merges: &Merges, left: usize) {
        let Some(symbol) = self.symbols.get(left) else { return };
        let Some(right) = self.symbols.get(symbol.next) else { return };
        if let Some(rank) = merges.rank(symbol.id, right.id) {
            self.pairs.push(Reverse((rank, left)));
        }
    }

    /// Joins the pair at `at` unless an earlier merge changed one of its symbols: the heap keeps such stale entries.
    fn apply(&mut self, merges: &Merges, rank: u32, at: usize) {
        let (left, right, result) = merges.rules[rank as usize];
        let symbol = self.symbols[at];
        if !symbol.alive || symbol.id != left {
            return;
        }
        let taken = symbol.next;
        let next = match self.symbols.get_mut(taken) {
            Some(other) if other.id == right => {
                other.alive = false;
                other.next
            }
            _ => return,
        };
        self.symbols[at].id = result;
        self.symbols[at].next = next;
        if let Some(after) = self.symbols.get_mut(next) {
            after.previous = at;
        }
        self.consider(merges, symbol.previous);
        self.consider(merges, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition: look at all pairs, join the best one, start over.
    fn plainly(merges: &Merges, word: &[u32]) -> Vec<u32> {
        let mut ids = word.to_vec();
        while let Some((rank, at)) =
            (1..ids.len()).filter_map(|i| Some((merges.rank(ids[i - 1], ids[i])?, i - 1))).min()
        {
            ids[at] = merges.rules[rank as usize].2;
            ids.remove(at + 1);
        }
        ids
    }

    fn merged(merges: &Merges, word: &[u32]) -> Vec<u32> {
        let mut out = Vec::new();
        Merger::default().merge(merges, word.iter().copied(), &mut out);
        out
    }

    #[test]
    fn lowest_rank_first_leftmost_of_equals() {
        let mut merges = Merges::default();
        assert!(merges.push(1, 1, 2));
        assert!(merges.push(2, 1, 3));
        assert!(!merges.push(1, 1, 9));
        assert_eq!(merged(&merges, &[1, 1, 1]), [3]);
        assert_eq!(merged(&merges, &[1, 1, 1, 1]), [2, 2]);
        assert_eq!(merged(&merges, &[]), Vec::<u32>::new());
        assert_eq!(merged(&merges, &[5]), [5]);
    }

    #[test]
    fn a_long_run_is_no_square() {
        let mut merges = Merges::default();
        for doubled in 0..20 {
            merges.push(doubled, doubled, doubled + 1);
        }
        assert_eq!(merged(&merges, &vec![0; 1 << 20]), [20]);
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            rules in prop::collection::vec((0u32..12, 0u32..12, 0u32..12), 0..40),
            word in prop::collection::vec(0u32..6, 0..40),
        ) {
            let mut merges = Merges::default();
            for (left, right, result) in rules {
                merges.push(left, right, result);
            }
            prop_assert_eq!(merged(&merges, &word), plainly(&merges, &word));
        }
    }
}
