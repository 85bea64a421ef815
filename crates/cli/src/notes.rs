//! Standard error: what a person should hear beside the result.

use std::io::{self, Write};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Volume {
    /// Errors and warnings only.
    Quiet,
    /// What a person should know.
    Normal,
    /// Everything.
    Verbose,
}

impl Volume {
    /// Something worth knowing.
    pub(crate) fn note(self, text: &str) {
        if self >= Self::Normal {
            line("note", text);
        }
    }

    /// Something worth knowing for those who asked.
    pub(crate) fn detail(self, text: &str) {
        if self >= Self::Verbose {
            line("note", text);
        }
    }
}

/// Something that is probably not as it should be.
pub(crate) fn warn(text: &str) {
    line("warning", text);
}

fn line(label: &str, text: &str) {
    raw(&format!("{label}: {text}\n"));
}

/// Text as it is. When nobody reads stderr there is nobody to tell, so failures are ignored.
pub(crate) fn raw(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
