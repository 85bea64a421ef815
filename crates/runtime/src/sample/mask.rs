//! Which tokens may come next. Made by [`crate::grammar`] or by hand, read by the sampler.

/// A bit for each token of a vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenMask {
    words: Vec<u32>,
    size: usize,
}

const BITS: usize = u32::BITS as usize;

impl TokenMask {
    /// A mask that allows no token of a vocabulary of `size`.
    #[must_use]
    pub fn none(size: usize) -> TokenMask {
        TokenMask { words: vec![0; size.div_ceil(BITS)], size }
    }

    /// A mask that allows every token of a vocabulary of `size`.
    #[must_use]
    pub fn all(size: usize) -> TokenMask {
        TokenMask { words: vec![u32::MAX; size.div_ceil(BITS)], size }
    }

    /// Token `i` is bit `i % 32` of word `i / 32`; words that are missing allow nothing.
    #[must_use]
    pub fn from_words(words: &[u32], size: usize) -> TokenMask {
        let mut words: Vec<u32> = words.iter().copied().take(size.div_ceil(BITS)).collect();
        words.resize(size.div_ceil(BITS), 0);
        TokenMask { words, size }
    }

    /// How many tokens the vocabulary has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Allows a token; nothing happens outside the vocabulary.
    pub fn allow(&mut self, token: u32) {
        if (token as usize) < self.size {
            self.words[token as usize / BITS] |= 1 << (token as usize % BITS);
        }
    }

    /// Forbids a token; nothing happens outside the vocabulary.
    pub fn forbid(&mut self, token: u32) {
        if (token as usize) < self.size {
            self.words[token as usize / BITS] &= !(1 << (token as usize % BITS));
        }
    }

    /// Forbids what `other` forbids. A smaller vocabulary's mask forbids the tokens it doesn't have.
    pub fn restrict(&mut self, other: &TokenMask) {
        for (at, word) in self.words.iter_mut().enumerate() {
            let rest = other.size.saturating_sub(at * BITS).min(BITS);
            let inside = if rest == BITS { u32::MAX } else { (1 << rest) - 1 };
            *word &= other.words.get(at).map_or(0, |word| word & inside);
        }
    }

    /// Whether a token is allowed; none is outside the vocabulary.
    #[must_use]
    pub fn allows(&self, token: u32) -> bool {
        (token as usize) < self.size && self.words[token as usize / BITS] >> (token as usize % BITS) & 1 == 1
    }

    /// Whether no token is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let (last, whole) = (self.size % BITS, self.size / BITS);
        let rest = self.words.get(whole).is_some_and(|word| word & ((1 << last) - 1) != 0);
        !rest && self.words[..whole].iter().all(|&word| word == 0)
    }

    /// The tokens that are allowed, ascending.
    pub fn tokens(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.size as u32).filter(|&token| self.allows(token))
    }

    /// Makes the logits of forbidden tokens minus infinity. `logits` has the mask's size.
    pub(super) fn apply(&self, logits: &mut [f32]) {
        for (logits, &word) in logits.chunks_mut(BITS).zip(&self.words) {
            match word {
                0 => logits.fill(f32::NEG_INFINITY),
                u32::MAX => {}
                word => {
                    for (bit, logit) in logits.iter_mut().enumerate() {
                        if word >> bit & 1 == 0 {
                            *logit = f32::NEG_INFINITY;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn restricted(
            sizes in (0usize..99, 0usize..99),
            forbidden in (prop::collection::vec(0u32..99, 0..30), prop::collection::vec(0u32..99, 0..30)),
        ) {
            let make = |size: usize, forbidden: &[u32]| {
                let mut mask = TokenMask::all(size);
                forbidden.iter().for_each(|&token| mask.forbid(token));
                mask
            };
            let (a, b) = (make(sizes.0, &forbidden.0), make(sizes.1, &forbidden.1));
            let mut both = a.clone();
            both.restrict(&b);
            for token in 0..99 {
                prop_assert_eq!(both.allows(token), a.allows(token) && b.allows(token));
            }
        }

        #[test]
        fn bits(size in 0usize..200, allowed in prop::collection::vec(0u32..250, 0..40)) {
            let mut mask = TokenMask::none(size);
            allowed.iter().for_each(|&token| mask.allow(token));
            let inside = |token: u32| (token as usize) < size && allowed.contains(&token);
            for token in 0..260 {
                prop_assert_eq!(mask.allows(token), inside(token));
            }
            prop_assert_eq!(mask.tokens().collect::<Vec<_>>(), (0..260).filter(|&t| inside(t)).collect::<Vec<_>>());
            let mut logits = vec![1.0; size];
            mask.apply(&mut logits);
            for (token, logit) in (0..).zip(logits) {
                prop_assert_eq!(logit, if inside(token) { 1.0 } else { f32::NEG_INFINITY });
            }
            prop_assert_eq!(mask.is_empty(), mask.tokens().next().is_none());
            let mut rest = TokenMask::all(size);
            allowed.iter().for_each(|&token| rest.forbid(token));
            for token in 0..260 {
                prop_assert_eq!(rest.allows(token), (token as usize) < size && !inside(token));
            }
        }
    }

    #[test]
    fn words_beyond_the_size_are_cut() {
        let mask = TokenMask::from_words(&[0b101, u32::MAX, u32::MAX], 34);
        assert_eq!(mask.tokens().collect::<Vec<_>>(), [0, 2, 32, 33]);
        assert_eq!(TokenMask::from_words(&[], 3).tokens().count(), 0);
    }
}
