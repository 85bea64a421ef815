//! Whether an earlier run already did the work.

use std::path::Path;
use std::time::SystemTime;

/// Whether all of `outputs` are files no older than `input_modified`. Since files appear whole
/// ([`super::write_atomic`]), being there is being finished. `false` if there are no outputs.
#[must_use]
pub fn is_done<P: AsRef<Path>>(outputs: &[P], input_modified: SystemTime) -> bool {
    !outputs.is_empty()
        && outputs.iter().all(|path| {
            std::fs::metadata(path)
                .and_then(|meta| Ok(meta.is_file() && meta.modified()? >= input_modified))
                .unwrap_or(false)
        })
}

/// [`is_done`] for the input file itself; `false` if its time cannot be read.
#[must_use]
pub fn is_done_for<P: AsRef<Path>>(outputs: &[P], input: &Path) -> bool {
    std::fs::metadata(input).and_then(|meta| meta.modified()).is_ok_and(|modified| is_done(outputs, modified))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn done_means_all_there_and_none_older() {
        let dir = tempfile::tempdir().unwrap();
        let (input, txt, srt) =
            (dir.path().join("a.wav"), dir.path().join("a.txt"), dir.path().join("a.srt"));
        std::fs::write(&input, "").unwrap();
        std::fs::write(&txt, "").unwrap();
        assert!(is_done_for(&[&txt], &input));
        assert!(!is_done_for(&[&txt, &srt], &input), "one is missing");
        assert!(!is_done_for::<&Path>(&[], &input));
        assert!(!is_done_for(&[&txt], &srt), "an input that is not there");
        assert!(!is_done(&[dir.path()], SystemTime::UNIX_EPOCH), "a folder is no output");
        let later = std::fs::metadata(&txt).unwrap().modified().unwrap() + Duration::from_secs(1);
        assert!(!is_done(&[&txt], later), "the input changed since");
    }
}
