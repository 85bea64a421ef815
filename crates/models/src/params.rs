//! Looks up a model's tensors by name and checks their shapes while a graph is built.

use crate::error::ModelError;
use mynah_gguf::GgufFile;
use mynah_graph::{GraphBuilder, ValueId, WeightSpec};
use mynah_tensor::Shape;

/// The tensors of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params<'a> {
    file: &'a GgufFile,
}

impl<'a> Params<'a> {
    pub(crate) fn new(file: &'a GgufFile) -> Self {
        Self { file }
    }

    /// Shape of a tensor, if it exists.
    pub(crate) fn shape(&self, name: &str) -> Option<Shape> {
        self.file.tensor(name).map(|t| t.shape)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.file.tensor(name).is_some()
    }

    /// A tensor seen as `shape`: dimensions of one may be added or dropped, as between `[N, K, 1]` and `[N, K]`.
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`], [`ModelError::TensorShape`], or [`ModelError::Gguf`] for an unknown type.
    pub(crate) fn spec(&self, name: &str, shape: impl Into<Shape>) -> Result<WeightSpec, ModelError> {
        let wanted = shape.into();
        let info =
            self.file.tensor(name).ok_or_else(|| ModelError::MissingTensor { name: name.to_owned() })?;
        let squeezed = |s: Shape| s.dims().iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
        if squeezed(info.shape) != squeezed(wanted) {
            return Err(ModelError::TensorShape { name: name.to_owned(), found: info.shape, wanted });
        }
        Ok(WeightSpec { name: name.to_owned(), shape: wanted, dtype: info.dtype()? })
    }

    /// Declares a weight in a graph.
    ///
    /// # Errors
    /// As [`Params::spec`].
    pub(crate) fn weight(
        &self,
        g: &mut GraphBuilder,
        name: &str,
        shape: impl Into<Shape>,
    ) -> Result<ValueId, ModelError> {
        Ok(g.weight(&self.spec(name, shape)?))
    }

    /// Declares a weight if the file has it.
    ///
    /// # Errors
    /// As [`Params::spec`], except that a missing tensor is no error.
    pub(crate) fn optional(
        &self,
        g: &mut GraphBuilder,
        name: &str,
        shape: impl Into<Shape>,
    ) -> Result<Option<ValueId>, ModelError> {
        if self.has(name) { self.weight(g, name, shape).map(Some) } else { Ok(None) }
    }

    /// `x · wᵀ + b` with `NAME.weight [n, k]` and, where the file has it, `NAME.bias [n]`.
    ///
    /// # Errors
    /// As [`Params::spec`].
    pub(crate) fn linear(
        &self,
        g: &mut GraphBuilder,
        name: &str,
        x: ValueId,
        [n, k]: [usize; 2],
    ) -> Result<ValueId, ModelError> {
        let w = self.weight(g, &format!("{name}.weight"), [n, k])?;
        let b = self.optional(g, &format!("{name}.bias"), [n])?;
        Ok(g.linear(x, w, b))
    }

    /// Layer norm with `NAME.weight` and `NAME.bias`.
    ///
    /// # Errors
    /// As [`Params::spec`].
    pub(crate) fn layer_norm(
        &self,
        g: &mut GraphBuilder,
        name: &str,
        x: ValueId,
        eps: f32,
    ) -> Result<ValueId, ModelError> {
        let width = g.shape(x).last();
        let gain = self.weight(g, &format!("{name}.weight"), [width])?;
        let bias = self.weight(g, &format!("{name}.bias"), [width])?;
        Ok(g.layer_norm(x, gain, bias, eps))
    }
}
