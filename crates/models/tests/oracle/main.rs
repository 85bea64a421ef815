//! Parakeet against NeMo: tiny random models of every head and option (`oracles/`, `fixtures/parakeet/`).
//!
//! All on the CPU device with the exact policy. The encoder is compared stage by stage, tokens wherever NeMo's top-2
//! margin is clear. What becomes of the tokens (words, times, segments) is compared in `mynah-text`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod fixtures;
mod stages;
mod tokens;
mod whole;
