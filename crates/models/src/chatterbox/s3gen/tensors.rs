//! Tensors by the names of chatterbox.cpp's files, which end in `/w` and `/b` in some modules and in `/weight` and `/bias` in others.

use crate::error::ModelError;
use crate::params::Params;
use mynah_gguf::GgufFile;
use mynah_graph::{Conv1d, ConvTranspose1d, GraphBuilder, ValueId};
use mynah_tensor::Shape;

/// How a module calls its weight and its bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// `/w`, `/b`.
    Short,
    /// `/weight`, `/bias`.
    Long,
}

/// The tensors of a file under one of the endings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tensors<'a> {
    file: &'a GgufFile,
    params: Params<'a>,
    ending: Ending,
}

impl<'a> Tensors<'a> {
    pub(crate) fn new(file: &'a GgufFile, ending: Ending) -> Self {
        Self { file, params: Params::new(file), ending }
    }

    /// The name of a module's weight.
    pub(crate) fn weight_name(&self, module: &str) -> String {
        format!("{module}/{}", if self.ending == Ending::Short { "w" } else { "weight" })
    }

    /// The name of a module's bias.
    pub(crate) fn bias_name(&self, module: &str) -> String {
        format!("{module}/{}", if self.ending == Ending::Short { "b" } else { "bias" })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.params.has(name)
    }

    /// How many of a numbered row of tensors there are.
    pub(crate) fn count(&self, name: impl Fn(usize) -> String) -> usize {
        (0..).take_while(|&i| self.has(&name(i))).count()
    }

    /// The extents of a tensor, none of them zero. Extents of one at the end may be left out, or be there beyond `N`.
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`], or [`ModelError::Unsupported`] for a tensor of another rank or without elements.
    pub(crate) fn dims<const N: usize>(&self, name: &str) -> Result<[usize; N], ModelError> {
        let missing = || ModelError::MissingTensor { name: name.to_owned() };
        let shape = self.params.shape(name).ok_or_else(missing)?;
        let (dims, mut found) = (shape.dims(), [1; N]);
        let beyond = dims.iter().skip(N).any(|&d| d != 1);
        if beyond || dims.contains(&0) {
            let what = format!("tensor '{name}' of shape {shape:?}, where {N} dimensions belong");
            return Err(ModelError::Unsupported { what });
        }
        found.iter_mut().zip(dims).for_each(|(f, d)| *f = *d);
        Ok(found)
    }

    /// Declares a tensor in a graph.
    ///
    /// # Errors
    /// As [`Params::spec`].
    pub(crate) fn weight(
        &self,
        g: &mut GraphBuilder,
        name: &str,
        shape: impl Into<Shape>,
    ) -> Result<ValueId, ModelError> {
        self.params.weight(g, name, shape)
    }

    /// `x · wᵀ + b` with weight `[n, k]` and, where the file has it, bias `[n]`.
    ///
    /// # Errors
    /// As [`Params::spec`].
    pub(crate) fn linear(
        &self,
        g: &mut GraphBuilder,
        module: &str,
        x: ValueId,
        [n, k]: [usize; 2],
    ) -> Result<ValueId, ModelError> {
        let w = self.weight(g, &self.weight_name(module), [n, k])?;
        let b = self.params.optional(g, &self.bias_name(module), [n])?;
        Ok(g.linear(x, w, b))
    }

    /// Layer norm over the last dimension.
    ///
    /// # Errors
    /// As [`Params::spec`].
    pub(crate) fn layer_norm(
        &self,
        g: &mut GraphBuilder,
        module: &str,
        x: ValueId,
        eps: f32,
    ) -> Result<ValueId, ModelError> {
        let width = g.shape(x).last();
        let gain = self.weight(g, &self.weight_name(module), [width])?;
        let bias = self.weight(g, &self.bias_name(module), [width])?;
        Ok(g.layer_norm(x, gain, bias, eps))
    }

    /// A convolution over time, weight `[outputs, inputs, taps]`. One with a single tap is a product of matrices, which devices do
    /// better.
    ///
    /// # Errors
    /// As [`Params::spec`].
    pub(crate) fn conv1d(
        &self,
        g: &mut GraphBuilder,
        module: &str,
        x: ValueId,
        [outputs, inputs, taps]: [usize; 3],
        conv: Conv1d,
    ) -> Result<ValueId, ModelError> {
        if taps == 1 && conv.stride == 1 && conv.pad == [0, 0] {
            return self.linear(g, module, x, [outputs, inputs]);
        }
        let w = self.weight(g, &self.weight_name(module), [outputs, inputs, taps])?;
        let b = self.params.optional(g, &self.bias_name(module), [outputs])?;
        Ok(g.conv1d(x, w, b, conv))
    }

    /// A transposed convolution over time, weight `[inputs, outputs, taps]`.
    ///
    /// # Errors
    /// As [`Params::spec`].
    pub(crate) fn conv_transpose1d(
        &self,
        g: &mut GraphBuilder,
        module: &str,
        x: ValueId,
        [inputs, outputs, taps]: [usize; 3],
        conv: ConvTranspose1d,
    ) -> Result<ValueId, ModelError> {
        let w = self.weight(g, &self.weight_name(module), [inputs, outputs, taps])?;
        let b = self.params.optional(g, &self.bias_name(module), [outputs])?;
        Ok(g.conv_transpose1d(x, w, b, conv))
    }

    /// The elements of a tensor that is used on the host, whatever type it is stored in.
    ///
    /// # Errors
    /// As [`Params::spec`], or that the file is faulty.
    pub(crate) fn elements(&self, name: &str, shape: impl Into<Shape>) -> Result<Vec<f32>, ModelError> {
        self.params.spec(name, shape)?;
        let missing = || ModelError::MissingTensor { name: name.to_owned() };
        let info = self.file.tensor(name).ok_or_else(missing)?;
        Ok(self.file.host_tensor(info)?.to_f32())
    }
}
