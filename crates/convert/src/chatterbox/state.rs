//! The tensors of one checkpoint file, taken out by name with their shapes checked; and the GGUF they go into.

use std::collections::HashMap;
use std::sync::Arc;

use mynah_gguf::Value;
use mynah_tensor::{DType, Shape};

use super::derive::{Shared, Transposed, WeightNorm};
use super::error::ChatterboxError;
use crate::source::{Integers, Source, Tensor, Values};

/// A state dict.
pub(crate) struct State {
    file: String,
    tensors: HashMap<String, Found>,
    /// Names in file order.
    names: Vec<String>,
}

/// A tensor of a state dict.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) shape: Shape,
    pub(super) stored: DType,
    pub(super) source: Arc<dyn Source>,
}

impl Found {
    /// Made of numbers.
    pub(super) fn values(shape: Shape, values: Vec<f32>) -> Found {
        Found { shape, stored: DType::F32, source: Arc::new(Values(values)) }
    }
}

impl State {
    /// Takes the tensors of a file; weight norm is folded here, so that what used it looks like any other weight.
    pub(crate) fn new(file: &str, tensors: Vec<Tensor>) -> Result<State, ChatterboxError> {
        let mut state = State { file: file.to_owned(), tensors: HashMap::new(), names: Vec::new() };
        for Tensor { name, shape, stored, source } in tensors {
            let found = Found { shape, stored, source: Arc::from(source) };
            state.insert(name, found)?;
        }
        state.fold_weight_norms()?;
        Ok(state)
    }

    fn insert(&mut self, name: String, found: Found) -> Result<(), ChatterboxError> {
        if self.tensors.insert(name.clone(), found).is_some() {
            return Err(ChatterboxError::Duplicate { file: self.file.clone(), name });
        }
        self.names.push(name);
        Ok(())
    }

    /// Magnitude and direction of torch's two spellings become `….weight`.
    fn fold_weight_norms(&mut self) -> Result<(), ChatterboxError> {
        const SPELLINGS: [(&str, &str); 2] = [
            (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
            (".weight_g", ".weight_v"),
        ];
        for (magnitude, direction) in SPELLINGS {
            let stems = self.names.iter().filter_map(|name| name.strip_suffix(magnitude));
            let stems: Vec<String> = stems.map(str::to_owned).collect();
            for stem in stems {
                let (g, v) = (self.take(&format!("{stem}{magnitude}"))?, format!("{stem}{direction}"));
                let Found { shape, stored, source } = self.take(&v)?;
                let rows = shape.dims().first().copied().unwrap_or(1).max(1);
                if g.shape.numel() != rows {
                    return Err(self.wrong(&format!("{stem}{magnitude}"), &[rows], g.shape));
                }
                let row = shape.numel() / rows;
                let source = Arc::new(WeightNorm { magnitude: g.source, direction: source, row });
                self.insert(format!("{stem}.weight"), Found { shape, stored, source })?;
            }
        }
        Ok(())
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Names that begin so and were not taken yet, in file order.
    pub(super) fn under(&self, prefix: &str) -> Vec<String> {
        self.names.iter().filter(|name| name.starts_with(prefix) && self.has(name)).cloned().collect()
    }

    /// How many layers there are below a prefix: one more than the largest number that follows it.
    pub(super) fn count(&self, prefix: &str) -> usize {
        let number = |name: &String| {
            let rest = name.strip_prefix(prefix)?;
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest.get(..end)?.parse::<usize>().ok()
        };
        self.names.iter().filter_map(number).max().map_or(0, |last| last.saturating_add(1))
    }

    /// The dimensions of a tensor of this rank.
    pub(super) fn dims<const N: usize>(&self, name: &str) -> Result<[usize; N], ChatterboxError> {
        let found = self.tensors.get(name).ok_or_else(|| self.missing(name))?;
        found.shape.dims().try_into().map_err(|_| ChatterboxError::WrongShape {
            file: self.file.clone(),
            name: name.to_owned(),
            wanted: format!("of {N} dimensions"),
            found: found.shape,
        })
    }

    /// Takes a tensor out.
    pub(super) fn take(&mut self, name: &str) -> Result<Found, ChatterboxError> {
        self.tensors.remove(name).ok_or_else(|| self.missing(name))
    }

    /// Takes a tensor out if it has this shape.
    pub(super) fn shaped(&mut self, name: &str, wanted: &[usize]) -> Result<Found, ChatterboxError> {
        let found = self.take(name)?;
        if found.shape.dims() == wanted { Ok(found) } else { Err(self.wrong(name, wanted, found.shape)) }
    }

    /// Takes a matrix out, transposed: `wanted` is what it is to be.
    pub(super) fn transposed(&mut self, name: &str, wanted: [usize; 2]) -> Result<Found, ChatterboxError> {
        let [columns, rows] = wanted;
        let Found { stored, source, .. } = self.shaped(name, &[rows, columns])?;
        let source = Arc::new(Transposed { source, rows, columns });
        Ok(Found { shape: Shape::from(wanted), stored, source })
    }

    /// Takes a vector out and reads it.
    pub(super) fn vector(&mut self, name: &str, count: usize) -> Result<Vec<f32>, ChatterboxError> {
        let found = self.shaped(name, &[count])?;
        self.numbers(name, &found)
    }

    fn numbers(&self, name: &str, found: &Found) -> Result<Vec<f32>, ChatterboxError> {
        let mut values = vec![0.0; found.shape.numel()];
        found.source.read(0, &mut values).map_err(|error| ChatterboxError::Vocabulary {
            file: self.file.clone(),
            what: format!("tensor {name:?}: {error}"),
        })?;
        Ok(values)
    }

    /// Takes a tensor of token ids out, whatever its dimensions.
    pub(super) fn tokens(&mut self, name: &str) -> Result<Vec<i32>, ChatterboxError> {
        let found = self.take(name)?;
        let token = |value: f32| {
            // Ids are far below 2²⁴, up to which a float holds every whole number.
            let whole = value.fract() == 0.0 && (0.0..16_777_216.0).contains(&value);
            let (file, name) = (self.file.clone(), name.to_owned());
            if whole { Ok(value as i32) } else { Err(ChatterboxError::Token { file, name, value }) }
        };
        self.numbers(name, &found)?.into_iter().map(token).collect()
    }

    pub(super) fn missing(&self, name: &str) -> ChatterboxError {
        ChatterboxError::Missing { file: self.file.clone(), name: name.to_owned() }
    }

    pub(super) fn wrong(&self, name: &str, wanted: &[usize], found: Shape) -> ChatterboxError {
        let (file, name) = (self.file.clone(), name.to_owned());
        let wanted = Shape::new(wanted).map_or_else(|_| format!("{wanted:?}"), |shape| shape.to_string());
        ChatterboxError::WrongShape { file, name, wanted, found }
    }

    /// What nobody took.
    pub(super) fn rest(&self) -> Vec<String> {
        self.under("")
    }
}

/// One GGUF to be written.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Keys and values in file order.
    pub(crate) keys: Vec<(String, Value)>,
    /// Tensors in file order.
    pub(crate) tensors: Vec<Tensor>,
}

impl Part {
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.keys.push((key.to_owned(), value.into()));
    }

    /// Counts are sizes of tensors that are there.
    pub(super) fn count(&mut self, key: &str, value: usize) {
        self.set(key, u32::try_from(value).unwrap_or(u32::MAX));
    }

    pub(super) fn add(&mut self, name: impl Into<String>, found: Found) {
        let Found { shape, stored, source } = found;
        self.tensors.push(Tensor { name: name.into(), shape, stored, source: Box::new(Shared(source)) });
    }

    pub(super) fn add_tokens(&mut self, name: &str, tokens: Vec<i32>) {
        let shape = Shape::from([tokens.len()]);
        let source = Box::new(Integers::new(tokens));
        self.tensors.push(Tensor { name: name.to_owned(), shape, stored: DType::I32, source });
    }
}
