//! A state tensor's memory, and its elements on their way in and out.

use crate::memory::{Buffer, Output};
use crate::program::StateView;
use half::slice::HalfFloatSliceExt;
use mynah_device::DeviceError;
use mynah_graph::{StateDecl, StateElem, round_to_halves};

/// A state tensor of a session.
pub(crate) struct StateTensor {
    data: Buffer,
    rows: usize,
    /// Elements of a row.
    row: usize,
    elem: StateElem,
}

impl StateTensor {
    /// One of zeros.
    pub(crate) fn zeroed(decl: &StateDecl, rows: usize) -> Result<Self, DeviceError> {
        let what = format!("state '{}'", decl.name);
        let data = Buffer::zeroed(rows.saturating_mul(decl.row_bytes()), &what)?;
        Ok(Self { data, rows, row: decl.row.numel(), elem: decl.elem })
    }

    /// Makes it longer, if it isn't as long.
    pub(crate) fn grow(&mut self, rows: usize) -> Result<(), DeviceError> {
        if rows <= self.rows {
            return Ok(());
        }
        let bytes = self.row.saturating_mul(self.elem.bytes());
        let mut data = Buffer::zeroed(rows.saturating_mul(bytes), "a state that grows")?;
        let kept = self.rows * bytes;
        data.as_bytes_mut()[..kept].copy_from_slice(&self.data.as_bytes()[..kept]);
        (self.data, self.rows) = (data, rows);
        Ok(())
    }

    /// Whether it holds rows of so many elements, stored so.
    pub(crate) fn is_of(&self, row: usize, elem: StateElem) -> bool {
        (self.row, self.elem) == (row, elem)
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.data.bytes()
    }

    /// What kernels see of it.
    fn view(&mut self) -> StateView<'_> {
        // SAFETY: the view borrows the tensor.
        unsafe { self.unbound() }
    }

    /// What kernels see of it, for as long as the caller says.
    ///
    /// # Safety
    /// The tensor must neither grow nor go while the view lives.
    pub(crate) unsafe fn unbound<'a>(&mut self) -> StateView<'a> {
        let len = self.rows * self.row;
        let (floats, halves) = match self.elem {
            StateElem::F32 => (len, 0),
            StateElem::F16 => (0, len),
        };
        let start = self.data.ptr_mut();
        // SAFETY: the buffer holds this many elements of the one kind and is aligned for both; that it stays is the caller's.
        let (data, halves) =
            unsafe { (Output::new(start.cast(), floats), Output::new(start.cast(), halves)) };
        StateView { data, halves, elem: self.elem, rows: self.rows, row: self.row }
    }

    /// Its elements, as floats.
    pub(crate) fn contents(&mut self) -> Vec<f32> {
        let view = self.view();
        let mut contents = vec![0.0; view.rows * view.row];
        // SAFETY: the tensor is borrowed, nobody writes.
        unsafe { view.read(0, &mut contents) };
        contents
    }

    /// Replaces its elements; what `contents` has too many or too few of is the error.
    pub(crate) fn restore(&mut self, contents: &[f32]) -> Result<(), DeviceError> {
        let view = self.view();
        let len = view.rows * view.row;
        if contents.len() != len {
            let reason = format!("a snapshot of {} elements for a state tensor of {len}", contents.len());
            return Err(DeviceError::Arguments { graph: "state".to_owned(), reason });
        }
        // SAFETY: the tensor is borrowed alone.
        unsafe { view.write(0, contents) };
        Ok(())
    }
}

impl StateView<'_> {
    /// Copies elements from `first` on out.
    ///
    /// # Safety
    /// Nobody may write them meanwhile.
    pub(crate) unsafe fn read(&self, first: usize, out: &mut [f32]) {
        let range = first..first + out.len();
        // SAFETY: passed on to the caller.
        unsafe {
            match self.elem {
                StateElem::F32 => out.copy_from_slice(self.data.slice(range)),
                StateElem::F16 => self.halves.slice(range).convert_to_f32_slice(out),
            }
        }
    }

    /// Writes elements from `first` on.
    ///
    /// # Safety
    /// Nobody else may touch them meanwhile.
    pub(crate) unsafe fn write(&self, first: usize, contents: &[f32]) {
        let range = first..first + contents.len();
        // SAFETY: passed on to the caller.
        unsafe {
            match self.elem {
                StateElem::F32 => self.data.slice(range).copy_from_slice(contents),
                StateElem::F16 => round_to_halves(contents, self.halves.slice(range)),
            }
        }
    }
}
