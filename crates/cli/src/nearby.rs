//! What a user who named a missing file may have meant.

use mynah_lab::wer::WordErrors;
use std::io;
use std::path::Path;

/// A hint for a path that isn't there: the folder that is missing, or the file beside it with nearly that name.
pub(crate) fn hint(path: &Path, error: &io::Error) -> Option<String> {
    if error.kind() != io::ErrorKind::NotFound {
        return None;
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Some(format!("there is no folder {}", folder.display()));
    }
    let wanted = path.file_name()?.to_str()?;
    let names = std::fs::read_dir(folder).ok()?.filter_map(|e| e.ok()?.file_name().into_string().ok());
    let best = names.map(|name| (distance(wanted, &name), name)).min()?;
    // One slip in four letters is a slip; more is another name.
    let near = best.0 <= wanted.chars().count() / 4;
    near.then(|| format!("did you mean {}?", path.with_file_name(best.1).display()))
}

/// Letters to change, case aside.
fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    WordErrors::between_words(&letters(a), &letters(b)).errors()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["Talk.mp3", "lecture.wav"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let of = |name: &str| hint(&dir.path().join(name), &missing);
        let meant = |name: &str| Some(format!("did you mean {}?", dir.path().join(name).display()));
        assert_eq!(of("talk.mp4"), meant("Talk.mp3"));
        assert_eq!(of("lektures.wav"), meant("lecture.wav"));
        assert_eq!(of("film.mkv"), None);
        let folder = dir.path().join("no");
        assert_eq!(of("no/talk.mp3"), Some(format!("there is no folder {}", folder.display())));
        assert_eq!(hint(&dir.path().join("talk.mp4"), &io::ErrorKind::PermissionDenied.into()), None);
    }
}
