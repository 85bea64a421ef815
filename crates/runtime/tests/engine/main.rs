//! The engine on tiny models of `fixtures/qwen35`, and on one that is nothing but a ledger of what it was shown.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod alone;
mod drafts;
mod fixtures;
mod ledger;
mod limits;
mod random;
mod reuse;
mod saved;
