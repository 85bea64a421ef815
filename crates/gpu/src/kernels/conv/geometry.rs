//! The sizes of a 2-D convolution.

use crate::program::{Bind, Kernel};
use mynah_graph::Conv2d;

/// Sizes of operands and output.
pub(super) struct Geometry {
    pub(super) batch: usize,
    /// Of the input.
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels_in: usize,
    /// Of the output.
    pub(super) height_out: usize,
    pub(super) width_out: usize,
    pub(super) channels_out: usize,
    /// Input channels of a group.
    pub(super) group_in: usize,
    pub(super) groups: usize,
    /// Of the kernel.
    pub(super) kernel: [usize; 2],
}

impl Geometry {
    pub(super) fn of(bind: &Bind<'_>, c: &Conv2d) -> Option<Self> {
        let (x, w, y) = (bind.shape(0), bind.shape(1), bind.out_shape());
        let &[batch, height, width, channels_in] = x.dims() else { return None };
        let &[channels_out, group_in, kh, kw] = w.dims() else { return None };
        let &[_, height_out, width_out, _] = y.dims() else { return None };
        Some(Self {
            batch,
            height,
            width,
            channels_in,
            height_out,
            width_out,
            channels_out,
            group_in,
            groups: c.groups,
            kernel: [kh, kw],
        })
    }

    /// Elements of the kernel that a pair of channels has.
    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Terms of each sum.
    pub(super) fn terms(&self) -> usize {
        self.group_in * self.taps()
    }

    /// Output channels of a group.
    pub(super) fn group_out(&self) -> usize {
        self.channels_out / self.groups.max(1)
    }

    /// Pixels of all outputs.
    pub(super) fn pixels(&self) -> usize {
        self.batch * self.height_out * self.width_out
    }

    /// The immediates that every kernel reads: extents of input and output, padding; and the strides as constants.
    pub(super) fn params(&self, k: &mut Kernel<'_, '_>, c: &Conv2d) {
        k.param("height", self.height).param("width", self.width).param("channels_in", self.channels_in);
        k.param("height_out", self.height_out).param("width_out", self.width_out);
        k.param("channels_out", self.channels_out).param("group_out", self.group_out());
        k.param("pad_top", c.pad_height[0]).param("pad_left", c.pad_width[0]);
        k.source().constant("STRIDE_Y", c.stride[0] as u32);
        k.source().constant("STRIDE_X", c.stride[1] as u32);
    }
}
