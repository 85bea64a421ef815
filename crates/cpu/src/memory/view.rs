//! What a kernel sees of memory during a run: plain pointers with a length, free to be shared by tasks.
//!
//! Rust's references can't express that tasks write disjoint pieces of one output, or that an element-wise kernel
//! writes over its operand. So kernels get these views, and each place where a task cuts its piece says why nobody
//! else holds it. That views of different operands don't overlap, except where a kernel works in place, is checked
//! once per step when a program is compiled (`program::bind`).

use std::marker::PhantomData;
use std::ops::Range;

/// An operand, possibly the memory the output is written to.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a, T> {
    start: *const T,
    len: usize,
    lives: PhantomData<&'a T>,
}

// SAFETY: a view is an address; every access through it is an unsafe call with its own argument.
unsafe impl<T: Sync> Send for Input<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Input<'_, T> {}

impl<'a, T> Input<'a, T> {
    /// # Safety
    /// `len` initialised elements must stay readable for `'a`.
    pub(crate) unsafe fn new(start: *const T, len: usize) -> Self {
        Self { start, len, lives: PhantomData }
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Element `index`, which must be within the view or one past it.
    pub(crate) fn at(&self, index: usize) -> *const T {
        assert!(index <= self.len, "element {index} of {}", self.len);
        // SAFETY: within the view or one past.
        unsafe { self.start.add(index) }
    }

    /// # Safety
    /// Nobody may write these elements while the slice lives.
    pub(crate) unsafe fn slice(&self, range: Range<usize>) -> &'a [T] {
        assert!(range.start <= range.end && range.end <= self.len, "elements {range:?} of {}", self.len);
        // SAFETY: within the view; exclusion of writers is the caller's.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) }
    }
}

/// An output, written by tasks in disjoint pieces.
#[derive(Clone, Copy)]
pub(crate) struct Output<'a, T> {
    start: *mut T,
    len: usize,
    lives: PhantomData<&'a mut T>,
}

// SAFETY: a view is an address; every access through it is an unsafe call with its own argument.
unsafe impl<T: Send> Send for Output<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Output<'_, T> {}

impl<'a, T> Output<'a, T> {
    /// # Safety
    /// `len` initialised elements must stay writable for `'a`.
    pub(crate) unsafe fn new(start: *mut T, len: usize) -> Self {
        Self { start, len, lives: PhantomData }
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Element `index`, which must be within the view or one past it.
    pub(crate) fn at(&self, index: usize) -> *mut T {
        assert!(index <= self.len, "element {index} of {}", self.len);
        // SAFETY: within the view or one past.
        unsafe { self.start.add(index) }
    }

    /// The `len` elements from `first` on.
    pub(crate) fn part(&self, first: usize, len: usize) -> Self {
        assert!(first <= self.len && len <= self.len - first, "elements {first}..+{len} of {}", self.len);
        // SAFETY: within the view.
        Self { start: unsafe { self.start.add(first) }, len, lives: PhantomData }
    }

    /// # Safety
    /// Nobody else may touch these elements while the slice lives.
    pub(crate) unsafe fn slice(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "elements {range:?} of {}", self.len);
        // SAFETY: within the view; exclusion of others is the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

/// Bytes of scratch a kernel wants during its run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScratchNeed {
    /// Seen by all tasks.
    pub(crate) shared: usize,
    /// Owned by each thread.
    pub(crate) private: usize,
}

impl ScratchNeed {
    /// What covers both needs.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { shared: self.shared.max(other.shared), private: self.private.max(other.private) }
    }

    /// Bytes for a number of threads, every part a multiple of a cache line.
    pub(crate) fn bytes(self, threads: usize) -> Option<usize> {
        let private = self.private.checked_next_multiple_of(64)?.checked_mul(threads)?;
        self.shared.checked_next_multiple_of(64)?.checked_add(private)
    }
}

/// The scratch memory of a run: its contents are whatever the last kernel left.
#[derive(Clone, Copy)]
pub(crate) struct Scratch<'a> {
    start: *mut u8,
    need: ScratchNeed,
    threads: usize,
    lives: PhantomData<&'a mut u8>,
}

// SAFETY: as for the other views.
unsafe impl Sync for Scratch<'_> {}

impl<'a> Scratch<'a> {
    /// # Safety
    /// `start` must be aligned to a cache line and cover `need.bytes(threads)` for `'a`.
    pub(crate) unsafe fn new(start: *mut u8, need: ScratchNeed, threads: usize) -> Self {
        Self { start, need, threads, lives: PhantomData }
    }

    /// `count` floats of the shared part, from byte `offset` on.
    pub(crate) fn shared(&self, offset: usize, count: usize) -> Output<'a, f32> {
        assert!(offset.is_multiple_of(4) && offset + 4 * count <= self.need.shared, "shared scratch");
        // SAFETY: within the shared part, which any bit pattern initialises.
        unsafe { Output::new(self.start.add(offset).cast(), count) }
    }

    /// All floats of one thread's own part.
    pub(crate) fn private(&self, thread: usize) -> Output<'a, f32> {
        assert!(thread < self.threads, "thread {thread} of {}", self.threads);
        let shared = self.need.shared.next_multiple_of(64);
        let private = self.need.private.next_multiple_of(64);
        // SAFETY: the parts follow each other within the extent promised to `new`.
        unsafe { Output::new(self.start.add(shared + thread * private).cast(), private / 4) }
    }
}
