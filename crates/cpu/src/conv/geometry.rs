//! Extents of a convolution, and which taps of the kernel fall inside the input.

use std::ops::Range;

/// One axis of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Extent of the input.
    pub(crate) input: usize,
    /// Extent of the output.
    pub(crate) output: usize,
    /// Extent of the kernel.
    pub(crate) kernel: usize,
    /// Step of the kernel.
    pub(crate) stride: usize,
    /// Zeros before the input.
    pub(crate) pad: usize,
}

impl Axis {
    /// The taps that meet the input at output position `at`, and the input position of tap 0, which may be
    /// negative.
    pub(crate) fn taps(&self, at: usize) -> (Range<usize>, isize) {
        let start = (at * self.stride) as isize - self.pad as isize;
        let first = usize::try_from(-start).unwrap_or(0).min(self.kernel);
        let last = usize::try_from(self.input as isize - start).unwrap_or(0).min(self.kernel);
        (first..last.max(first), start)
    }
}

/// A convolution's extents.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    pub(crate) height: Axis,
    pub(crate) width: Axis,
    /// Input channels.
    pub(crate) inputs: usize,
    /// Output channels.
    pub(crate) channels: usize,
    pub(crate) groups: usize,
}

#[cfg(test)]
mod tests {
    use super::Axis;

    #[test]
    fn taps_outside_the_input_are_left_out() {
        let axis = Axis { input: 5, output: 3, kernel: 3, stride: 2, pad: 1 };
        assert_eq!(axis.taps(0), (1..3, -1));
        assert_eq!(axis.taps(1), (0..3, 1));
        assert_eq!(axis.taps(2), (0..2, 3));
        let far = Axis { input: 2, output: 9, kernel: 3, stride: 1, pad: 5 };
        assert_eq!(far.taps(0), (3..3, -5));
        assert_eq!(far.taps(8).0.len(), 0);
    }
}
