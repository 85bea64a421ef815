//! What a graph says of tensors that outlive a run, and how their elements are stored.

use half::f16;
use half::slice::HalfFloatSliceExt;
use mynah_tensor::Shape;
use std::borrow::Cow;

/// The last dimension of a state of halves is a multiple of so many: devices that have no type for one half write some at a time.
pub(crate) const HALVES_TOGETHER: usize = 4;

/// How the elements of a state tensor are stored. What ops read and give is f32 either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StateElem {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats (IEEE 754 binary16), for caches of keys and values: a number is rounded to the nearest, ties to even, and to
    /// ±65504 where it is larger, when it is written. Only ops that copy rows and attention over pages take such a state, and the last dimension of its rows is a
    /// multiple of four.
    F16,
}

impl StateElem {
    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// What is read of an element after `x` was written.
    pub fn stored(self, x: f64) -> f64 {
        match self {
            Self::F32 => x,
            Self::F16 => f16::from_f64(x.clamp(f16::MIN.to_f64(), f16::MAX.to_f64())).to_f64(),
        }
    }

    /// The bytes of elements in the machine's order.
    pub fn encode(self, elements: &[f32]) -> Cow<'_, [u8]> {
        match self {
            Self::F32 => Cow::Borrowed(bytemuck::cast_slice(elements)),
            Self::F16 => {
                let mut halves = vec![f16::ZERO; elements.len()];
                round_to_halves(elements, &mut halves);
                Cow::Owned(bytemuck::cast_slice(&halves).to_vec())
            }
        }
    }

    /// The elements of such bytes; a remainder of less than an element is left out.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_ne_bytes(*b)).collect(),
            Self::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_ne_bytes(*b).to_f32()).collect(),
        }
    }
}

/// Writes numbers as [`StateElem::F16`] stores them; where one list is longer, its rest is left.
pub fn round_to_halves(from: &[f32], to: &mut [f16]) {
    const TOGETHER: usize = 64;
    let (least, most) = (f16::MIN.to_f32(), f16::MAX.to_f32());
    for (from, to) in from.chunks(TOGETHER).zip(to.chunks_mut(TOGETHER)) {
        let n = from.len().min(to.len());
        let mut within = [0.0f32; TOGETHER];
        within.iter_mut().zip(from).for_each(|(to, x)| *to = x.clamp(least, most));
        to[..n].convert_from_f32_slice(&within[..n]);
    }
}

/// A tensor that outlives a run: a cache or a recurrent state, `[rows, row shape]` with the row count chosen when
/// the sequence is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StateDecl {
    /// The name under which graphs of one model share it.
    pub name: String,
    /// Shape of one row.
    pub row: Shape,
    /// How its elements are stored.
    pub elem: StateElem,
}

impl StateDecl {
    /// One of 32-bit floats.
    pub fn new(name: impl Into<String>, row: impl Into<Shape>) -> Self {
        Self { name: name.into(), row: row.into(), elem: StateElem::F32 }
    }

    /// The same with elements stored otherwise.
    #[must_use]
    pub fn stored_as(self, elem: StateElem) -> Self {
        Self { elem, ..self }
    }

    /// A cache of keys or values that is stored so where its heads are whole vectors of four, as halves must be, and else as floats.
    pub fn cache(name: impl Into<String>, row: impl Into<Shape>, elem: StateElem) -> Self {
        let decl = Self::new(name, row);
        if decl.row.last().is_multiple_of(HALVES_TOGETHER) { decl.stored_as(elem) } else { decl }
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.row.numel().saturating_mul(self.elem.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even_and_end_at_the_largest() {
        let stored = |x| StateElem::F16.stored(x);
        assert_eq!(stored(1.0 + 2f64.powi(-11)), 1.0, "a tie goes to the even one");
        assert_eq!(stored(1.0 + 3.0 * 2f64.powi(-11)), 1.0 + 2f64.powi(-9));
        assert_eq!((stored(1e9), stored(-65519.9), stored(f64::INFINITY)), (65504.0, -65504.0, 65504.0));
        assert!(stored(f64::NAN).is_nan());
        assert_eq!(StateElem::F32.stored(1e9 + 0.1), 1e9 + 0.1);
    }

    #[test]
    fn what_is_encoded_is_what_is_stored() {
        let mut given: Vec<f32> = (0..1000).map(|i| (i as f32 - 500.0) * 0.37).collect();
        given.extend([1e9, -1e9, 65519.9, 65520.0, 6e-8, 2e-8, 0.0, 1.0 + 4.882_812_5e-4, f32::INFINITY]);
        for elem in [StateElem::F32, StateElem::F16] {
            let bytes = elem.encode(&given);
            assert_eq!(bytes.len(), given.len() * elem.bytes());
            for (x, found) in given.iter().zip(elem.decode(&bytes)) {
                assert_eq!(f64::from(found), elem.stored(f64::from(*x)), "{x}");
            }
        }
        assert!(StateElem::F16.decode(&StateElem::F16.encode(&[f32::NAN]))[0].is_nan());
    }

    #[test]
    fn a_row_has_as_many_bytes_as_its_elements() {
        let decl = StateDecl::new("keys", [2, 3]);
        assert_eq!(decl.row_bytes(), 24);
        assert_eq!(decl.stored_as(StateElem::F16).row_bytes(), 12);
        let cache = |width| StateDecl::cache("keys", [2, width], StateElem::F16).elem;
        assert_eq!((cache(8), cache(6)), (StateElem::F16, StateElem::F32));
    }
}
