//! The two files of a voice model: T3's after `-m`, S3Gen's beside it or named.

use crate::exit::Usage;
use crate::flags::ModelFlags;
use crate::notes::Volume;
use anyhow::Context as _;
use mynah::{Error, Speaker};
use mynah_gguf::GgufFile;
use mynah_models::ModelError;
use mynah_models::chatterbox::s3gen::S3GenConfig;
use mynah_models::chatterbox::t3::T3Config;
use mynah_text::speech::{FrontEnd, LANGUAGES};
use std::path::{Path, PathBuf};

/// Loads the models that the flags name.
///
/// # Errors
/// A file that is not there or can't be used.
pub(crate) fn open(flags: &ModelFlags, s3gen: Option<&Path>, volume: Volume) -> anyhow::Result<Speaker> {
    let (paths, files) = pair(named(flags)?, s3gen)?;
    let [t3, s3gen] = paths.each_ref().map(|path| path.display());
    let options = flags.options();
    let devices = mynah::open_devices(options.device, options.threads)?;
    let speaker = Speaker::on(files, devices, &options);
    let speaker = speaker.with_context(|| format!("can't use the model {t3} with {s3gen}"))?;
    volume.detail(&format!("models {t3} and {s3gen}"));
    Ok(speaker)
}

/// The two files of a model, T3's and S3Gen's, with their paths.
///
/// # Errors
/// A file that is not there or of another family.
pub(crate) fn pair(named: &Path, s3gen: Option<&Path>) -> anyhow::Result<([PathBuf; 2], [GgufFile; 2])> {
    let t3 = t3_of(named);
    // Which family it is comes before where its other half is.
    let first = read(&t3, |file| T3Config::read(file).map(|_| ()))?;
    let s3gen = s3gen_of(&t3, s3gen)?;
    let second = read(&s3gen, |file| S3GenConfig::read(file).map(|_| ()))?;
    Ok(([t3, s3gen], [first, second]))
}

/// A line for each language that T3's file speaks: the code and the English name.
///
/// # Errors
/// A file that is not there or no T3.
pub(super) fn languages(flags: &ModelFlags) -> anyhow::Result<String> {
    let path = t3_of(named(flags)?);
    let file = read(&path, |file| T3Config::read(file).map(|_| ()))?;
    let front = FrontEnd::from_metadata(file.metadata()).map_err(Error::from)?;
    let line = |code: &&str| {
        let known = LANGUAGES.iter().find(|language| language.code == *code);
        format!("{code}  {}\n", known.map_or("", |language| language.name))
    };
    Ok(front.languages().iter().map(line).collect())
}

/// The model that the flags name.
fn named(flags: &ModelFlags) -> Result<&Path, Usage> {
    let hint = "name T3's file of a Chatterbox model with -m; none is built in";
    flags.model.as_deref().ok_or_else(|| Usage::new("no model was given", hint))
}

/// A file of which `check` reads the configuration.
fn read(path: &Path, check: impl Fn(&GgufFile) -> Result<(), ModelError>) -> anyhow::Result<GgufFile> {
    let wrong = || format!("can't use the model {}", path.display());
    let file = GgufFile::open(path).map_err(Error::from).with_context(wrong)?;
    check(&file).map_err(Error::from).with_context(wrong)?;
    Ok(file)
}

/// `NAME-t3.gguf` for `NAME.gguf` or `NAME`, which is what `mynah convert` was given, if there is no such file.
pub(crate) fn t3_of(named: &Path) -> PathBuf {
    let whole = || {
        let name = named.file_name()?.to_str()?;
        let stem = name.strip_suffix(".gguf").unwrap_or(name);
        let path = named.with_file_name(format!("{stem}-t3.gguf"));
        (!named.is_file() && path.is_file()).then_some(path)
    };
    whole().unwrap_or_else(|| named.to_path_buf())
}

/// The file of S3Gen that was named, else the one beside T3's.
///
/// # Errors
/// That there is none beside it.
pub(crate) fn s3gen_of(t3: &Path, named: Option<&Path>) -> anyhow::Result<PathBuf> {
    named.map_or_else(|| beside(t3), |path| Ok(path.to_path_buf()))
}

/// The file beside T3's whose name has `s3gen` where it has `t3`.
fn beside(t3: &Path) -> anyhow::Result<PathBuf> {
    let missing = || {
        let hint = "name it with --s3gen, or call it like T3's with s3gen in place of t3";
        Usage::new(format!("there is no file of S3Gen beside {}", t3.display()), hint)
    };
    let name = t3.file_name().and_then(|name| name.to_str()).ok_or_else(missing)?;
    let found = name.match_indices("t3").map(|(at, _)| {
        let other = format!("{}s3gen{}", &name[..at], &name[at + 2..]);
        t3.with_file_name(other)
    });
    found.filter(|path| path.is_file()).last().ok_or_else(|| missing().into())
}

#[cfg(test)]
mod tests {
    use super::{beside, t3_of};
    use std::fs;

    #[test]
    fn files_are_found_by_each_others_names() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = dir.path().join(name);
            fs::write(&path, "").unwrap();
            path
        };
        let (t3, s3gen) = (file("turbo-t3-q8_0.gguf"), file("turbo-s3gen-q8_0.gguf"));
        assert_eq!(beside(&t3).unwrap(), s3gen);
        assert!(beside(&file("at3t3.gguf")).is_err());
        assert!(beside(&s3gen).is_err());
        let plain = file("mtl-t3.gguf");
        assert_eq!(t3_of(&dir.path().join("mtl")), plain);
        assert_eq!(t3_of(&dir.path().join("mtl.gguf")), plain);
        assert_eq!(t3_of(&plain), plain);
    }
}
