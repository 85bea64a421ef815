//! What an error looks like: one `error:` line, a `cause:` line for each thing behind it, a `hint:` if there is one.

use crate::exit::{Exit, Usage};
use crate::hints;
use mynah_text::speech::SpeechError;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

/// Ends the command with an error. A reader that went away, as `head` does, is no error at all.
pub(crate) fn end(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return Exit::Success.code();
    }
    print(error);
    let usage = error.chain().any(|cause| {
        let library = cause.downcast_ref::<mynah::Error>();
        let language = matches!(
            hints::boxed(cause),
            Some(SpeechError::MissingLanguage { .. } | SpeechError::UnknownLanguage { .. })
        );
        cause.is::<Usage>()
            || language
            || matches!(library, Some(mynah::Error::Option { .. } | mynah::Error::NoModel))
    });
    if usage { Exit::Usage.code() } else { Exit::Failure.code() }
}

/// Prints an error to stderr.
pub(crate) fn print(error: &anyhow::Error) {
    crate::notes::raw(&text(error));
}

/// Whether the other side of a pipe was closed.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    io.into_iter().any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// The lines of an error.
pub(crate) fn text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for (i, cause) in error.chain().enumerate() {
        let line = cause.to_string();
        // Some errors print their source as well; saying it twice helps nobody. The library's own wrappers say only
        // which part of it failed, and the line above has said that for the user's own file.
        let wraps = cause.is::<mynah::Error>() && cause.source().is_some();
        if i > 0 && (wraps || last.contains(&line)) {
            continue;
        }
        let label = if i == 0 { "error" } else { "cause" };
        // Writing to a String can't fail.
        let _ = writeln!(text, "{label}: {line}");
        last = line;
    }
    if let Some(hint) = hints::of(error) {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_cause_that_was_said_already_is_left_out() {
        let inner = io::Error::new(io::ErrorKind::PermissionDenied, "no entry");
        let error: anyhow::Error = mynah_gguf::GgufError::Io { path: "a.gguf".into(), source: inner }.into();
        assert_eq!(text(&error.context("can't load")), "error: can't load\ncause: a.gguf: no entry\n");
    }

    #[test]
    fn a_wrapper_without_news_is_left_out() {
        let inner = mynah::AudioError::NoAudioTrack { name: "a.mkv".into() };
        let error = anyhow::Error::from(mynah::Error::from(inner)).context("can't transcribe a.mkv");
        assert!(text(&error).starts_with("error: can't transcribe a.mkv\ncause: a.mkv has no audio track\n"));
    }

    #[test]
    fn hints_come_last() {
        let error: anyhow::Error = Usage::new("too many", "take one").into();
        assert_eq!(text(&error), "error: too many\nhint: take one\n");
    }

    #[test]
    fn a_broken_pipe_is_found_below_its_contexts() {
        let closed: io::Result<()> = Err(io::ErrorKind::BrokenPipe.into());
        assert!(is_broken_pipe(&closed.context("writing").unwrap_err()));
        let other: io::Result<()> = Err(io::ErrorKind::NotFound.into());
        assert!(!is_broken_pipe(&other.context("writing").unwrap_err()));
    }
}
