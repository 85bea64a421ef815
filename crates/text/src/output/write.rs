//! Files appear whole or not at all.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::OutputError;

/// Writes `bytes` to `path`: into a temporary file in the same folder, flushed to disk, then renamed over `path`. A
/// reader sees the old file or the new one; a crash leaves the old one. Missing folders are made. A link is followed,
/// and what is not a regular file (a pipe, `/dev/stdout`) is written straight through.
///
/// # Errors
/// [`OutputError::Write`] with the path and the cause; the temporary file is gone then.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    write_atomic_with(path, |out| out.write_all(bytes))
}

/// The same of a file that is too large to be held in one piece: `fill` is given the buffered file and writes what it is to hold.
///
/// # Errors
/// As [`write_atomic`]; those of `fill`.
pub fn write_atomic_with(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), OutputError> {
    write(path, fill).map_err(|source| OutputError::Write { path: path.to_owned(), source })
}

fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let target = match fs::metadata(path) {
        Ok(meta) if meta.is_file() => fs::canonicalize(path)?,
        Ok(meta) if meta.is_dir() => {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        // Renaming over a device or a pipe would replace it.
        Ok(_) => {
            let mut out = BufWriter::new(fs::OpenOptions::new().write(true).open(path)?);
            fill(&mut out)?;
            return out.flush();
        }
        Err(_) => path.to_owned(),
    };
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    fs::create_dir_all(&folder)?;

    let mut builder = tempfile::Builder::new();
    builder.prefix(".mynah-").suffix(".part");
    #[cfg(unix)]
    {
        // Temporary files are private by default; this one becomes an ordinary file, so the umask decides.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut out = BufWriter::new(builder.tempfile_in(&folder)?);
    fill(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|error| error.error)?;
    sync_folder(&folder);
    Ok(())
}

/// Makes the rename itself durable. Where folders cannot be flushed the file is still whole, so failing is no error.
fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = fs::File::open(folder) {
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = folder;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_made_with_its_folders_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x/y/a.txt");
        write_atomic(&path, b"long first version").unwrap();
        write_atomic(&path, "zweite".as_bytes()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"zweite");
        assert_eq!(names(path.parent().unwrap()), ["a.txt"]);
    }

    #[test]
    fn a_failure_names_the_file_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("taken");
        fs::create_dir(&folder).unwrap();
        let message = write_atomic(&folder, b"x").unwrap_err().to_string();
        assert!(
            message.starts_with("cannot write ") && message.contains("taken") && message.contains("folder")
        );
        assert_eq!(names(dir.path()), ["taken"]);
        let file = dir.path().join("file");
        fs::write(&file, b"old").unwrap();
        assert!(write_atomic(&file.join("below"), b"x").is_err());
        assert_eq!(names(dir.path()), ["file", "taken"]);
        assert_eq!(fs::read(&file).unwrap(), b"old");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_others_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, b"old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write_atomic(&link, b"new").unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let plain = dir.path().join("plain");
        fs::write(&plain, b"").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&real), mode(&plain), "as any other program would have made it");
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_written_through() {
        write_atomic(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
