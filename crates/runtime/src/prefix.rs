//! Checkpoints: states after the first tokens of some sequence, kept for those that begin alike.
//!
//! A recurrent state can't be rewound, so a sequence can only go on from where one was copied: at page boundaries of prompts, and where
//! sequences ended.

use crate::memory::Holding;

/// Where a sequence may go on from.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    /// The tokens that are in the states.
    pub(crate) tokens: Vec<u32>,
    /// Its own row, and pages of which those that are finished may be others' too.
    pub(crate) holding: Holding,
}

/// Those that are kept, the least recently used first.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    kept: Vec<Checkpoint>,
    capacity: usize,
}

impl Checkpoints {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { kept: Vec::new(), capacity }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Checkpoint> {
        self.kept.iter()
    }

    /// The longest that `tokens` begin with and go on from, now the most recently used.
    pub(crate) fn longest(&mut self, tokens: &[u32]) -> Option<&Checkpoint> {
        let fits = |c: &Checkpoint| c.tokens.len() < tokens.len() && tokens.starts_with(&c.tokens);
        let found = self.kept.iter().enumerate().filter(|(_, c)| fits(c));
        let (at, _) = found.max_by_key(|(_, c)| c.tokens.len())?;
        self.touch(at)
    }

    /// Whether there is one of exactly these tokens, now the most recently used.
    pub(crate) fn has(&mut self, tokens: &[u32]) -> bool {
        let at = self.kept.iter().position(|c| c.tokens == tokens);
        at.and_then(|at| self.touch(at)).is_some()
    }

    fn touch(&mut self, at: usize) -> Option<&Checkpoint> {
        let used = self.kept.remove(at);
        self.kept.push(used);
        self.kept.last()
    }

    /// Adds one of tokens that none has; there must be less than the capacity.
    pub(crate) fn add(&mut self, checkpoint: Checkpoint) {
        debug_assert!(
            self.kept.len() < self.capacity && self.kept.iter().all(|c| c.tokens != checkpoint.tokens)
        );
        self.kept.push(checkpoint);
    }

    /// Takes out the least recently used one but that of row `keep`.
    pub(crate) fn evict(&mut self, keep: Option<u32>) -> Option<Checkpoint> {
        let at = self.kept.iter().position(|c| Some(c.holding.row) != keep)?;
        Some(self.kept.remove(at))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]
mod tests {
    use super::*;

    fn checkpoint(row: u32, tokens: &[u32]) -> Checkpoint {
        let holding = Holding { past: tokens.len(), ..Holding::new(row, None) };
        Checkpoint { tokens: tokens.to_vec(), holding }
    }

    #[test]
    fn the_longest_beginning_is_found() {
        let mut kept = Checkpoints::new(4);
        for (row, tokens) in [&[1, 2][..], &[1, 2, 3, 4], &[1, 2, 9], &[7]].iter().enumerate() {
            kept.add(checkpoint(row as u32, tokens));
        }
        let mut row = |tokens: &[u32]| kept.longest(tokens).map(|c| c.holding.row);
        assert_eq!(row(&[1, 2, 3, 4, 5]), Some(1));
        // Something must be left to run, or there would be no logits.
        assert_eq!(row(&[1, 2, 3, 4]), Some(0));
        assert_eq!(row(&[1, 2]), None);
        assert_eq!(row(&[2, 2, 3]), None);
        assert_eq!(row(&[1, 2, 9, 9]), Some(2));
    }

    #[test]
    fn the_least_recently_used_goes() {
        let mut kept = Checkpoints::new(3);
        (0..3).for_each(|row| kept.add(checkpoint(row, &[row, 5])));
        assert!(kept.longest(&[0, 5, 5]).is_some() && !kept.has(&[1]) && kept.has(&[1, 5]));
        let mut evict = |keep| kept.evict(keep).map(|c| c.holding.row);
        assert_eq!(
            [evict(Some(2)), evict(None), evict(Some(1)), evict(None), evict(None)],
            [Some(0), Some(2), None, Some(1), None]
        );
    }
}
