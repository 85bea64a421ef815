//! The text that a verb is given: on the command line, in a file, or through a pipe.

use crate::exit::Usage;
use anyhow::Context as _;
use std::io::{IsTerminal, Read};

/// The text itself, else what the file has, else standard input, which the file `-` is too. `hint` says what would have given one, for
/// somebody whose terminal is all there is.
///
/// # Errors
/// A file or a pipe that can't be read, or no text at all.
pub(crate) fn text(text: Option<&str>, file: Option<&str>, hint: &str) -> anyhow::Result<String> {
    match (text, file) {
        (Some(text), _) => Ok(text.to_owned()),
        (None, Some(path)) if path != "-" => {
            std::fs::read_to_string(path).with_context(|| format!("can't read {path}"))
        }
        (None, named) => {
            let mut input = std::io::stdin().lock();
            if named.is_none() && input.is_terminal() {
                return Err(Usage::new("no text was given", hint).into());
            }
            let mut text = String::new();
            input.read_to_string(&mut text).context("can't read standard input")?;
            Ok(text)
        }
    }
}
