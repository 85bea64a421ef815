//! S3Gen against chatterbox-tts: tiny random modules whose weights both sides compute (`oracles/chatterbox/s3gen.py`,
//! `fixtures/chatterbox/s3gen`), in files as chatterbox.cpp's converter lays them out.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod batches;
mod chunks;
mod files;
mod fixtures;
mod plans;
mod speeds;
mod stages;
mod streams;
mod whole;
