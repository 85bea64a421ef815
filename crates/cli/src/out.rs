//! Standard output: results and nothing else.

use std::io::{self, Write};

/// Writes a result. `print!` would panic when the reader has gone; here it is an error that ends the command quietly.
///
/// # Errors
/// What the system says, [`io::ErrorKind::BrokenPipe`] among it.
pub(crate) fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a value as indented JSON and a line feed.
///
/// # Errors
/// As [`write`].
pub(crate) fn write_json(value: &serde_json::Value) -> io::Result<()> {
    write(&format!("{value:#}\n"))
}
