//! Writing a file so that others see the old one or the whole new one, nothing between.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A temporary file beside its destination; dropped without [`AtomicFile::commit`] it is removed.
pub(crate) struct AtomicFile {
    file: Option<File>,
    temporary: PathBuf,
    destination: PathBuf,
}

impl AtomicFile {
    /// Creates the temporary file in the destination's folder: a rename must not cross file systems.
    pub(crate) fn create(destination: &Path) -> io::Result<AtomicFile> {
        let name = destination.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        for attempt in 0..1000 {
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{}-{attempt}.tmp", std::process::id()));
            let temporary = destination.with_file_name(hidden);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    let destination = destination.to_owned();
                    return Ok(AtomicFile { file: Some(file), temporary, destination });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The temporary file.
    pub(crate) fn file(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Brings the content to disk and gives it the destination's name.
    pub(crate) fn commit(mut self) -> io::Result<()> {
        if let Some(file) = self.file.as_ref() {
            file.sync_all()?;
        }
        // Some systems refuse to rename over a file, or a file that is open.
        let closed = self.file.take();
        drop(closed);
        let renamed = fs::rename(&self.temporary, &self.destination);
        if renamed.is_err() {
            // The error of the rename is the one to report; a leftover file is the lesser harm.
            drop(fs::remove_file(&self.temporary));
        }
        renamed
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            drop(fs::remove_file(&self.temporary));
        }
    }
}
