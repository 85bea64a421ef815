//! The prepared weights of a model, by name and use.

use super::{ConvKernel, Elements, Line, Panels, Stack, Table};
use crate::pool::Pool;
use crate::simd::{Bf16, Isa};
use mynah_device::{DeviceError, WeightBytes, WeightUse};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A weight in the layout of its use.
#[derive(Clone)]
enum Prepared {
    Panels(Arc<Panels>),
    Stack(Arc<Stack>),
    Conv(Arc<ConvKernel>),
    Line(Arc<Line>),
    Table(Arc<Table>),
    Elements(Arc<Elements>),
}

/// Weights shared by the sessions of a model.
#[derive(Default)]
pub(crate) struct Store {
    prepared: Mutex<HashMap<(String, WeightUse), Prepared>>,
}

impl Store {
    /// Prepares a weight unless it is there, with the weights of float products as pairs where `bf16` says so: the
    /// sessions that share a store share their policy. Returns whether it was new.
    pub(crate) fn prepare(
        &self,
        weight: &WeightBytes<'_>,
        use_: WeightUse,
        isa: Isa,
        bf16: Option<Bf16>,
        pool: &Pool,
    ) -> Result<bool, DeviceError> {
        if self.has(weight.name, use_) {
            return Ok(false);
        }
        let prepared = match use_ {
            WeightUse::MatMul => Prepared::Panels(Arc::new(Panels::prepare(weight, isa, bf16, pool)?)),
            WeightUse::Experts => Prepared::Stack(Arc::new(Stack::prepare(weight, 1, isa, bf16, pool)?)),
            WeightUse::ExpertPairs => Prepared::Stack(Arc::new(Stack::prepare(weight, 2, isa, bf16, pool)?)),
            WeightUse::Conv2d => Prepared::Conv(Arc::new(ConvKernel::prepare_2d(weight)?)),
            WeightUse::Conv1d => Prepared::Line(Arc::new(Line::prepare(weight, isa, bf16, pool)?)),
            WeightUse::ConvTranspose1d { stride } => {
                Prepared::Line(Arc::new(Line::prepare_transpose(weight, stride, isa, bf16, pool)?))
            }
            WeightUse::DepthwiseConv1d => Prepared::Conv(Arc::new(ConvKernel::prepare_1d(weight)?)),
            WeightUse::Table => Prepared::Table(Arc::new(Table::prepare(weight)?)),
            WeightUse::Elements => Prepared::Elements(Arc::new(Elements::prepare(weight)?)),
        };
        let key = (weight.name.to_owned(), use_);
        Ok(self.map().insert(key, prepared).is_none())
    }

    /// Whether a weight was prepared.
    pub(crate) fn has(&self, name: &str, use_: WeightUse) -> bool {
        self.get(name, use_).is_some()
    }

    /// Bytes held by all weights.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |prepared: &Prepared| match prepared {
            Prepared::Panels(w) => w.bytes(),
            Prepared::Stack(w) => w.bytes(),
            Prepared::Conv(w) => w.bytes(),
            Prepared::Line(w) => w.bytes(),
            Prepared::Table(w) => w.bytes(),
            Prepared::Elements(w) => w.bytes(),
        };
        self.map().values().map(bytes).sum()
    }

    /// A weight laid out for matrix products.
    pub(crate) fn panels(&self, name: &str, use_: WeightUse) -> Option<Arc<Panels>> {
        match self.get(name, use_) {
            Some(Prepared::Panels(w)) => Some(w),
            _ => None,
        }
    }

    /// The weights of experts.
    pub(crate) fn stack(&self, name: &str, use_: WeightUse) -> Option<Arc<Stack>> {
        match self.get(name, use_) {
            Some(Prepared::Stack(w)) => Some(w),
            _ => None,
        }
    }

    /// A convolution's kernel.
    pub(crate) fn conv(&self, name: &str, use_: WeightUse) -> Option<Arc<ConvKernel>> {
        match self.get(name, use_) {
            Some(Prepared::Conv(w)) => Some(w),
            _ => None,
        }
    }

    /// The kernel of a convolution over time.
    pub(crate) fn line(&self, name: &str, use_: WeightUse) -> Option<Arc<Line>> {
        match self.get(name, use_) {
            Some(Prepared::Line(w)) => Some(w),
            _ => None,
        }
    }

    /// A table read by row.
    pub(crate) fn table(&self, name: &str, use_: WeightUse) -> Option<Arc<Table>> {
        match self.get(name, use_) {
            Some(Prepared::Table(w)) => Some(w),
            _ => None,
        }
    }

    /// A weight as floats.
    pub(crate) fn elements(&self, name: &str, use_: WeightUse) -> Option<Arc<Elements>> {
        match self.get(name, use_) {
            Some(Prepared::Elements(w)) => Some(w),
            _ => None,
        }
    }

    fn get(&self, name: &str, use_: WeightUse) -> Option<Prepared> {
        self.map().get(&(name.to_owned(), use_)).cloned()
    }

    fn map(&self) -> MutexGuard<'_, HashMap<(String, WeightUse), Prepared>> {
        // Entries are inserted whole, so a panic elsewhere leaves nothing half done.
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
