//! Kernels of convolutions over time as matrices, in the order in which products go along them.
//!
//! ```text
//! conv1d            [Co, Ci, K] → rows Co of K taps, each tap its channels and zeros up to a multiple of four
//! conv_transpose1d  [Ci, Co, K] → rows (tap, Co) of the channels
//! ```
//!
//! So a frame's channels meet a run of the row, and the frames of a window one whole row, or one row after the other.

use super::store::floats;
use mynah_device::{DeviceError, WeightBytes, WeightUse};
use mynah_tensor::{DType, Shape};

/// Channels of a tap in a row of a convolution's kernel.
pub(crate) fn padded(channels: usize) -> usize {
    channels.next_multiple_of(4)
}

/// A kernel and its sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kernel {
    inputs: usize,
    outputs: usize,
    taps: usize,
    transposed: bool,
}

impl Kernel {
    /// The kernel of a convolution over time, `None` for other weights.
    pub(super) fn of(shape: Shape, use_: WeightUse) -> Option<Self> {
        let &[first, second, taps] = shape.dims() else { return None };
        match use_ {
            WeightUse::Conv1d => Some(Self { inputs: second, outputs: first, taps, transposed: false }),
            WeightUse::ConvTranspose1d { .. } => {
                Some(Self { inputs: first, outputs: second, taps, transposed: true })
            }
            _ => None,
        }
    }

    /// Rows of the matrix.
    pub(super) fn rows(self) -> usize {
        if self.transposed { self.taps * self.outputs } else { self.outputs }
    }

    /// Elements of a row.
    pub(super) fn row(self) -> usize {
        if self.transposed { self.inputs } else { self.taps * padded(self.inputs) }
    }

    /// Where the element of an input and an output channel and a tap goes.
    fn place(self, input: usize, output: usize, tap: usize) -> usize {
        if self.transposed {
            (tap * self.outputs + output) * self.inputs + input
        } else {
            (output * self.taps + tap) * padded(self.inputs) + input
        }
    }

    /// The elements in their new order, as they are or decoded, and their type.
    pub(super) fn rearranged(self, weight: &WeightBytes<'_>) -> Result<(DType, Vec<u8>), DeviceError> {
        match weight.dtype {
            DType::F16 | DType::BF16 => {
                let elements = weight.bytes.as_chunks::<2>().0;
                Ok((weight.dtype, self.moved(weight, elements)?))
            }
            _ => {
                let decoded = floats(weight)?;
                Ok((DType::F32, self.moved(weight, decoded.as_chunks::<4>().0)?))
            }
        }
    }

    fn moved<const N: usize>(
        self,
        weight: &WeightBytes<'_>,
        elements: &[[u8; N]],
    ) -> Result<Vec<u8>, DeviceError> {
        let Self { inputs, outputs, taps, transposed } = self;
        if elements.len() != inputs * outputs * taps {
            let reason = format!("{} elements, {} are needed", elements.len(), inputs * outputs * taps);
            return Err(DeviceError::Weight { name: weight.name.to_owned(), reason });
        }
        let mut out = vec![[0; N]; self.rows() * self.row()];
        for (i, kernel) in elements.chunks_exact(taps.max(1)).enumerate() {
            let (input, output) =
                if transposed { (i / outputs, i % outputs) } else { (i % inputs, i / inputs) };
            for (tap, element) in kernel.iter().enumerate() {
                out[self.place(input, output, tap)] = *element;
            }
        }
        Ok(out.into_flattened())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(shape: [usize; 3], use_: WeightUse) -> Vec<f32> {
        let shape = Shape::from(shape);
        let values: Vec<f32> = (0..shape.numel()).map(|i| 1.0 + i as f32).collect();
        let weight =
            WeightBytes { name: "w", dtype: DType::F32, shape, bytes: bytemuck::cast_slice(&values) };
        let kernel = Kernel::of(shape, use_).unwrap();
        let (dtype, bytes) = kernel.rearranged(&weight).unwrap();
        assert_eq!((dtype, bytes.len()), (DType::F32, 4 * kernel.rows() * kernel.row()));
        bytemuck::pod_collect_to_vec(&bytes)
    }

    #[test]
    fn taps_come_one_after_the_other_with_their_channels() {
        // Two outputs of three channels by two taps.
        let wanted = [1., 3., 5., 0., 2., 4., 6., 0., 7., 9., 11., 0., 8., 10., 12., 0.];
        assert_eq!(moved([2, 3, 2], WeightUse::Conv1d), wanted);
        // Three channels to two outputs by two taps.
        let wanted = [1., 5., 9., 3., 7., 11., 2., 6., 10., 4., 8., 12.];
        assert_eq!(moved([3, 2, 2], WeightUse::ConvTranspose1d { stride: 1 }), wanted);
    }

    #[test]
    fn a_kernel_that_is_too_short_is_refused() {
        let shape = Shape::from([2, 3, 2]);
        let weight = WeightBytes { name: "w", dtype: DType::F16, shape, bytes: &[0; 22] };
        assert!(Kernel::of(shape, WeightUse::Conv1d).unwrap().rearranged(&weight).is_err());
    }
}
