//! What the ops of speech synthesis carry: convolutions over time with all channels, their transposes, full attention, and the way
//! back from a spectrum to samples.
//!
//! These are the ops of flow-matching mel decoders and of vocoders such as HiFi-GAN (Kong et al. 2020) and iSTFTNet (Kaneko et al.
//! 2022). Shape rules are in [`crate::shape`], meanings in [`crate::interp`].

use crate::op::Epilogue;

/// A convolution over time in which every output channel sees all input channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv1d {
    /// Frames from one window to the next.
    pub stride: usize,
    /// Frames from one tap to the next.
    pub dilation: usize,
    /// Zero frames added on the left and the right; all on the left is a causal convolution.
    pub pad: [usize; 2],
    /// Applied per output channel.
    pub epilogue: Epilogue,
}

impl Conv1d {
    /// A convolution with stride and dilation 1.
    pub fn padded(left: usize, right: usize) -> Self {
        Self { stride: 1, dilation: 1, pad: [left, right], epilogue: Epilogue::default() }
    }

    /// Frames that come out of `time`, `None` when the kernel of `taps` is longer than the padded input.
    pub fn frames(&self, time: usize, taps: usize) -> Option<usize> {
        let reach = self.dilation.checked_mul(taps.checked_sub(1)?)?.checked_add(1)?;
        let padded = time.checked_add(self.pad[0])?.checked_add(self.pad[1])?;
        Some(padded.checked_sub(reach)?.checked_div(self.stride)? + 1)
    }
}

/// The transpose of a convolution over time (Dumoulin and Visin 2016): frame `t` adds `x[t]·w[k]` to frame `t·stride + k − left`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvTranspose1d {
    /// Frames of the output for each of the input.
    pub stride: usize,
    /// Frames cut off the result on the left and the right.
    pub pad: [usize; 2],
    /// Applied per output channel.
    pub epilogue: Epilogue,
}

impl ConvTranspose1d {
    /// Frames that come out of `time`, `None` when more is cut off than there is.
    pub fn frames(&self, time: usize, taps: usize) -> Option<usize> {
        let whole = time.checked_sub(1)?.checked_mul(self.stride)?.checked_add(taps)?;
        whole.checked_sub(self.pad[0])?.checked_sub(self.pad[1])
    }
}

/// Multi-head attention in which every query sees all keys of its sequence (Vaswani et al. 2017): `softmax(q·kᵀ · scale) · v`.
///
/// Keys at or past the length are not seen, and a query that sees none gives zeros. Where there are as many queries as keys, queries
/// at or past the length give zeros too: they are the same frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Multiplies the scores.
    pub scale: f32,
}

/// Samples of a one-sided spectrum, as `torch.istft(center=True)`: each frame's inverse Fourier transform times a periodic Hann
/// window, overlap-added, divided by the overlap-added squares of the window, half a window cut off at both ends.
///
/// Imaginary parts of the first and of the last bin have no meaning and are not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InverseStft {
    /// Samples from one frame to the next, at most half a window.
    pub hop: usize,
}

impl InverseStft {
    /// Samples of the window of a frame of `numbers` numbers, `None` where they are no real and imaginary parts of such a spectrum.
    pub fn window(numbers: usize) -> Option<usize> {
        let bins = (numbers >= 4 && numbers.is_multiple_of(2)).then_some(numbers / 2)?;
        Some(2 * (bins - 1))
    }
}
