//! How the command can end.

use std::fmt;
use std::process::ExitCode;

/// The exit codes, the same for every verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for was done.
    Success = 0,
    /// It failed.
    Failure = 1,
    /// The flags make no sense.
    Usage = 2,
    /// Some inputs failed, others are done.
    Partial = 3,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// For `main` to return.
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }

    /// Of `total` inputs, `failed` failed.
    pub(crate) fn of(failed: usize, total: usize) -> Self {
        match failed {
            0 => Self::Success,
            _ if failed == total => Self::Failure,
            _ => Self::Partial,
        }
    }
}

/// Flags that contradict each other or the inputs: what clap can't see.
#[derive(Debug)]
pub(crate) struct Usage {
    message: String,
    /// What to type instead.
    pub(crate) hint: Option<String>,
}

impl Usage {
    /// An error with what to do about it.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }

    /// An error that speaks for itself.
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Usage {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mixed_batch_is_partial() {
        assert_eq!(Exit::of(0, 3), Exit::Success);
        assert_eq!(Exit::of(1, 3), Exit::Partial);
        assert_eq!(Exit::of(3, 3), Exit::Failure);
        assert_eq!(Exit::of(0, 0), Exit::Success);
    }
}
