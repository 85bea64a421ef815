//! Qwen3.5 against transformers: tiny random models in files as llama.cpp's converter writes them (`oracles/`,
//! `fixtures/qwen35`), all on the CPU device.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod files;
mod fixtures;
mod language;
mod logits;
mod sequences;
mod traps;
