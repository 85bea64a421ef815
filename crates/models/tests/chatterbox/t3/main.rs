//! T3 against resemble-ai/chatterbox: tiny random models in files as chatterbox.cpp's converters write them (`oracles/chatterbox/t3.py`,
//! `fixtures/chatterbox/t3`), all on the CPU device.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod analyser;
mod files;
mod fixtures;
mod logits;
mod loops;
mod paths;
mod samplers;
mod tokens;
mod types;
