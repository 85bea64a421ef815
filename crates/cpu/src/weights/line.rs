//! Kernels of convolutions over time, laid out as the panels of a matrix product.
//!
//! A window of K frames of channels-last input is a row of K·Ci numbers, tap after tap, so a convolution is the product of all
//! windows with a matrix of such rows. A transposed convolution with stride s is one as well: the s frames of the output behind
//! frame t of the input depend on the ⌈K/s⌉ frames up to t, so they are s·Co columns of one product. Where s doesn't divide K
//! later phases have a tap less, which is left out ([`Line::first_tap`]).

use super::{Elements, Panels, bad};
use crate::memory::Buffer;
use crate::pool::Pool;
use crate::simd::{Bf16, Isa};
use mynah_device::{DeviceError, WeightBytes};
use mynah_tensor::{DType, Shape};

/// A kernel as `[frames out of one in · Co, taps · Ci]`.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) panels: Panels,
    /// Frames of the input that a column looks at.
    pub(crate) taps: usize,
    /// Input channels.
    pub(crate) inputs: usize,
    /// Terms that each tap takes: the input channels, an even number of them in pairs.
    pub(crate) terms: usize,
    /// Output channels.
    pub(crate) channels: usize,
    /// Frames of the output for each of the input, 1 but for transposed convolutions.
    pub(crate) phases: usize,
    /// Taps of the kernel in the file; later phases may have one less than `taps`, the first then being zero.
    kernel: usize,
}

impl Line {
    /// From the file's `[Cout, Cin, K]`.
    pub(crate) fn prepare(
        weight: &WeightBytes<'_>,
        isa: Isa,
        bf16: Option<Bf16>,
        pool: &Pool,
    ) -> Result<Self, DeviceError> {
        let [channels, inputs, taps] = *weight.shape.dims() else {
            return Err(bad(weight, format!("a kernel over time is [Cout, Cin, K], not {}", weight.shape)));
        };
        let place = |row: usize, tap: usize, input: usize| Some((row * inputs + input) * taps + tap);
        Self::lay_out(weight, [taps, inputs, channels, 1, taps], place, isa, bf16, pool)
    }

    /// From the file's `[Cin, Cout, K]` of a transposed convolution.
    pub(crate) fn prepare_transpose(
        weight: &WeightBytes<'_>,
        stride: usize,
        isa: Isa,
        bf16: Option<Bf16>,
        pool: &Pool,
    ) -> Result<Self, DeviceError> {
        let [inputs, channels, kernel] = *weight.shape.dims() else {
            return Err(bad(weight, format!("a transposed kernel is [Cin, Cout, K], not {}", weight.shape)));
        };
        let stride = stride.max(1);
        let taps = kernel.div_ceil(stride);
        // The last frame of the input meets the first taps of the kernel.
        let place = |row: usize, tap: usize, input: usize| {
            let at = row / channels.max(1) + (taps - 1 - tap) * stride;
            (at < kernel).then_some((input * channels + row % channels.max(1)) * kernel + at)
        };
        Self::lay_out(weight, [taps, inputs, channels, stride, kernel], place, isa, bf16, pool)
    }

    /// Rows of a matrix whose elements lie at `place(row, tap, input)` of the file's, or are zero.
    fn lay_out(
        weight: &WeightBytes<'_>,
        [taps, inputs, channels, phases, kernel]: [usize; 5],
        place: impl Fn(usize, usize, usize) -> Option<usize> + Sync,
        isa: Isa,
        bf16: Option<Bf16>,
        pool: &Pool,
    ) -> Result<Self, DeviceError> {
        let elements = Elements::prepare(weight)?;
        let elements = elements.as_f32();
        let large = || bad(weight, "the kernel has too many elements");
        let terms = if bf16.is_some() { inputs.next_multiple_of(2) } else { inputs };
        let rows = phases.checked_mul(channels).ok_or_else(large)?;
        let shape = Shape::new(&[rows, taps.checked_mul(terms).ok_or_else(large)?]).map_err(|_| large())?;
        let mut matrix = Buffer::zeroed_f32(shape.numel(), weight.name)?;
        let matrix = &mut matrix.as_f32_mut()[..shape.numel()];
        for (row, out) in matrix.chunks_exact_mut(shape.last().max(1)).enumerate() {
            for (tap, out) in out.chunks_exact_mut(terms.max(1)).enumerate() {
                for (input, out) in out.iter_mut().enumerate().take(inputs) {
                    *out = place(row, tap, input).map_or(0.0, |at| elements[at]);
                }
            }
        }
        let bytes = bytemuck::cast_slice(matrix);
        let panels =
            Panels::prepare(&WeightBytes { dtype: DType::F32, shape, bytes, ..*weight }, isa, bf16, pool)?;
        Ok(Self { panels, taps, inputs, terms, channels, phases, kernel })
    }

    /// The first tap that isn't zero for all columns of a panel; [`Line::taps`] when there is none.
    pub(crate) fn first_tap(&self, panel: usize) -> usize {
        let phase = panel * self.panels.width / self.channels.max(1);
        self.taps - self.kernel.saturating_sub(phase).div_ceil(self.phases)
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.panels.bytes()
    }
}
