//! The matrix units of an adapter, as kernels ask for them.

use crate::caps::Capabilities;

/// Elements that are fetched and kept together: 16 bytes of halves.
pub(crate) const OCT: usize = 8;

/// Multiprocessors of a large GPU. A smaller one takes more rounds of any tiles, and large ones lose least by that.
pub(crate) const MULTIPROCESSORS: usize = 132;
/// Workgroups of no more bytes than this run two to a multiprocessor.
pub(crate) const HALF_OF_ONE: usize = 25 << 10;

/// `put(at, words)`: eight halves to place `at` of `tiles`; asks for the flag `WIDE`.
pub(crate) const PUT: &str = include_str!("put.wgsl");

/// `halves(first, second)`: eight numbers as halves; needs [`super::HALF`].
pub(crate) const HALVES: &str = include_str!("halves.wgsl");

/// The side of an adapter's matrix units and the lanes of a subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Units {
    pub(crate) size: usize,
    pub(crate) lanes: usize,
}

impl Units {
    /// Those of an adapter, `None` where there are none of a size that WGSL has or subgroups differ in size.
    pub(crate) fn of(caps: &Capabilities) -> Option<Self> {
        let lanes = caps.subgroup.filter(|[min, max]| min == max && *min > 0)?[0] as usize;
        let sizes = [16, 8].into_iter().filter(|_| caps.f16);
        let mut sizes = sizes.filter(|&s| caps.matrix.iter().any(|m| [m.m, m.n, m.k] == [s; 3]));
        sizes.next().map(|s| Self { size: s as usize, lanes })
    }

    /// Whether tiles lie in workgroup memory as vectors. Metal's loads take no pointers to vectors, and its units have 8.
    pub(crate) fn wide(self) -> bool {
        self.size == 16
    }

    /// Elements of workgroup memory that an oct takes.
    pub(crate) fn unit(self) -> usize {
        if self.wide() { OCT / 4 } else { OCT }
    }
}
