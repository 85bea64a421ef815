//! Qwen3.5 and Qwen3-Next against transformers: tiny random models in files as llama.cpp's converter writes them (`oracles/`,
//! `fixtures/qwen35`), all on the CPU device.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod drafts;
mod files;
mod fixtures;
mod language;
mod llamacpp;
mod logits;
mod merged;
mod sequences;
mod speculation;
mod traps;
