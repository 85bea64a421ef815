//! What can go wrong between a transcript and its files.

use std::io;
use std::path::PathBuf;

use crate::formats::Format;

/// A template that names no file, two files of one name, or a file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// `{...}` with a name that means nothing.
    #[error("unknown placeholder {{{name}}} in output template {template:?}; there are {known}{hint}")]
    UnknownPlaceholder {
        /// The template as given.
        template: String,
        /// The name between the braces.
        name: String,
        /// Every known placeholder, comma separated.
        known: String,
        /// `; did you mean {stem}?` or nothing.
        hint: String,
    },
    /// A brace without its partner.
    #[error(
        "unbalanced brace at byte {position} of output template {template:?}; write {{{{ or }}}} for a literal brace"
    )]
    UnbalancedBrace {
        /// The template as given.
        template: String,
        /// Where the brace is.
        position: usize,
    },
    /// The template gives an empty name or a folder.
    #[error("output template {template:?} gives {path:?} for {input:?}, which is not a file name")]
    NotAFile {
        /// The template as given.
        template: String,
        /// What it expanded to.
        path: PathBuf,
        /// The input it was expanded for.
        input: PathBuf,
    },
    /// Two outputs would be the same file.
    #[error(
        "{path:?} would be written twice: {format} of {input:?} and {other_format} of {other:?}; \
         add {{dir}}, {{name}} or {{format}} to the output template"
    )]
    Collision {
        /// The file both would be.
        path: PathBuf,
        /// The later input.
        input: PathBuf,
        /// Its format.
        format: Format,
        /// The earlier input.
        other: PathBuf,
        /// Its format.
        other_format: Format,
    },
    /// The output would overwrite its own input.
    #[error("{path:?} is the input itself; choose another output template")]
    OverInput {
        /// The file.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("cannot write {path:?}: {source}")]
    Write {
        /// The file that was to be written.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}
