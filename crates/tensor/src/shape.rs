//! Dimensions of a tensor, kept inline.

use std::fmt;

use crate::TensorError;

/// The most dimensions a tensor can have; GGUF has the same limit.
pub const MAX_RANK: usize = 4;

/// Up to [`MAX_RANK`] dimensions in row-major order: outermost first, the last one contiguous in memory. A GGUF file
/// lists the same dimensions the other way round. Rank 0 is a single element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Shape {
    dims: [usize; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// A shape of dimensions that come from outside.
    ///
    /// # Errors
    /// [`TensorError::Rank`] beyond [`MAX_RANK`], [`TensorError::TooManyElements`] when the product overflows.
    pub fn new(dims: &[usize]) -> Result<Shape, TensorError> {
        if dims.len() > MAX_RANK {
            return Err(TensorError::Rank { rank: dims.len() });
        }
        let mut shape = Shape { dims: [0; MAX_RANK], rank: dims.len() as u8 };
        shape.dims[..dims.len()].copy_from_slice(dims);
        match shape.checked_numel() {
            Some(_) => Ok(shape),
            None => Err(TensorError::TooManyElements { dims: dims.to_vec() }),
        }
    }

    /// The dimensions, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..usize::from(self.rank)]
    }

    /// How many dimensions there are.
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// Number of elements; a product that overflows gives `usize::MAX`, which no allocation survives.
    pub fn numel(&self) -> usize {
        self.checked_numel().unwrap_or(usize::MAX)
    }

    /// Number of elements, or `None` when the product overflows. A zero dimension does not excuse the others.
    pub fn checked_numel(&self) -> Option<usize> {
        let product = self.dims().iter().filter(|&&d| d != 0).try_fold(1usize, |n, &d| n.checked_mul(d))?;
        Some(if self.dims().contains(&0) { 0 } else { product })
    }

    /// Length of the contiguous dimension, 1 for rank 0.
    pub fn last(&self) -> usize {
        self.dims().last().copied().unwrap_or(1)
    }

    /// Number of rows of [`Shape::last`] elements.
    pub fn rows(&self) -> usize {
        self.numel().checked_div(self.last()).unwrap_or(0)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Shape {
        const { assert!(N <= MAX_RANK, "a shape has at most four dimensions") };
        let mut shape = Shape { dims: [0; MAX_RANK], rank: N as u8 };
        shape.dims[..N].copy_from_slice(&dims);
        shape
    }
}

impl TryFrom<&[usize]> for Shape {
    type Error = TensorError;

    fn try_from(dims: &[usize]) -> Result<Shape, TensorError> {
        Shape::new(dims)
    }
}

impl PartialEq<[usize]> for Shape {
    fn eq(&self, other: &[usize]) -> bool {
        self.dims() == other
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.dims()).finish()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.dims().iter().map(usize::to_string).collect();
        f.pad(&format!("[{}]", dims.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_elements_and_rows() {
        let shape = Shape::from([2, 3, 5]);
        assert_eq!((shape.numel(), shape.last(), shape.rows(), shape.rank()), (30, 5, 6, 3));
        assert_eq!(format!("{shape:?} {shape}"), "[2, 3, 5] [2, 3, 5]");
        let scalar = Shape::from([]);
        assert_eq!((scalar.numel(), scalar.last(), scalar.rows()), (1, 1, 1));
        let empty = Shape::from([4, 0]);
        assert_eq!((empty.numel(), empty.last(), empty.rows()), (0, 0, 0));
    }

    #[test]
    fn refuses_what_it_cannot_count() {
        assert_eq!(Shape::new(&[1, 2, 3, 4, 5]), Err(TensorError::Rank { rank: 5 }));
        let dims = [usize::MAX, 2];
        assert_eq!(Shape::new(&dims), Err(TensorError::TooManyElements { dims: dims.to_vec() }));
        assert!(Shape::new(&[usize::MAX, 2, 0]).is_err(), "a zero must not hide an overflow");
        assert_eq!(Shape::from(dims).numel(), usize::MAX);
    }
}
