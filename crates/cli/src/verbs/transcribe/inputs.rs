//! Which recordings the arguments name.

use crate::hints::Advised;
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// One recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Input {
    /// As results and errors call it.
    pub(super) name: String,
    /// Where it is; `None` for standard input.
    pub(super) path: Option<PathBuf>,
}

impl Input {
    fn file(path: PathBuf) -> Self {
        Self { name: path.display().to_string(), path: Some(path) }
    }

    /// What output templates are filled from.
    pub(super) fn path_for_names(&self) -> PathBuf {
        self.path.clone().unwrap_or_else(|| "stdin".into())
    }
}

/// What the arguments came to.
pub(super) struct Gathered {
    /// In the order of the arguments; a folder's recordings by name.
    pub(super) inputs: Vec<Input>,
    /// Whether there could be several, whatever a folder happened to hold.
    pub(super) several: bool,
    /// Folders that give nothing.
    pub(super) failures: Vec<anyhow::Error>,
}

/// File names that are taken from a folder. Opus is among them although it can't be decoded: a recording that is left
/// out without a word would be the worse surprise.
const EXTENSIONS: [&str; 20] = [
    "wav", "wave", "flac", "mp3", "mp2", "ogg", "oga", "opus", "m4a", "m4b", "mp4", "aac", "aif", "aiff",
    "aifc", "caf", "mka", "mkv", "webm", "rf64",
];

/// Resolves the arguments. A file is taken whatever it is called; whether it can be opened shows later.
pub(super) fn gather(arguments: &[PathBuf], recursive: bool) -> Gathered {
    let several = arguments.len() > 1 || arguments.iter().any(|a| a.is_dir());
    let mut gathered = Gathered { inputs: Vec::new(), several, failures: Vec::new() };
    for argument in arguments {
        if argument.as_os_str() == "-" {
            gathered.inputs.push(Input { name: "stdin".into(), path: None });
        } else if argument.is_dir() {
            let mut found = Vec::new();
            match walk(argument, recursive, &mut found) {
                Err(e) => gathered.failures.push(e),
                Ok(()) if found.is_empty() => gathered.failures.push(nothing_in(argument, recursive)),
                Ok(()) => gathered.inputs.extend(found.into_iter().map(Input::file)),
            }
        } else {
            gathered.inputs.push(Input::file(argument.clone()));
        }
    }
    gathered
}

fn nothing_in(folder: &Path, recursive: bool) -> anyhow::Error {
    let message = format!("there are no recordings in {}", folder.display());
    if recursive {
        anyhow::Error::msg(message)
    } else {
        Advised::new(message, "--recursive looks in its folders too").into()
    }
}

fn walk(folder: &Path, recursive: bool, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let read = || -> std::io::Result<Vec<std::fs::DirEntry>> { std::fs::read_dir(folder)?.collect() };
    let mut entries = read().with_context(|| format!("can't list {}", folder.display()))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // The entry's own type, so that a link to a folder can't lead in circles; a link to a file is fine.
        let folder = entry.file_type().is_ok_and(|t| t.is_dir());
        if hidden {
            continue;
        } else if folder && recursive {
            walk(&path, true, found)?;
        } else if !folder && is_recording(&path) && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn is_recording(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(gathered: &Gathered, root: &Path) -> Vec<String> {
        let below = |i: &Input| i.path.as_ref().unwrap().strip_prefix(root).unwrap().display().to_string();
        gathered.inputs.iter().map(below).collect()
    }

    #[test]
    fn folders_give_their_recordings_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("more/deep")).unwrap();
        for name in ["b.wav", "a.MP3", "notes.txt", ".hidden.wav", "more/c.flac", "more/deep/d.ogg"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let flat = gather(&[dir.path().to_owned()], false);
        assert_eq!(names(&flat, dir.path()), ["a.MP3", "b.wav"]);
        let deep = gather(&[dir.path().to_owned()], true);
        assert_eq!(names(&deep, dir.path()), ["a.MP3", "b.wav", "more/c.flac", "more/deep/d.ogg"]);
    }

    #[test]
    fn a_folder_without_recordings_is_a_failure_with_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        let empty = gather(&[dir.path().to_owned(), "-".into(), "a.xyz".into()], false);
        let names: Vec<&str> = empty.inputs.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["stdin", "a.xyz"]);
        assert!(crate::failure::text(&empty.failures[0]).contains("hint: --recursive"));
    }

    #[cfg(unix)]
    #[test]
    fn links_in_circles_end() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("again")).unwrap();
        std::fs::write(dir.path().join("a.wav"), "").unwrap();
        assert_eq!(names(&gather(&[dir.path().to_owned()], true), dir.path()), ["a.wav"]);
    }
}
