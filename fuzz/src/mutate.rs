//! Changing inputs at random, but reproducibly.

use mynah_tensor::Rng;

/// Longer inputs only slow the search down.
const LONGEST: usize = 1 << 16;

/// Values that sit on the edges of counts and sizes.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    31,
    32,
    255,
    256,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// Draws an input from a corpus and changes it in one to eight places.
pub struct Mutator {
    rng: Rng,
    dictionary: &'static [&'static [u8]],
}

impl Mutator {
    /// The sequence of mutations is fixed by the seed.
    pub fn new(seed: u64, dictionary: &'static [&'static [u8]]) -> Mutator {
        Mutator { rng: Rng::new(seed), dictionary }
    }

    /// The next input. An empty corpus gives short random ones.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(corpus).cloned().unwrap_or_else(|| vec![0; 64]);
        // Mostly a change or two: more of them rarely get past the first check.
        for _ in 0..=self.rng.below(8).min(self.rng.below(8)) {
            self.change(&mut input, corpus);
        }
        input.truncate(LONGEST);
        input
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.rng.below(from.len()))
    }

    /// A position in the input, more often near the front, where headers are.
    fn position(&mut self, len: usize) -> usize {
        if self.rng.below(2) == 0 { self.rng.below(len) } else { self.rng.below(len.min(256)) }
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.position(input.len());
        match self.rng.below(9) {
            0 if !input.is_empty() => input[at] ^= 1 << self.rng.below(8),
            1 if !input.is_empty() => input[at] = self.rng.next_u64() as u8,
            2 if !input.is_empty() => {
                input[at] = input[at].wrapping_add(self.rng.below(9) as u8).wrapping_sub(4)
            }
            3 => {
                let value = EDGES[self.rng.below(EDGES.len())].to_le_bytes();
                let width = 1 << self.rng.below(4);
                overwrite(input, at, &value[..width]);
            }
            4 => {
                if let Some(&word) = self.pick(self.dictionary) {
                    overwrite(input, at, word);
                }
            }
            5 => {
                if let Some(&word) = self.pick(self.dictionary) {
                    input.splice(at..at, word.iter().copied());
                }
            }
            6 => input.truncate(at),
            7 => {
                let end = (at + 1 + self.rng.below(32)).min(input.len());
                let piece = input[at.min(end)..end].to_vec();
                // Half the time a deletion, otherwise a repetition elsewhere.
                if self.rng.below(2) == 0 {
                    input.drain(at.min(end)..end);
                } else {
                    let to = self.position(input.len());
                    input.splice(to..to, piece);
                }
            }
            _ => {
                let other = self.pick(corpus).cloned().unwrap_or_default();
                let from = self.position(other.len()).min(other.len());
                let piece = &other[from..(from + 1 + self.rng.below(128)).min(other.len())];
                overwrite(input, at, piece);
            }
        }
    }
}

/// Replaces the bytes from `at` on, as far as there are any.
fn overwrite(input: &mut [u8], at: usize, with: &[u8]) {
    for (byte, &value) in input.iter_mut().skip(at).zip(with) {
        *byte = value;
    }
}
