//! The CPU device: SIMD kernels chosen at run time and a deterministic thread pool.
