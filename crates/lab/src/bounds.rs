//! How far a device may be from the f64 reference, per op and policy, and why.
//!
//! All figures are normalised mean square errors: the energy of the error over the energy of the reference. The unit
//! roundoff of f32 is u = 2⁻²⁴ ≈ 6e-8, so one correctly rounded operation gives at most u² ≈ 3.6e-15.

use mynah_device::{Policy, Precision};
use mynah_tensor::DType;

/// Normalised mean square error allowed under each precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Float activations, plain formulas.
    pub exact: f64,
    /// All fast routes allowed.
    pub fast: f64,
}

impl Bounds {
    /// The elements are moved, not changed.
    pub const MOVED: Self = Self { exact: 0.0, fast: 0.0 };

    /// One or two correctly rounded operations an element.
    pub const ROUNDED: Self = Self { exact: 1e-14, fast: 1e-14 };

    /// A few operations and one exponential: polynomials of a few units in the last place in `exact` (relative error
    /// below 1e-6), shorter ones in `fast` (below 1e-4).
    pub const EXPONENTIAL: Self = Self { exact: 1e-12, fast: 1e-8 };

    /// Sums over one row and a root or division: as [`Bounds::EXPONENTIAL`].
    pub const ROW: Self = Self { exact: 1e-12, fast: 1e-8 };

    /// Sums of K ≤ 4096 products of stored floats. One running f32 sum has u²·K/6 ≈ 2.4e-12; `fast` may round both
    /// factors to bf16 (2⁻⁹/√3 each, 2.6e-6 together on average; a product of few elements, whose sums happen to be a
    /// third of what their terms amount to, is off by ten times that).
    pub const PRODUCT: Self = Self { exact: 1e-11, fast: 3e-5 };

    /// Products with quantised weights. The reference decodes them, so `exact` is as above; `fast` may round the
    /// activations to 8 bits: over blocks of 32 normal values the step is 2.1σ/127, an error of 2.3e-5, over whole
    /// rows of 4096 three times that.
    pub const QUANTISED_PRODUCT: Self = Self { exact: 1e-11, fast: 2e-4 };

    /// Two chained products with a softmax between. `fast` as [`Bounds::PRODUCT`], and a score rounded to bf16 carries
    /// its error, 2⁻⁹ of what its terms amount to, into the exponent.
    pub const ATTENTION: Self = Self { exact: 1e-11, fast: 1e-4 };

    /// As [`Bounds::ATTENTION`] over a cache of halves where keys are computed before they are rounded: one that is next to the middle
    /// of two halves, by less than the error of its f32, may become the other, 2⁻¹¹ of it away.
    pub const ATTENTION_HALVES: Self = Self { exact: 1e-7, fast: 1e-4 };

    /// A recurrence over some hundred tokens, each a sum and an update: errors of one token are carried on to the next, though
    /// the decay lets them fade.
    pub const RECURRENCE: Self = Self { exact: 1e-10, fast: 1e-8 };

    /// A recurrence that may go in chunks. `exact` as [`Bounds::RECURRENCE`]; `fast` may round the factors of its products, the
    /// matrix among them, to bf16 as [`Bounds::PRODUCT`], in products that follow each other as in [`Bounds::ATTENTION`].
    pub const CHUNKED_RECURRENCE: Self = Self { exact: 1e-10, fast: 1e-4 };

    /// A product with a weight of this type.
    pub fn product(weight: DType) -> Self {
        if weight.is_quantized() { Self::QUANTISED_PRODUCT } else { Self::PRODUCT }
    }

    /// The bound under a policy: `exact` only with no route switched on by hand.
    pub fn under(&self, policy: &Policy) -> f64 {
        let exact = policy.precision == Precision::Exact && !policy.switches.values().any(|on| *on);
        if exact { self.exact } else { self.fast }
    }

    /// This bound loosened by a factor, for data that cancels or saturates.
    pub fn times(self, factor: f64) -> Self {
        Self { exact: self.exact * factor, fast: self.fast * factor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_switched_on_by_hand_is_not_exact() {
        let mut policy = Policy::exact();
        assert_eq!(Bounds::PRODUCT.under(&policy), 1e-11);
        policy.switches.insert("int8-dot".into(), false);
        assert_eq!(Bounds::PRODUCT.under(&policy), 1e-11);
        policy.switches.insert("int8-dot".into(), true);
        assert_eq!(Bounds::PRODUCT.under(&policy), 3e-5);
        assert_eq!(Bounds::product(DType::Q4K).under(&Policy::default()), 2e-4);
        assert_eq!(Bounds::product(DType::F16).under(&Policy::default()), 3e-5);
    }
}
