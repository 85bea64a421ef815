//! Keeps a defect of the codec library from taking the process down. The library is safe Rust, so the worst a hostile
//! file can do is a panic; that becomes an error of the packet or file at hand.

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::errors::{Error, Result};

/// Runs `step`, turning a panic into a decode error. The state the step worked on must not be used again after one,
/// except to be dropped: [`PANICKED`] marks it.
pub(super) fn guarded<T>(step: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or(Err(Error::DecodeError(PANICKED)))
}

/// Message of the error that stands for a panic.
pub(super) const PANICKED: &str = "the codec failed on malformed data";

/// Whether an error stands for a panic.
pub(super) fn panicked(error: &Error) -> bool {
    matches!(error, Error::DecodeError(message) if *message == PANICKED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let error = guarded::<()>(|| panic!("out of range")).unwrap_err();
        assert!(panicked(&error));
        assert_eq!(guarded(|| Ok(3)).unwrap(), 3);
    }
}
