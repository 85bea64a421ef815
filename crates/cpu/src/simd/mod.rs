//! One way to write a kernel for every instruction set.
//!
//! A kernel body is an `#[inline(always)]` function generic over [`Simd`], written once; [`dispatch!`] makes a plain
//! function of it that compiles the body under each instruction set's target features and picks one at run time.
//! Bodies call nothing but [`Simd`] methods and other always-inlined functions, so the whole kernel ends up inside
//! the function that carries the features. A closure is a function of its own, without the features: bodies use
//! none that touches a vector, unless it's marked `#[inline(always)]`. Floats never contract by themselves, so the order of operations in the
//! body is the order on the machine, and a level gives the same bits whatever the tiling around it.

mod bf16;
pub(crate) mod dot;
mod level;
pub(crate) mod math;
mod portable;
pub(crate) mod tile;
pub(crate) mod trigonometry;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

pub(crate) use bf16::Bf16;
pub(crate) use level::Isa;
pub use level::{LevelError, SimdLevel};
pub(crate) use portable::Portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;

/// Vectors of `f32` on one instruction set.
///
/// A value of the implementing type is the proof that the processor has the set; it's only made by [`dispatch!`].
/// Loads and stores are unsafe for the pointer alone: nothing has to be aligned.
pub(crate) trait Simd: Copy + 'static {
    /// Elements of a vector.
    const LANES: usize;
    /// A vector.
    type F: Copy;
    /// The result of a comparison.
    type Mask: Copy;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::F;
    /// Reads [`Simd::LANES`] elements.
    unsafe fn load(self, p: *const f32) -> Self::F;
    /// Writes [`Simd::LANES`] elements.
    unsafe fn store(self, p: *mut f32, v: Self::F);
    /// Reads the first `n < LANES` elements, the other lanes are zero.
    unsafe fn load_some(self, p: *const f32, n: usize) -> Self::F;
    /// Writes the first `n < LANES` elements.
    unsafe fn store_some(self, p: *mut f32, v: Self::F, n: usize);
    /// `a + b`.
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a − b`.
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a · b`.
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`.
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// The larger; `b` when either is no number.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The smaller; `b` when either is no number.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a · b + c`, rounded once where the set has it.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// Square root.
    fn sqrt(self, a: Self::F) -> Self::F;
    /// `v · 2^n` for whole `n` in −160..=140, over- and underflowing as a product does.
    fn scale2(self, v: Self::F, n: Self::F) -> Self::F;
    /// `a < b`, false when either is no number.
    fn less(self, a: Self::F, b: Self::F) -> Self::Mask;
    /// Whether the mask is set in any lane.
    fn any(self, mask: Self::Mask) -> bool;
    /// `a` where the mask is set, else `b`.
    fn select(self, mask: Self::Mask, a: Self::F, b: Self::F) -> Self::F;
    /// The sum of all lanes, always in the same order.
    fn sum(self, v: Self::F) -> f32;
    /// The largest lane.
    fn largest(self, v: Self::F) -> f32;
    /// Reads [`Simd::LANES`] half-precision elements.
    unsafe fn load_f16(self, p: *const u16) -> Self::F;
    /// Reads [`Simd::LANES`] bfloat16 elements.
    unsafe fn load_bf16(self, p: *const u16) -> Self::F;
    /// Reads [`Simd::LANES`] signed bytes.
    unsafe fn load_i8(self, p: *const u8) -> Self::F;
    /// Reads [`Simd::LANES`] 32-bit words and converts the bits of `mask` after a shift right by `SHIFT`.
    unsafe fn load_bits<const SHIFT: u32>(self, p: *const u8, mask: i32) -> Self::F;
    /// Rounds to the nearest whole number, ties to even, and writes [`Simd::LANES`] signed bytes. Lanes must be within
    /// ±127 or be no number, which may give any byte.
    unsafe fn store_bytes(self, p: *mut i8, v: Self::F);

    /// All lanes zero.
    #[inline(always)]
    fn zero(self) -> Self::F {
        self.splat(0.0)
    }

    /// `|a|`.
    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        self.max(self.sub(self.zero(), a), a)
    }
}

/// Turns always-inlined bodies `unsafe fn body<S: Simd>(s: S, args..)` into functions that take an [`Isa`] first and
/// run the body compiled for it.
macro_rules! dispatch {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:path;)*) => {$(
        $(#[$meta])*
        ///
        /// # Safety
        /// The machine must have the instruction set; pointers must cover what the body reads and writes.
        #[allow(clippy::allow_attributes, unused_unsafe)]
        $vis unsafe fn $name(isa: $crate::simd::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
            unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: passed on to the caller; this function's features are the proof the token stands for.
                unsafe { $body($crate::simd::Avx512::assume(), $($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: as above.
                unsafe { $body($crate::simd::Avx2::assume(), $($arg),*) }
            }
            match isa {
                // SAFETY: as this function asks of its caller.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Isa::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Isa::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: NEON is part of the baseline of aarch64.
                #[cfg(target_arch = "aarch64")]
                $crate::simd::Isa::Neon => unsafe { $body($crate::simd::Neon::assume(), $($arg),*) },
                // SAFETY: the portable set needs nothing of the machine.
                $crate::simd::Isa::Portable => unsafe { $body($crate::simd::Portable, $($arg),*) },
            }
        }
    )*};
}
pub(crate) use dispatch;
