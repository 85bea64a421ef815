//! A small seeded random generator, so that random weights and test data are the same bytes everywhere.

/// xoshiro256++ seeded through splitmix64 (Blackman and Vigna). Not for secrets. All draws use integer arithmetic or
/// exactly rounded float operations, so a seed gives the same values on every platform.
#[derive(Debug, Clone)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// A generator for this seed; any value is good, zero included.
    pub fn new(seed: u64) -> Rng {
        let mut counter = seed;
        let state = [(); 4].map(|()| {
            counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = counter;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Rng { state }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A whole number in `0..bound`, 0 when `bound` is 0. The bias of at most `bound / 2^64` is nobody's concern here.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Uniform in `[0, 1)`, 24 bits.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / 16_777_216.0
    }

    /// Uniform in `[low, high)`.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Approximately standard normal: the sum of twelve uniforms. Box-Muller would call `ln` and `cos`, whose last bit
    /// differs between platforms; this costs the tails beyond six deviations, which neither weights nor tests need.
    pub fn normal(&mut self) -> f32 {
        let mut sum = 0i64;
        for _ in 0..3 {
            let bits = self.next_u64();
            sum += [0, 16, 32, 48].map(|shift| ((bits >> shift) & 0xffff) as i64).iter().sum::<i64>();
        }
        // Twelve values with mean 65535/2 each; the variance of a uniform being 1/12, the sum needs no further scale.
        (sum - 6 * 65535) as f32 / 65536.0
    }

    /// Fills a slice with normal values of this standard deviation.
    pub fn fill_normal(&mut self, out: &mut [f32], deviation: f32) {
        for value in out {
            *value = self.normal() * deviation;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_seed_is_fixed() {
        // First outputs of splitmix64(0) give the state; the next values follow from the published algorithm.
        let mut rng = Rng::new(0);
        assert_eq!(rng.state[0], 0xe220_a839_7b1d_cdaf);
        assert_eq!(rng.next_u64(), 0x5317_5d61_490b_23df);
        assert_ne!(Rng::new(1).next_u64(), Rng::new(2).next_u64());
    }

    #[test]
    fn moments_are_right() {
        let mut rng = Rng::new(7);
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|_| f64::from(rng.normal())).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "mean {mean}, variance {variance}");
        let mut counts = [0; 7];
        for _ in 0..7000 {
            counts[rng.below(7)] += 1;
            let u = rng.uniform();
            assert!((0.0..1.0).contains(&u));
        }
        assert!(counts.iter().all(|&c| (850..1150).contains(&c)), "{counts:?}");
        assert_eq!(rng.below(0), 0);
    }
}
