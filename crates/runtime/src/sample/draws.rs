//! The random numbers of a sampler, countable so that a saved sequence goes on where it was.

use mynah_tensor::Rng;

/// A seed's random numbers. With `key` the first output of [`Rng::new(seed)`](Rng::new) (xoshiro256++ seeded through splitmix64),
/// number `n` is the upper 53 bits of the first output of `Rng::new(key + n)`, divided by 2⁵³. It depends on the seed and on `n` and
/// on nothing else, so a position in the stream is one integer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draws {
    key: u64,
    drawn: u64,
}

impl Draws {
    /// The stream of a seed, from its beginning.
    #[must_use]
    pub fn new(seed: u64) -> Draws {
        Draws { key: Rng::new(seed).next_u64(), drawn: 0 }
    }

    /// The next number, uniform in `[0, 1)`.
    pub fn next_f64(&mut self) -> f64 {
        let bits = Rng::new(self.key.wrapping_add(self.drawn)).next_u64();
        self.drawn = self.drawn.wrapping_add(1);
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }

    /// How many numbers were drawn.
    #[must_use]
    pub fn drawn(&self) -> u64 {
        self.drawn
    }

    /// Goes to a place in the stream.
    pub fn seek(&mut self, drawn: u64) {
        self.drawn = drawn;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_stream_is_a_number() {
        let mut draws = Draws::new(3);
        let first: Vec<f64> = (0..10).map(|_| draws.next_f64()).collect();
        assert_eq!(draws.drawn(), 10);
        let mut other = Draws::new(3);
        other.seek(4);
        assert_eq!(other.next_f64(), first[4]);
        assert_ne!(Draws::new(4).next_f64(), first[0]);
    }

    #[test]
    fn the_stream_of_a_seed_is_fixed() {
        let key = Rng::new(11).next_u64();
        let mut draws = Draws::new(11);
        for n in 0..3 {
            let expected = (Rng::new(key.wrapping_add(n)).next_u64() >> 11) as f64 * 2f64.powi(-53);
            assert_eq!(draws.next_f64(), expected);
        }
    }

    #[test]
    fn uniform_over_the_stream_and_over_seeds() {
        for across_seeds in [false, true] {
            let mut counts = [0; 10];
            let mut draws = Draws::new(1);
            for seed in 0..20_000 {
                let u = if across_seeds { Draws::new(seed).next_f64() } else { draws.next_f64() };
                counts[(u * 10.0) as usize] += 1;
            }
            // Five deviations of a binomial with n = 20000, p = 0.1.
            assert!(counts.iter().all(|&count: &i32| (count - 2000).abs() < 212), "{counts:?}");
        }
    }
}
