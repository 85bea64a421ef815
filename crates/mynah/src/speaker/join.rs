//! Pieces one after the other without a click: the end of each is faded into the beginning of the next along a raised cosine.

use std::f32::consts::PI;

/// Joins pieces; the end of a piece is held back until the next begins or there is none.
pub(super) struct Joiner {
    /// Samples that a fade takes.
    fade: usize,
    /// The end of what came so far.
    held: Vec<f32>,
    /// How far the piece's beginning is faded in, and from what.
    from: Vec<f32>,
    done: usize,
}

impl Joiner {
    pub(super) fn new(fade: usize) -> Self {
        Self { fade, held: Vec::new(), from: Vec::new(), done: 0 }
    }

    /// Takes further samples of a piece, `last` if none follow them at all, and gives what is certain.
    pub(super) fn take(&mut self, samples: &[f32], last: bool) -> Vec<f32> {
        let n = self.from.len();
        let blended = samples.iter().enumerate().map(|(i, &x)| {
            let at = self.done + i;
            let Some(&before) = self.from.get(at) else { return x };
            let weight = 0.5 - 0.5 * libm::cosf(PI * (at as f32 + 0.5) / n as f32);
            before + (x - before) * weight
        });
        self.held.extend(blended);
        self.done += samples.len();
        // A piece shorter than the fade leaves the rest of the one before.
        if last && self.done < n {
            self.held.extend_from_slice(&self.from[self.done..]);
            self.done = n;
        }
        let keep = if last { 0 } else { self.fade.min(self.held.len()) };
        self.held.drain(..self.held.len() - keep).collect()
    }

    /// The next piece begins.
    pub(super) fn next(&mut self) {
        if self.done < self.from.len() {
            self.held.extend_from_slice(&self.from[self.done..]);
        }
        (self.from, self.done) = (std::mem::take(&mut self.held), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Joiner;

    #[test]
    fn pieces_overlap_by_the_fade_and_nothing_jumps() {
        let mut joiner = Joiner::new(4);
        let mut all = joiner.take(&[1.0; 10], false);
        joiner.next();
        all.extend(joiner.take(&[-1.0; 3], false));
        all.extend(joiner.take(&[-1.0; 7], true));
        assert_eq!(all.len(), 16);
        assert!(all[..6].iter().all(|&x| x == 1.0) && all[10..].iter().all(|&x| x == -1.0));
        let steps = all.windows(2).map(|w| (w[0] - w[1]).abs());
        assert!(steps.fold(0.0, f32::max) < 0.8, "{all:?}");
    }

    #[test]
    fn pieces_without_a_sound_take_nothing_away() {
        let mut joiner = Joiner::new(4);
        let mut all = joiner.take(&[1.0; 10], false);
        joiner.next();
        joiner.next();
        all.extend(joiner.take(&[], true));
        assert_eq!(all, [1.0; 10]);
        joiner.next();
        assert!(joiner.take(&[], true).is_empty());
    }

    #[test]
    fn a_single_piece_is_as_it_was_however_it_comes() {
        let samples: Vec<f32> = (0..20).map(|i| i as f32).collect();
        for chunk in [1, 3, 7, 20] {
            let mut joiner = Joiner::new(6);
            let mut all = Vec::new();
            let mut rest = samples.chunks(chunk).peekable();
            while let Some(part) = rest.next() {
                all.extend(joiner.take(part, rest.peek().is_none()));
            }
            assert_eq!(all, samples);
        }
    }

    #[test]
    fn a_piece_shorter_than_the_fade_takes_nothing_away() {
        let mut joiner = Joiner::new(5);
        let mut all = joiner.take(&[1.0; 8], false);
        joiner.next();
        all.extend(joiner.take(&[0.0; 2], false));
        joiner.next();
        all.extend(joiner.take(&[0.0; 9], true));
        assert_eq!(all.len(), 3 + 9);
    }
}
