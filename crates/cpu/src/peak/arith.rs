//! Loops that multiply and add in registers as fast as the machine can.
//!
//! They are written in assembly because a compiler would see that nothing is done with the sums. Each keeps as many
//! independent sums as hide the latency of an instruction (12 to 16), all of them fed with the same small operands, so
//! that nothing overflows into denormal or infinite numbers, which some processors are slow with.

use crate::simd::SimdLevel;

/// Passes of one call: short enough that a slice holds many calls.
const PASSES: u64 = 4096;

/// A loop, with what one pass over all its sums comes to.
#[derive(Clone, Copy)]
pub(super) struct Loop {
    /// Runs that many passes.
    ///
    /// Safety: the machine must have the instructions.
    body: unsafe fn(u64),
    /// Operations of a pass, a multiplication and an addition being two.
    operations: usize,
}

impl Loop {
    /// Dot products of bytes, with the instruction that the products of this level use.
    pub(super) fn int8(level: SimdLevel) -> Option<Self> {
        match level {
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx512 { vnni: true, .. } => Some(Self { body: x86::vnni, operations: 16 * 2 * 64 }),
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx2 { vnni: true } => Some(Self { body: x86::avx_vnni, operations: 12 * 2 * 32 }),
            // Products of AVX-512 without VNNI are those of AVX2.
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx2 { .. } | SimdLevel::Avx512 { .. } => {
                Some(Self { body: x86::maddubs, operations: 12 * 2 * 32 })
            }
            #[cfg(target_arch = "aarch64")]
            SimdLevel::Neon { dotprod: true, .. } => Some(Self { body: arm::sdot, operations: 16 * 2 * 16 }),
            _ => None,
        }
    }

    /// Dot products of bfloat16 pairs.
    pub(super) fn bf16(level: SimdLevel) -> Option<Self> {
        match level {
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx512 { bf16: true, .. } => Some(Self { body: x86::bf16, operations: 16 * 2 * 32 }),
            _ => None,
        }
    }

    /// Multiply-adds of floats.
    pub(super) fn f32(level: SimdLevel) -> Self {
        match level {
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx512 { .. } => Self { body: x86::fma512, operations: 16 * 2 * 16 },
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx2 { .. } => Self { body: x86::fma256, operations: 12 * 2 * 8 },
            #[cfg(target_arch = "aarch64")]
            SimdLevel::Neon { .. } => Self { body: arm::fmla, operations: 16 * 2 * 4 },
            _ => Self { body: portable, operations: PORTABLE * 2 },
        }
    }

    /// Runs for some microseconds. Returns the operations done.
    pub(super) fn run(self) -> f64 {
        // SAFETY: a level is only had on a machine with its instructions, and the constructors above take no others.
        unsafe { (self.body)(PASSES) };
        PASSES as f64 * self.operations as f64
    }
}

/// Sums of the portable loop: twelve vectors of four, what the sixteen registers of any instruction set leave room for.
const PORTABLE: usize = 48;

/// Multiplies and adds as the compiler lays it out for the base instruction set.
fn portable(passes: u64) {
    let (factor, term) = (std::hint::black_box(0.999_f32), std::hint::black_box(0.5_f32));
    let mut sums: [f32; PORTABLE] = std::array::from_fn(|i| i as f32);
    for _ in 0..passes {
        for sum in &mut sums {
            *sum = *sum * factor + term;
        }
    }
    std::hint::black_box(sums);
}

/// Four bytes of one, a small bfloat16 pair and float: operands of every loop.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod operand {
    pub(super) static BYTES: u32 = 0x0101_0101;
    #[cfg(target_arch = "x86_64")]
    pub(super) static BF16: u32 = 0x3c00_3c00;
    pub(super) static F32: u32 = 0x3c00_0000;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::operand;
    use std::arch::asm;

    /// A loop over sixteen sums in the lower half of the 512-bit registers.
    macro_rules! wide {
        ($($(#[$about:meta])* $name:ident $features:literal $instruction:literal $operand:ident;)*) => {$(
            $(#[$about])*
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name(passes: u64) {
                // SAFETY: reads one operand, and changes nothing but the registers it names and the flags.
                unsafe {
                    asm!(
                        "vpbroadcastd zmm30, [{operand}]",
                        "vmovdqa64 zmm31, zmm30",
                        "vpxord zmm0, zmm0, zmm0", "vpxord zmm1, zmm1, zmm1",
                        "vpxord zmm2, zmm2, zmm2", "vpxord zmm3, zmm3, zmm3",
                        "vpxord zmm4, zmm4, zmm4", "vpxord zmm5, zmm5, zmm5",
                        "vpxord zmm6, zmm6, zmm6", "vpxord zmm7, zmm7, zmm7",
                        "vpxord zmm8, zmm8, zmm8", "vpxord zmm9, zmm9, zmm9",
                        "vpxord zmm10, zmm10, zmm10", "vpxord zmm11, zmm11, zmm11",
                        "vpxord zmm12, zmm12, zmm12", "vpxord zmm13, zmm13, zmm13",
                        "vpxord zmm14, zmm14, zmm14", "vpxord zmm15, zmm15, zmm15",
                        "2:",
                        concat!($instruction, " zmm0, zmm30, zmm31"),
                        concat!($instruction, " zmm1, zmm30, zmm31"),
                        concat!($instruction, " zmm2, zmm30, zmm31"),
                        concat!($instruction, " zmm3, zmm30, zmm31"),
                        concat!($instruction, " zmm4, zmm30, zmm31"),
                        concat!($instruction, " zmm5, zmm30, zmm31"),
                        concat!($instruction, " zmm6, zmm30, zmm31"),
                        concat!($instruction, " zmm7, zmm30, zmm31"),
                        concat!($instruction, " zmm8, zmm30, zmm31"),
                        concat!($instruction, " zmm9, zmm30, zmm31"),
                        concat!($instruction, " zmm10, zmm30, zmm31"),
                        concat!($instruction, " zmm11, zmm30, zmm31"),
                        concat!($instruction, " zmm12, zmm30, zmm31"),
                        concat!($instruction, " zmm13, zmm30, zmm31"),
                        concat!($instruction, " zmm14, zmm30, zmm31"),
                        concat!($instruction, " zmm15, zmm30, zmm31"),
                        "dec {passes}",
                        "jnz 2b",
                        operand = in(reg) &raw const operand::$operand,
                        passes = inout(reg) passes => _,
                        out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _,
                        out("zmm4") _, out("zmm5") _, out("zmm6") _, out("zmm7") _,
                        out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                        out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _,
                        out("zmm30") _, out("zmm31") _,
                        options(nostack, readonly),
                    );
                }
            }
        )*};
    }

    wide! {
        /// Four unsigned by four signed bytes to a 32-bit sum, AVX-512 VNNI.
        vnni "avx512f,avx512vnni" "vpdpbusd" BYTES;
        /// Pairs of bfloat16 to a float sum, AVX-512 BF16.
        bf16 "avx512f,avx512bf16" "vdpbf16ps" BF16;
        /// Floats, AVX-512.
        fma512 "avx512f" "vfmadd231ps" F32;
    }

    /// A loop over twelve sums in 256-bit registers; `$step` makes the instructions of the sum it is given. Registers 12
    /// and 13 hold whatever a step needs between, 14 and 15 the operands.
    macro_rules! narrow {
        ($(#[$about:meta])* $name:ident $features:literal $operand:ident $step:ident) => {
            $(#[$about])*
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name(passes: u64) {
                // SAFETY: as above.
                unsafe {
                    asm!(
                        "vpbroadcastd ymm14, [{operand}]",
                        "vmovdqa ymm15, ymm14",
                        "vpxor ymm0, ymm0, ymm0", "vpxor ymm1, ymm1, ymm1", "vpxor ymm2, ymm2, ymm2",
                        "vpxor ymm3, ymm3, ymm3", "vpxor ymm4, ymm4, ymm4", "vpxor ymm5, ymm5, ymm5",
                        "vpxor ymm6, ymm6, ymm6", "vpxor ymm7, ymm7, ymm7", "vpxor ymm8, ymm8, ymm8",
                        "vpxor ymm9, ymm9, ymm9", "vpxor ymm10, ymm10, ymm10", "vpxor ymm11, ymm11, ymm11",
                        "2:",
                        $step!("ymm0"), $step!("ymm1"), $step!("ymm2"), $step!("ymm3"),
                        $step!("ymm4"), $step!("ymm5"), $step!("ymm6"), $step!("ymm7"),
                        $step!("ymm8"), $step!("ymm9"), $step!("ymm10"), $step!("ymm11"),
                        "dec {passes}",
                        "jnz 2b",
                        operand = in(reg) &raw const operand::$operand,
                        passes = inout(reg) passes => _,
                        out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _,
                        out("ymm4") _, out("ymm5") _, out("ymm6") _, out("ymm7") _,
                        out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
                        out("ymm12") _, out("ymm13") _, out("ymm14") _, out("ymm15") _,
                        options(nostack, readonly),
                    );
                }
            }
        };
    }

    macro_rules! fma_step {
        ($sum:literal) => {
            concat!("vfmadd231ps ", $sum, ", ymm14, ymm15")
        };
    }

    macro_rules! vnni_step {
        ($sum:literal) => {
            concat!("{{vex}} vpdpbusd ", $sum, ", ymm14, ymm15")
        };
    }

    /// Pairs to sixteen bits, pairs of those to 32, and onto the sum; bytes of one serve as words to multiply with.
    macro_rules! maddubs_step {
        ($sum:literal) => {
            concat!(
                "vpmaddubsw ymm12, ymm14, ymm15\n",
                "vpmaddwd ymm13, ymm12, ymm15\n",
                "vpaddd ",
                $sum,
                ", ",
                $sum,
                ", ymm13"
            )
        };
    }

    narrow! {
        /// Floats, AVX2 and FMA.
        fma256 "avx2,fma" F32 fma_step
    }
    narrow! {
        /// Four unsigned by four signed bytes to a 32-bit sum, AVX-VNNI.
        avx_vnni "avx2,avxvnni" BYTES vnni_step
    }
    narrow! {
        /// The same in the three instructions that AVX2 takes for it.
        maddubs "avx2" BYTES maddubs_step
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::operand;
    use std::arch::asm;

    /// A loop over sixteen sums in 128-bit registers.
    macro_rules! narrow {
        ($($(#[$about:meta])* $name:ident $features:literal $instruction:literal $sum:literal $term:literal
            $operand:ident;)*) => {$(
            $(#[$about])*
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name(passes: u64) {
                // SAFETY: changes nothing but the registers it names and the flags.
                unsafe {
                    asm!(
                        "dup v30.4s, {operand:w}",
                        "dup v31.4s, {operand:w}",
                        "movi v0.4s, #0", "movi v1.4s, #0", "movi v2.4s, #0", "movi v3.4s, #0",
                        "movi v4.4s, #0", "movi v5.4s, #0", "movi v6.4s, #0", "movi v7.4s, #0",
                        "movi v16.4s, #0", "movi v17.4s, #0", "movi v18.4s, #0", "movi v19.4s, #0",
                        "movi v20.4s, #0", "movi v21.4s, #0", "movi v22.4s, #0", "movi v23.4s, #0",
                        "2:",
                        concat!($instruction, " v0", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v1", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v2", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v3", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v4", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v5", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v6", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v7", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v16", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v17", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v18", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v19", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v20", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v21", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v22", $sum, ", v30", $term, ", v31", $term),
                        concat!($instruction, " v23", $sum, ", v30", $term, ", v31", $term),
                        "subs {passes}, {passes}, #1",
                        "b.ne 2b",
                        operand = in(reg) operand::$operand,
                        passes = inout(reg) passes => _,
                        out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                        out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                        out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                        out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                        out("v30") _, out("v31") _,
                        options(nostack, nomem),
                    );
                }
            }
        )*};
    }

    narrow! {
        /// Four signed by four signed bytes to a 32-bit sum.
        sdot "neon,dotprod" "sdot" ".4s" ".16b" BYTES;
        /// Floats.
        fmla "neon" "fmla" ".4s" ".4s" F32;
    }
}
