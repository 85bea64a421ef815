//! Where a file of samples is written: beside its final place, which it takes only when it is finished.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file that is being written.
pub(crate) enum Place {
    /// A file that has no name of its own yet, and the one it will have.
    Beside(BufWriter<NamedTempFile>, PathBuf),
    /// A device or a pipe, over which renaming would put a file.
    Through(File),
}

impl Place {
    /// Begins a file. A link is followed, so that what it leads to is replaced.
    pub(crate) fn begin(path: &Path) -> io::Result<Self> {
        let target = match fs::metadata(path) {
            Ok(meta) if meta.is_file() => fs::canonicalize(path)?,
            Ok(meta) if meta.is_dir() => {
                return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
            }
            Ok(_) => return Ok(Self::Through(fs::OpenOptions::new().write(true).open(path)?)),
            Err(_) => path.to_path_buf(),
        };
        let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".mynah-").suffix(".part");
        #[cfg(unix)]
        {
            // Temporary files are private by default; this one becomes an ordinary file, so the umask decides.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        Ok(Self::Beside(BufWriter::new(builder.tempfile_in(folder)?), target))
    }

    /// Whether its beginning can be written again.
    pub(crate) fn rewinds(&self) -> bool {
        matches!(self, Self::Beside(..))
    }

    /// Puts the file into its place, its first bytes replaced by these.
    pub(crate) fn end(self, first: &[u8]) -> io::Result<()> {
        let Self::Beside(out, path) = self else { return Ok(()) };
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(first)?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    }
}

impl Write for Place {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Beside(out, _) => out.write(bytes),
            Self::Through(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Beside(out, _) => out.flush(),
            Self::Through(out) => out.flush(),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn others_may_read_it_and_links_are_followed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [plain, real, link] = ["plain", "real", "link"].map(|name| folder.path().join(name));
        fs::write(&plain, b"").unwrap();
        fs::write(&real, b"old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut place = Place::begin(&link).unwrap();
        place.write_all(b"???new").unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"old", "not yet");
        place.end(b"all").unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"allnew");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&real), mode(&plain), "as any other program would have made it");
    }

    #[test]
    fn devices_are_written_through_and_folders_are_refused() {
        let mut place = Place::begin(Path::new("/dev/null")).unwrap();
        assert!(!place.rewinds());
        place.write_all(b"gone").unwrap();
        place.end(b"").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let folder = tempfile::tempdir().unwrap();
        assert!(Place::begin(folder.path()).is_err());
    }
}
