//! Convolution kernels with the output channels last, where vectors run along them.

use super::{Elements, bad};
use crate::memory::Buffer;
use mynah_device::{DeviceError, WeightBytes};

/// `[kh, kw, Cin/groups, Cout]` as floats.
#[derive(Debug)]
pub(crate) struct ConvKernel {
    data: Buffer,
    /// Output channels.
    pub(crate) channels: usize,
    /// Input channels of a group.
    pub(crate) inputs: usize,
    /// Extent along height and width.
    pub(crate) extent: [usize; 2],
}

impl ConvKernel {
    /// From the file's `[Cout, Cin/groups, kh, kw]`.
    pub(crate) fn prepare_2d(weight: &WeightBytes<'_>) -> Result<Self, DeviceError> {
        match *weight.shape.dims() {
            [channels, inputs, kh, kw] => Self::prepare(weight, channels, inputs, [kh, kw]),
            _ => Err(bad(weight, format!("a kernel is [Cout, Cin/groups, kh, kw], not {}", weight.shape))),
        }
    }

    /// From the file's `[C, 1, K]`; the time axis becomes the width.
    pub(crate) fn prepare_1d(weight: &WeightBytes<'_>) -> Result<Self, DeviceError> {
        match *weight.shape.dims() {
            [channels, 1, k] => Self::prepare(weight, channels, 1, [1, k]),
            _ => Err(bad(weight, format!("a depthwise kernel is [C, 1, K], not {}", weight.shape))),
        }
    }

    fn prepare(
        weight: &WeightBytes<'_>,
        channels: usize,
        inputs: usize,
        extent: [usize; 2],
    ) -> Result<Self, DeviceError> {
        let elements = Elements::prepare(weight)?;
        let taps = extent[0] * extent[1];
        let mut data = Buffer::zeroed_f32(elements.as_f32().len(), weight.name)?;
        let out = data.as_f32_mut();
        for (i, &x) in elements.as_f32().iter().enumerate() {
            let (channel, input, tap) = (i / taps / inputs, i / taps % inputs, i % taps);
            out[(tap * inputs + input) * channels + channel] = x;
        }
        Ok(Self { data, channels, inputs, extent })
    }

    /// Positions of the kernel.
    pub(crate) fn taps(&self) -> usize {
        self.extent[0] * self.extent[1]
    }

    /// All weights.
    pub(crate) fn as_f32(&self) -> &[f32] {
        self.data.as_f32()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.data.bytes()
    }
}
