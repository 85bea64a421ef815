//! Four lanes of plain Rust: the fallback of every machine, and what the other sets are compared with.
//!
//! Lanes are written out one by one: iterators and closures over arrays would stay calls and keep the arrays in memory,
//! while single elements become registers, which compilers join to vectors where they can.

use super::Simd;
use half::{bf16, f16};

/// The set that needs nothing.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

const LANES: usize = 4;
type V = [f32; LANES];

/// An array of an expression for each lane.
macro_rules! each {
    ($i:ident => $lane:expr) => {
        [
            {
                const $i: usize = 0;
                $lane
            },
            {
                const $i: usize = 1;
                $lane
            },
            {
                const $i: usize = 2;
                $lane
            },
            {
                const $i: usize = 3;
                $lane
            },
        ]
    };
}

/// `2^n` for whole `n` in the range of normal numbers.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

/// `v · 2^n`; one factor can't hold the whole range, two halves can.
#[inline(always)]
fn scale2(v: f32, n: f32) -> f32 {
    let n = n as i32;
    v * power_of_two(n >> 1) * power_of_two(n - (n >> 1))
}

impl Simd for Portable {
    const LANES: usize = LANES;
    type F = V;
    type Mask = [bool; LANES];

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> V {
        // SAFETY: the caller's pointer covers the lanes; any alignment will do.
        unsafe { p.cast::<V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: V) {
        // SAFETY: as in `load`.
        unsafe { p.cast::<V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_some(self, p: *const f32, n: usize) -> V {
        // SAFETY: only the first n elements are touched.
        each!(I => if I < n { unsafe { p.add(I).read_unaligned() } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store_some(self, p: *mut f32, v: V, n: usize) {
        let mut i = 0;
        while i < n {
            // SAFETY: only the first n elements are touched.
            unsafe { p.add(i).write_unaligned(v[i]) };
            i += 1;
        }
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        each!(I => a[I] + b[I])
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        each!(I => a[I] - b[I])
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        each!(I => a[I] * b[I])
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        each!(I => a[I] / b[I])
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        each!(I => if a[I] > b[I] { a[I] } else { b[I] })
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        each!(I => if a[I] < b[I] { a[I] } else { b[I] })
    }
    /// Two roundings: without the instruction a fused product is a library call.
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        each!(I => a[I] * b[I] + c[I])
    }
    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        each!(I => a[I].sqrt())
    }
    #[inline(always)]
    fn scale2(self, v: V, n: V) -> V {
        each!(I => scale2(v[I], n[I]))
    }
    #[inline(always)]
    fn less(self, a: V, b: V) -> [bool; LANES] {
        each!(I => a[I] < b[I])
    }
    #[inline(always)]
    fn any(self, mask: [bool; LANES]) -> bool {
        mask.contains(&true)
    }
    #[inline(always)]
    fn select(self, mask: [bool; LANES], a: V, b: V) -> V {
        each!(I => if mask[I] { a[I] } else { b[I] })
    }
    #[inline(always)]
    fn sum(self, v: V) -> f32 {
        (v[0] + v[2]) + (v[1] + v[3])
    }
    #[inline(always)]
    fn largest(self, v: V) -> f32 {
        v[0].max(v[2]).max(v[1].max(v[3]))
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u16) -> V {
        // SAFETY: the caller's pointer covers the lanes.
        each!(I => f16::from_bits(unsafe { p.add(I).read_unaligned() }).to_f32())
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> V {
        // SAFETY: the caller's pointer covers the lanes.
        each!(I => bf16::from_bits(unsafe { p.add(I).read_unaligned() }).to_f32())
    }
    #[inline(always)]
    unsafe fn load_i8(self, p: *const u8) -> V {
        // SAFETY: the caller's pointer covers the lanes.
        each!(I => f32::from(unsafe { *p.add(I) } as i8))
    }
    #[inline(always)]
    unsafe fn load_bits<const SHIFT: u32>(self, p: *const u8, mask: i32) -> V {
        // SAFETY: the caller's pointer covers four bytes a lane.
        let words = unsafe { p.cast::<[u32; LANES]>().read_unaligned() };
        each!(I => ((words[I] >> SHIFT) as i32 & mask) as f32)
    }
    #[inline(always)]
    unsafe fn store_bytes(self, p: *mut i8, v: V) {
        // SAFETY: the caller's pointer covers the lanes.
        unsafe { p.cast::<[i8; LANES]>().write_unaligned(each!(I => v[I].round_ties_even() as i8)) };
    }
}
