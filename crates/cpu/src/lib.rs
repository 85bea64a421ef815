//! The CPU device: SIMD kernels chosen at run time and a deterministic thread pool.
//!
//! A plan is compiled into kernels bound to their memory (`program`), one folder per op family; each kernel is
//! written once over the vectors of `simd` and compiled for every instruction set. Weights are brought into the
//! kernels' layouts once (`weights`) and shared by all sessions of a model. Kernels hand disjoint tasks to one
//! `pool` of threads, so results are the same bytes for any number of them.

mod attention;
mod conv;
mod device;
mod elementwise;
mod epilogue;
mod experts;
mod host;
mod matmul;
mod memory;
mod movement;
mod norm;
mod peak;
mod pool;
mod program;
mod recurrent;
mod session;
mod signal;
mod simd;
mod state;
mod transducer;
mod weights;

use mynah_device::{F16_CACHE, Policy, Route};

/// Products of integer levels with `x` quantised to bytes, a scale to every 128 terms.
const INT8_DOT: Route = Route {
    name: "int8-dot",
    about: "quantised weights times activations rounded to 8 bits in blocks of 128 (VNNI, AVX2, NEON)",
};
/// Products of floats rounded to bfloat16, with float sums. F32 weights take it as well: half the memory, twice the speed,
/// and less than a tenth of the error that eight bits cost.
const BF16_DOT: Route = Route {
    name: "bf16-dot",
    about: "float weights and their activations rounded to bfloat16, sums in floats; online attention too (AVX-512 BF16)",
};
/// Attention that rescales its sums when a larger score turns up.
const ONLINE_SOFTMAX: Route = Route {
    name: "online-softmax",
    about: "attention over blocks of keys with a running maximum instead of whole rows of scores",
};
/// Gated delta nets as matrix products.
const DELTA_CHUNKS: Route = Route {
    name: "delta-chunks",
    about: "prompts go through gated delta nets in chunks of tokens, as products, which bf16-dot rounds, not token by token",
};
/// The fast routes of this device.
const ROUTES: &[Route] = &[INT8_DOT, BF16_DOT, ONLINE_SOFTMAX, DELTA_CHUNKS, F16_CACHE];

/// The proof that products may use pairs of bfloat16 under a policy on a level.
fn bf16_dot(policy: &Policy, level: SimdLevel) -> Option<simd::Bf16> {
    policy.allows(&BF16_DOT).then(|| simd::Bf16::of(level)).flatten()
}

pub use device::{CpuDevice, CpuOptions};
pub use peak::Peaks;
pub use simd::{LevelError, SimdLevel};
