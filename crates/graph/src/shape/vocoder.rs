//! Shape rules of the ops of speech synthesis.

use super::Rule;
use crate::error::GraphError;
use crate::vocoder::{Conv1d, ConvTranspose1d, InverseStft};
use mynah_tensor::Shape;

impl Rule<'_> {
    /// `[B, T', Co]` from frames, kernel and the epilogue's operands.
    pub(super) fn conv1d(&self, c: &Conv1d) -> Result<Shape, GraphError> {
        let (x, w) = (self.shapes[0], self.shapes[1]);
        let fits = x.rank() == 3 && w.rank() == 3 && w.dims()[1] == x.last() && w.last() > 0;
        self.need(fits && c.stride > 0 && c.dilation > 0, || {
            "x must be [B, T, Ci], weight [Co, Ci, K] with a tap or more, stride and dilation > 0".into()
        })?;
        let Some(frames) = c.frames(x.dims()[1], w.last()) else {
            return self.need(false, || "the kernel is longer than the padded input".into()).map(|()| x);
        };
        self.epilogue(&c.epilogue, 2, self.make(&[x.dims()[0], frames, w.dims()[0]])?)
    }

    /// `[B, (T − 1)·stride + K − left − right, Co]` from frames, kernel and the epilogue's operands.
    pub(super) fn conv_transpose1d(&self, c: &ConvTranspose1d) -> Result<Shape, GraphError> {
        let (x, w) = (self.shapes[0], self.shapes[1]);
        let fits = x.rank() == 3 && w.rank() == 3 && w.dims()[0] == x.last() && w.last() > 0;
        self.need(fits && c.stride > 0, || {
            "x must be [B, T, Ci], weight [Ci, Co, K] with a tap or more, stride > 0".into()
        })?;
        let Some(frames) = c.frames(x.dims()[1], w.last()) else {
            return self.need(false, || "more is cut off than there is".into()).map(|()| x);
        };
        self.epilogue(&c.epilogue, 2, self.make(&[x.dims()[0], frames, w.dims()[1]])?)
    }

    /// `[B, T, H, D]` from q, k, v and lengths.
    pub(super) fn full_attention(&self) -> Result<Shape, GraphError> {
        let [q, k, v, lengths] = [0, 1, 2, 3].map(|i| self.shapes[i]);
        let (&[batch, _, heads, width], &[kb, _, key_heads, key_width]) = (q.dims(), k.dims()) else {
            self.need(false, || "q, k and v must be [batch, time, heads, width]".into())?;
            return Ok(q);
        };
        self.need(k == v && [kb, key_heads, key_width] == [batch, heads, width] && width > 0, || {
            "k and v must be one [batch, keys, heads, width] with the batch, heads and width of q".into()
        })?;
        self.need(lengths.dims() == [batch], || "lengths must be [batch]".into())?;
        Ok(q)
    }

    /// `[B, T·times, C]` from rows.
    pub(super) fn repeat_rows(&self, times: usize) -> Result<Shape, GraphError> {
        let &[batch, time, width] = self.sequence()? else { return Ok(self.shapes[0]) };
        self.need(times > 0, || "rows must be repeated once or more".into())?;
        self.make(&[batch, time.saturating_mul(times), width])
    }

    /// `[B, ⌈T/len⌉, C]` from rows.
    pub(super) fn segment_mean(&self, len: usize) -> Result<Shape, GraphError> {
        let &[batch, time, width] = self.sequence()? else { return Ok(self.shapes[0]) };
        self.need(len > 0, || "a segment must have a row or more".into())?;
        self.make(&[batch, time.div_ceil(len), width])
    }

    /// `[B, hop·(F − 1)]` from spectra.
    pub(super) fn inverse_stft(&self, i: &InverseStft) -> Result<Shape, GraphError> {
        let &[batch, frames, numbers] = self.sequence()? else { return Ok(self.shapes[0]) };
        let Some(window) = InverseStft::window(numbers) else {
            self.need(false, || {
                format!("{numbers} numbers are no real and imaginary parts of n/2 + 1 bins")
            })?;
            return Ok(self.shapes[0]);
        };
        // With more the window's overlap would be zero somewhere, and samples there unknown.
        self.need(i.hop > 0 && i.hop <= window / 2, || {
            format!("frames must be 1 to {} samples apart, not {}", window / 2, i.hop)
        })?;
        self.need(frames > 0, || "there must be a frame".into())?;
        self.make(&[batch, i.hop.saturating_mul(frames.saturating_sub(1))])
    }

    fn sequence(&self) -> Result<&[usize], GraphError> {
        let x = &self.shapes[0];
        self.need(x.rank() == 3, || "x must be [B, T, C]".into())?;
        Ok(x.dims())
    }
}
