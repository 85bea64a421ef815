//! Residuals as Rice codes: a block is cut into 2ᵒ partitions, each with the parameter that makes it shortest.

use super::bits::Bits;

/// Parameters that the four bits of a partition can name; 15 is the escape, which is never shorter for 16-bit samples.
const PARAMETERS: usize = 15;
/// The most partitions, as a power of two, of the format's streamable subset.
const MOST_ORDER: u32 = 8;
/// Bits of the method and of the order of partitions.
const HEAD: u64 = 6;

/// How a residual is cut, and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partitions {
    order: u32,
    parameters: Vec<u32>,
    /// Bits of all of it.
    pub(super) bits: u64,
}

impl Partitions {
    /// The shortest way to write the residual of a block of `block` samples, the first of which the predictor began with.
    pub(super) fn best(residual: &[i32], block: usize) -> Self {
        let warm = block - residual.len();
        let fits = |order: &u32| block.is_multiple_of(1 << order) && (block >> order) > warm;
        let finest = (0..=MOST_ORDER).rev().find(fits).unwrap_or(0);
        let mut costs: Vec<[u64; PARAMETERS]> = parts(residual, block, finest).map(cost).collect();
        let mut best: Option<Self> = None;
        for order in (0..=finest).rev() {
            let found = Self::choose(order, &costs);
            if best.as_ref().is_none_or(|best| found.bits < best.bits) {
                best = Some(found);
            }
            // What two neighbours take with a parameter is what both together take.
            costs = costs
                .chunks(2)
                .map(|pair| std::array::from_fn(|k| pair.iter().map(|costs| costs[k]).sum()))
                .collect();
        }
        best.unwrap_or(Self { order: 0, parameters: vec![0], bits: u64::MAX })
    }

    fn choose(order: u32, costs: &[[u64; PARAMETERS]]) -> Self {
        let (mut parameters, mut bits) = (Vec::with_capacity(costs.len()), HEAD);
        for costs in costs {
            let least = costs.iter().enumerate().min_by_key(|(_, bits)| **bits);
            let (k, cost) = least.map_or((0, 0), |(k, bits)| (k, *bits));
            parameters.push(k as u32);
            bits += 4 + cost;
        }
        Self { order, parameters, bits }
    }

    /// Writes a residual as it was planned.
    pub(super) fn write(&self, residual: &[i32], block: usize, out: &mut Bits) {
        out.put(0, 2);
        out.put(u64::from(self.order), 4);
        for (part, &k) in parts(residual, block, self.order).zip(&self.parameters) {
            out.put(u64::from(k), 4);
            for &x in part {
                let folded = fold(x);
                out.unary(folded >> k);
                out.put(u64::from(folded), k);
            }
        }
    }
}

/// The partitions of a residual; the first is shorter by what the predictor began with.
fn parts(residual: &[i32], block: usize, order: u32) -> impl Iterator<Item = &[i32]> {
    let (length, warm) = (block >> order, block - residual.len());
    (0..1_usize << order).map(move |i| {
        let end = ((i + 1) * length - warm).min(residual.len());
        &residual[(i * length).saturating_sub(warm).min(end)..end]
    })
}

/// What numbers take with each parameter.
fn cost(part: &[i32]) -> [u64; PARAMETERS] {
    let mut bits = std::array::from_fn(|k| part.len() as u64 * (k as u64 + 1));
    for &x in part {
        let folded = fold(x);
        for (k, bits) in bits.iter_mut().enumerate() {
            *bits += u64::from(folded >> k);
        }
    }
    bits
}

/// 0, −1, 1, −2, … as 0, 1, 2, 3, …
fn fold(x: i32) -> u32 {
    ((x << 1) ^ (x >> 31)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_is_what_is_written() {
        for (block, warm) in [(4096, 4), (4096, 0), (100, 12), (13, 12), (1, 0), (6, 3)] {
            let number = |i: usize| (i as i32 * 7919 % 613 - 300) * if i > block / 2 { 40 } else { 1 };
            let residual: Vec<i32> = (warm..block).map(number).collect();
            let plan = Partitions::best(&residual, block);
            let mut bits = Bits::default();
            plan.write(&residual, block, &mut bits);
            bits.align();
            assert_eq!(bits.bytes().len() as u64, plan.bits.div_ceil(8), "{block} {warm}");
            assert_eq!(plan.parameters.len(), 1 << plan.order);
        }
    }

    #[test]
    fn loud_and_quiet_parts_get_parameters_of_their_own() {
        let residual: Vec<i32> =
            (0..4096).map(|i| if i < 2048 { i % 3 - 1 } else { i % 2001 - 1000 }).collect();
        let plan = Partitions::best(&residual, 4096);
        assert!(plan.order > 0 && plan.parameters[0] < plan.parameters[1 << (plan.order - 1)], "{plan:?}");
    }
}
