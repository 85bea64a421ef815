//! Rows of state tensors, read and written.
//!
//! How many rows there are is known when a program runs: row numbers are checked against it by the host, or by a guard where a
//! kernel computed them, and a row that isn't there is neither read nor written.

use crate::check::Limit;
use crate::kernels::common::{CACHED_HALF, GRID};
use crate::kernels::guard;
use crate::program::{Bind, Compiled, Kernel, Operand, Place};
use mynah_device::DeviceError;
use mynah_graph::StateElem;
use mynah_graph::transducer::LIMIT;

/// Threads of a workgroup, each with one word or vector.
const THREADS: u32 = 256;

/// The rows `rows[b]` of a state tensor.
pub(super) fn compile_gather(bind: &Bind<'_>, state: u32) -> Result<Compiled, DeviceError> {
    let mut k = bind.kernel();
    let width = Width::of(bind, state, bind.shape(0).numel());
    width.bind(&mut k, state);
    k.bind("rows", "i32", &bind.operand(0)?);
    k.bind("y", width.element, &bind.target()?);
    k.param("len", width.len).param("row", width.row).param_rows("count", state);
    k.source().define("TYPE", width.element);
    let mut compiled = width.finish(k, "state_gather", include_str!("gather.wgsl"))?;
    guard::rows(bind, 0, state, false, &mut compiled)?;
    Ok(compiled)
}

/// Writes `value` to the rows `rows[b]` of a state tensor; the output is `value`.
pub(super) fn compile_scatter(bind: &Bind<'_>, state: u32) -> Result<Compiled, DeviceError> {
    let mut k = bind.kernel();
    let width = Width::of(bind, state, bind.shape(0).numel());
    width.bind(&mut k, state);
    k.bind("rows", "i32", &bind.operand(0)?);
    k.param("len", width.len).param("row", width.row).param_rows("count", state);
    value(bind, &mut k, width.element, 1)?;
    let mut compiled = width.finish(k, "state_scatter", include_str!("scatter.wgsl"))?;
    guard::rows(bind, 0, state, true, &mut compiled)?;
    Ok(compiled)
}

/// Writes `value` to the rows of a state tensor from slot `at` on; the output is `value`.
pub(super) fn compile_append(bind: &Bind<'_>, state: u32, at: u32) -> Result<Compiled, DeviceError> {
    let count = bind.shape(0).dims().first().copied().unwrap_or(0);
    let mut k = bind.kernel();
    let width = Width::of(bind, state, count);
    width.bind(&mut k, state);
    k.param("len", width.len).param("row", width.row).param_slot("first", at);
    value(bind, &mut k, width.element, 0)?;
    let compiled = width.finish(k, "state_append", include_str!("append.wgsl"))?;
    Ok(compiled.checked([bind.check_slot(at, "row", Limit::Rows { state, count })]))
}

/// One whole number of each of the rows `rows[b]`, which the kernel makes sure of.
pub(super) fn compile_numbers(bind: &Bind<'_>, state: u32, column: usize) -> Result<Compiled, DeviceError> {
    let len = bind.out_shape().numel();
    let mut k = bind.kernel();
    k.bind("state", "f32", &tensor(state)).bind("rows", "i32", &bind.operand(0)?);
    k.bind("y", "i32", &bind.target()?);
    guard::reports(&mut k);
    k.param("len", len).param("row", bind.state_row(state)).param("column", column);
    k.param("most", LIMIT - 1).param_rows("count", state);
    k.source().include(GRID);
    let groups = k.grid(len.div_ceil(THREADS as usize));
    let numbers = k.finish("state_numbers", include_str!("numbers.wgsl"), [THREADS, 1, 1], groups)?;
    let mut compiled = Compiled::one(numbers);
    guard::rows(bind, 0, state, false, &mut compiled)?;
    Ok(compiled)
}

/// A state tensor; its length is known when it is bound.
fn tensor(state: u32) -> Operand {
    Operand { place: Place::State(state), bytes: 4 }
}

/// Binds the value and the output unless they share their place.
fn value(bind: &Bind<'_>, k: &mut Kernel<'_, '_>, element: &str, operand: usize) -> Result<(), DeviceError> {
    let (value, target) = (bind.operand(operand)?, bind.target()?);
    k.bind("value", element, &value);
    k.source().flag("COPY", value.place != target.place);
    if value.place != target.place {
        k.bind("y", element, &target);
    }
    Ok(())
}

/// A thread's words: a vector where rows are whole ones, as those of halves are.
struct Width {
    element: &'static str,
    /// Whether the state stores halves.
    halves: bool,
    /// Elements of this width, those of a row and all.
    row: usize,
    len: usize,
}

impl Width {
    fn of(bind: &Bind<'_>, state: u32, rows: usize) -> Self {
        let row = bind.out_shape().numel().checked_div(rows).unwrap_or(0);
        let (element, lanes) = if row.is_multiple_of(4) { ("vec4<u32>", 4) } else { ("u32", 1) };
        let halves = bind.state_elem(state) == StateElem::F16;
        Self { element, halves, row: row / lanes, len: rows * row / lanes }
    }

    /// Binds the state.
    fn bind(&self, k: &mut Kernel<'_, '_>, state: u32) {
        k.bind("state", if self.halves { "vec2<u32>" } else { self.element }, &tensor(state));
        k.source().flag("HALVES", self.halves);
        if self.halves {
            k.source().include(CACHED_HALF);
        }
    }

    fn finish(&self, mut k: Kernel<'_, '_>, name: &str, code: &str) -> Result<Compiled, DeviceError> {
        k.source().include(GRID);
        let groups = k.grid(self.len.div_ceil(THREADS as usize));
        Ok(Compiled::one(k.finish(name, code, [THREADS, 1, 1], groups)?))
    }
}
