//! What a block is told by: one number, a polynomial through the last samples, or a linear prediction, whichever leaves least.

use super::bits::Bits;
use super::rice::Partitions;

/// Bits of a sample.
pub(super) const WIDTH: u32 = 16;
/// Coefficients of the polynomials through the last 0 to 4 samples.
const FIXED: [&[i32]; 5] = [&[], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]];
/// Orders of linear prediction that are tried. The streamable subset has no more up to 48 kHz.
const ORDERS: [usize; 4] = [6, 8, 10, 12];
/// Bits of a coefficient with its sign.
const PRECISION: u32 = 13;
/// The largest shift that a subframe can hold.
const MOST_SHIFT: i32 = 15;

/// A block's subframe.
#[derive(Debug)]
pub(super) enum Subframe {
    /// All samples are this.
    Constant(i32),
    /// The samples as they are.
    Verbatim,
    /// Each is told by those before it.
    Predicted { predictor: Predictor, residual: Vec<i32>, partitions: Partitions },
}

/// A sample is `Σ coefficients[i] · sample[n − 1 − i]`, shifted right.
#[derive(Clone, Debug)]
pub(super) struct Predictor {
    coefficients: Vec<i32>,
    shift: u32,
    /// One of the format's own polynomials, whose coefficients it need not be told.
    fixed: bool,
}

impl Subframe {
    /// The shortest for a block that is not empty.
    pub(super) fn best(block: &[i32]) -> Self {
        let first = block.first().copied().unwrap_or(0);
        if block.iter().all(|&x| x == first) {
            return Self::Constant(first);
        }
        let linear = linear(block);
        let mut best = (Self::Verbatim, u64::from(WIDTH) * block.len() as u64);
        for predictor in fixed().chain(linear) {
            let Some(residual) = predictor.residual(block) else { continue };
            let partitions = Partitions::best(&residual, block.len());
            let bits = predictor.bits() + partitions.bits;
            if bits < best.1 {
                best = (Self::Predicted { predictor, residual, partitions }, bits);
            }
        }
        best.0
    }

    pub(super) fn write(&self, block: &[i32], out: &mut Bits) {
        match self {
            Self::Constant(value) => {
                out.put(0, 8);
                out.signed(*value, WIDTH);
            }
            Self::Verbatim => {
                out.put(1 << 1, 8);
                block.iter().for_each(|&x| out.signed(x, WIDTH));
            }
            Self::Predicted { predictor, residual, partitions } => {
                predictor.write(block, out);
                partitions.write(residual, block.len(), out);
            }
        }
    }
}

impl Predictor {
    fn order(&self) -> usize {
        self.coefficients.len()
    }

    /// What it takes besides its residual.
    fn bits(&self) -> u64 {
        let own = if self.fixed { 0 } else { 9 + u64::from(PRECISION) * self.order() as u64 };
        8 + u64::from(WIDTH) * self.order() as u64 + own
    }

    /// What the prediction leaves; `None` for a block too short for it or numbers that no Rice code should be asked for.
    fn residual(&self, block: &[i32]) -> Option<Vec<i32>> {
        if block.len() <= self.order() {
            return None;
        }
        let left = |window: &[i32]| {
            let (&x, before) = window.split_last()?;
            let terms = self.coefficients.iter().zip(before.iter().rev());
            let sum: i64 = terms.map(|(&c, &x)| i64::from(c) * i64::from(x)).sum();
            i32::try_from(i64::from(x) - (sum >> self.shift))
                .ok()
                .filter(|left| left.unsigned_abs() < 1 << 24)
        };
        block.windows(self.order() + 1).map(left).collect()
    }

    fn write(&self, block: &[i32], out: &mut Bits) {
        let order = self.order();
        let kind = if self.fixed { 0b00_1000 | order } else { 0b10_0000 | (order - 1) };
        out.put((kind as u64) << 1, 8);
        block.iter().take(order).for_each(|&x| out.signed(x, WIDTH));
        if !self.fixed {
            out.put(u64::from(PRECISION - 1), 4);
            out.put(u64::from(self.shift), 5);
            self.coefficients.iter().for_each(|&c| out.signed(c, PRECISION));
        }
    }
}

fn fixed() -> impl Iterator<Item = Predictor> {
    FIXED.iter().map(|c| Predictor { coefficients: c.to_vec(), shift: 0, fixed: true })
}

/// Linear predictors of a block, by Levinson and Durbin from its autocorrelation under Welch's window. Only sums and products of
/// f64, so that a block is the same everywhere.
fn linear(block: &[i32]) -> Vec<Predictor> {
    let most = ORDERS.iter().copied().max().unwrap_or(0);
    if block.len() <= 2 * most {
        return Vec::new();
    }
    let middle = (block.len() - 1) as f64 / 2.0;
    let windowed: Vec<f64> = block
        .iter()
        .enumerate()
        .map(|(i, &x)| {
            let from_middle = (i as f64 - middle) / (middle + 1.0);
            f64::from(x) * (1.0 - from_middle * from_middle)
        })
        .collect();
    let lag = |lag: usize| windowed.iter().zip(&windowed[lag..]).map(|(a, b)| a * b).sum::<f64>();
    let correlation: Vec<f64> = (0..=most).map(lag).collect();
    let mut predictors = Vec::new();
    let (mut c, mut error) = (Vec::<f64>::new(), correlation[0]);
    while c.len() < most && error > 0.0 {
        let order = c.len();
        let told: f64 = c.iter().enumerate().map(|(i, c)| c * correlation[order - i]).sum();
        let reflection = (correlation[order + 1] - told) / error;
        let turned: Vec<f64> = c.iter().zip(c.iter().rev()).map(|(a, b)| a - reflection * b).collect();
        c = turned;
        c.push(reflection);
        error *= 1.0 - reflection * reflection;
        if ORDERS.contains(&c.len()) {
            predictors.extend(quantized(&c));
        }
    }
    predictors
}

/// Coefficients as whole numbers and a shift; what rounding leaves goes to the next one.
fn quantized(coefficients: &[f64]) -> Option<Predictor> {
    let largest = coefficients.iter().fold(0.0_f64, |most, c| most.max(c.abs()));
    if !largest.is_finite() || largest <= 0.0 {
        return None;
    }
    // The largest has its first bit just below the sign.
    let mut shift = MOST_SHIFT;
    let bound = f64::from(1 << (PRECISION - 1)) - 1.0;
    while shift > 0 && largest * f64::from(1 << shift) > bound {
        shift -= 1;
    }
    let mut left = 0.0;
    let round = |&c: &f64| {
        let exact = c * f64::from(1 << shift) + left;
        let whole = exact.round().clamp(-bound - 1.0, bound);
        left = exact - whole;
        whole as i32
    };
    let coefficients = coefficients.iter().map(round).collect();
    Some(Predictor { coefficients, shift: shift as u32, fixed: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(block: &[i32]) -> usize {
        let mut out = Bits::default();
        Subframe::best(block).write(block, &mut out);
        out.align();
        8 * out.bytes().len()
    }

    #[test]
    fn each_kind_is_taken_where_it_is_shortest() {
        assert!(matches!(Subframe::best(&[5; 100]), Subframe::Constant(5)));
        let line: Vec<i32> = (0..4096).map(|i| 3 * i - 6000).collect();
        let taken = Subframe::best(&line);
        assert!(matches!(&taken, Subframe::Predicted { predictor, .. } if predictor.fixed), "{taken:?}");
        let tone: Vec<i32> = (0..4096)
            .map(|i| (9000.0 * (f64::from(i) * 0.11).sin() + 5000.0 * (f64::from(i) * 0.31).sin()) as i32)
            .collect();
        let taken = Subframe::best(&tone);
        assert!(matches!(&taken, Subframe::Predicted { predictor, .. } if !predictor.fixed), "{taken:?}");
        assert!(bits(&tone) < 4 * tone.len(), "{} bits", bits(&tone));
        let mut state = 1_u32;
        let noise: Vec<i32> = (0..4096)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                i32::from((state >> 16) as u16 as i16)
            })
            .collect();
        assert!(matches!(Subframe::best(&noise), Subframe::Verbatim));
        assert!(bits(&noise) <= 16 * noise.len() + 8);
    }
}
