//! Writing a file so that others see the old one or the whole new one, nothing between.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A temporary file beside its destination; dropped without [`AtomicFile::commit`] it is removed. A link is followed. A device or a
/// pipe, over which a rename would put a file, is written through.
pub(crate) struct AtomicFile {
    file: Option<File>,
    /// Its own name and the one it will have; `None` for what is written through.
    names: Option<(PathBuf, PathBuf)>,
}

impl AtomicFile {
    /// Creates the temporary file in the destination's folder: a rename must not cross file systems.
    pub(crate) fn create(destination: &Path) -> io::Result<AtomicFile> {
        let destination = match fs::metadata(destination) {
            Ok(meta) if meta.is_file() => fs::canonicalize(destination)?,
            Ok(meta) if meta.is_dir() => {
                return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
            }
            Ok(_) => {
                let file = OpenOptions::new().write(true).open(destination)?;
                return Ok(AtomicFile { file: Some(file), names: None });
            }
            Err(_) => destination.to_owned(),
        };
        let name = destination.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        for attempt in 0..1000 {
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{}-{attempt}.tmp", std::process::id()));
            let temporary = destination.with_file_name(hidden);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    let names = Some((temporary, destination));
                    return Ok(AtomicFile { file: Some(file), names });
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
        let Some((temporary, destination)) = self.names.take() else { return Ok(()) };
        let synced = self.file.as_ref().map_or(Ok(()), File::sync_all);
        // Some systems refuse to rename over a file, or a file that is open.
        let closed = self.file.take();
        drop(closed);
        let renamed = synced.and_then(|()| fs::rename(&temporary, &destination));
        if renamed.is_err() {
            // The error of the rename is the one to report; a leftover file is the lesser harm.
            drop(fs::remove_file(&temporary));
        }
        renamed
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some((temporary, _)) = self.names.take() {
            drop(self.file.take());
            drop(fs::remove_file(&temporary));
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use crate::{GgufError, GgufFile, GgufWriter};
    use std::fs;
    use std::path::Path;

    fn write(path: &Path) -> Result<(), GgufError> {
        let mut writer = GgufWriter::new();
        writer.set("general.name", "new");
        writer.write_file(path)
    }

    #[test]
    fn links_are_followed_devices_stay_and_others_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [plain, real, link] = ["plain", "real", "link"].map(|name| folder.path().join(name));
        fs::write(&plain, b"").unwrap();
        fs::write(&real, b"old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(GgufFile::open(&real).unwrap().get_str("general.name").unwrap(), Some("new"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&real), mode(&plain), "as any other program would have made it");
        write(Path::new("/dev/null")).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        assert!(write(folder.path()).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing half-written stays");
    }
}
