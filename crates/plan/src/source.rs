//! Weights held in memory: those that folding makes, and whole models built in tests and tools.

use mynah_device::{DeviceError, WeightBytes, WeightSource};
use mynah_graph::WeightSpec;
use mynah_tensor::HostTensor;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A model's weights as tensors in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryWeights {
    tensors: HashMap<String, HostTensor>,
}

impl MemoryWeights {
    /// Adds or replaces a tensor.
    pub fn insert(&mut self, name: impl Into<String>, tensor: HostTensor) {
        self.tensors.insert(name.into(), tensor);
    }
}

impl WeightSource for MemoryWeights {
    fn spec(&self, name: &str) -> Option<WeightSpec> {
        let t = self.tensors.get(name)?;
        Some(WeightSpec { name: name.to_owned(), shape: t.shape(), dtype: t.dtype() })
    }

    fn read(&self, name: &str) -> Result<WeightBytes<'_>, DeviceError> {
        let Some((name, t)) = self.tensors.get_key_value(name) else {
            return Err(DeviceError::Weight {
                name: name.to_owned(),
                reason: "there is no such tensor".into(),
            });
        };
        Ok(WeightBytes { name, dtype: t.dtype(), shape: t.shape(), bytes: t.data() })
    }

    fn release(&self, _: &str) {}
}

/// Weights computed from others when a plan is made; shared by all plans of an executor.
#[derive(Clone, Debug, Default)]
pub struct FoldedWeights {
    tensors: Arc<Mutex<HashMap<String, Arc<HostTensor>>>>,
}

impl FoldedWeights {
    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<Arc<HostTensor>> {
        self.tensors.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Adds a tensor; an existing one of that name stays.
    pub fn insert(&self, name: &str, tensor: HostTensor) {
        let mut tensors = self.tensors.lock().unwrap_or_else(PoisonError::into_inner);
        tensors.entry(name.to_owned()).or_insert_with(|| Arc::new(tensor));
    }
}
