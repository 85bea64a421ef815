//! Copies of equally spaced runs: a reshape that can't share its operand's place, a slice.

use super::{THREADS, width};
use crate::check::Limit;
use crate::kernels::common::GRID;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;
use mynah_graph::Start;

/// All elements in order.
pub(in crate::kernels) fn compile_copy(bind: &Bind<'_>) -> Result<Compiled, DeviceError> {
    let len = bind.out_shape().numel();
    let runs = Runs { len, run: len, pitch: len, first: 0, slot: None };
    runs.compile(bind, "copy")
}

/// `len` entries of an axis.
pub(in crate::kernels) fn compile_slice(
    bind: &Bind<'_>,
    axis: usize,
    start: Start,
    len: usize,
) -> Result<Compiled, DeviceError> {
    let shape = bind.shape(0);
    let Some(&extent) = shape.dims().get(axis) else {
        return Err(bind.unsupported(format!("{shape:?} has no axis {axis}")));
    };
    let inner: usize = shape.dims()[axis + 1..].iter().product();
    let (first, slot) = match start {
        Start::Fixed(first) => (first * inner, None),
        Start::Slot(slot) => (0, Some((slot.0, inner))),
    };
    let runs = Runs { len: bind.out_shape().numel(), run: len * inner, pitch: extent * inner, first, slot };
    let check = match start {
        Start::Fixed(_) => None,
        Start::Slot(slot) => {
            let limit = Limit::Fixed((extent + 1).saturating_sub(len));
            Some(bind.check_slot(slot.0, "start", limit))
        }
    };
    Ok(runs.compile(bind, "slice")?.checked(check))
}

/// Runs of `run` words that begin every `pitch` words.
struct Runs {
    /// Words copied.
    len: usize,
    run: usize,
    pitch: usize,
    /// The first word of the first run.
    first: usize,
    /// A slot that moves it, by so many words each.
    slot: Option<(u32, usize)>,
}

impl Runs {
    fn compile(&self, bind: &Bind<'_>, name: &str) -> Result<Compiled, DeviceError> {
        let step = self.slot.map_or(0, |(_, words)| words);
        // A single run may end amid a vector: the rest is padding of both places.
        let single = self.run == self.len && self.slot.is_none();
        let ends = if single { [0, 0] } else { [self.run, self.pitch] };
        let (element, lanes) = width([self.first, step].into_iter().chain(ends));
        let mut k = bind.kernel();
        k.bind("x", element, &bind.operand(0)?).bind("y", element, &bind.target()?);
        let len = self.len.div_ceil(lanes);
        k.param("len", len).param("run", self.run.div_ceil(lanes)).param("pitch", self.pitch / lanes);
        k.param("first", self.first / lanes);
        if let Some((slot, words)) = self.slot {
            k.param_slot("slot", slot).param("step", words / lanes);
        }
        k.source().flag("SLOT", self.slot.is_some());
        k.source().include(GRID);
        let groups = k.grid(len.div_ceil(THREADS as usize));
        Ok(Compiled::one(k.finish(name, include_str!("rows.wgsl"), [THREADS, 1, 1], groups)?))
    }
}
