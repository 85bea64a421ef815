//! Which family the model is of, and what it is given: a recording or a text.

use super::Drift;
use super::listen::Listener;
use super::read::Reader;
use super::say::Talker;
use super::subject::Subject;
use super::workbench::{Workbench, blame};
use crate::exit::Usage;
use crate::notes::Volume;
use crate::verbs::speak;
use anyhow::Context as _;
use mynah::{AudioStream, Options};
use mynah_audio::PieceReader;
use mynah_gguf::GgufFile;
use mynah_models::ModelError;
use mynah_models::chatterbox::t3::T3Config;
use mynah_models::chatterbox::{s3gen, voice};
use mynah_models::qwen35::Qwen35Config;
use std::path::Path;

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Parakeet; also what nobody knows, which Parakeet's loader then refuses by name.
    Hears,
    /// Chatterbox.
    Speaks,
    /// Qwen3.5.
    Thinks,
}

/// The family of a file; without one the model inside the binary hears.
fn family(path: Option<&Path>) -> anyhow::Result<Family> {
    let Some(path) = path else { return Ok(Family::Hears) };
    let file = GgufFile::open(path).map_err(mynah::Error::from).with_context(|| blame(Some(path)))?;
    let another = |error: Option<ModelError>| matches!(error, Some(ModelError::Family { .. }));
    let part = |what: &str| {
        let hint = "name T3's file of a voice model with -m";
        Err(Usage::new(format!("{} is {what}, no model", path.display()), hint).into())
    };
    match file.get_str("general.architecture").ok().flatten() {
        Some(s3gen::ARCHITECTURE) => part("the S3Gen half of a voice model"),
        Some(voice::VOICE_ARCHITECTURE) => part("a voice"),
        _ if !another(T3Config::read(&file).err()) => Ok(Family::Speaks),
        _ if !another(Qwen35Config::read(&file).err()) => Ok(Family::Thinks),
        _ => Ok(Family::Hears),
    }
}

impl Drift {
    /// The model with what it is given.
    ///
    /// # Errors
    /// A file that is no model, a recording that can't be read, a text that is none, flags of another family.
    pub(super) fn subject(&self) -> anyhow::Result<Box<dyn Subject>> {
        let named = self.model.model.clone();
        let model = named.map(|path| if path.is_file() { path } else { speak::t3_of(&path) });
        let family = family(model.as_deref())?;
        let attention = self.hearing.attention.map(|a| a.0);
        let options = Options { attention, ..self.model.options() };
        let bench = Workbench::new(model, &options);
        let saying = &self.saying;
        if family != Family::Speaks && (saying.voice.is_some() || saying.s3gen.is_some()) {
            let hint = "name T3's file of a voice model with -m, or leave --voice and --s3gen out";
            return Err(Usage::new("the model doesn't speak", hint).into());
        }
        Ok(match family {
            Family::Hears => Box::new(Listener::new(bench, self.samples()?, self.hearing.decoder)),
            Family::Speaks => {
                let files = [saying.s3gen.clone(), saying.voice.clone()];
                let volume = self.talk.volume();
                Box::new(Talker::new(bench, self.text("says")?, saying.options(), files, volume)?)
            }
            Family::Thinks => Box::new(Reader::new(bench, self.text("reads")?)),
        })
    }

    /// The first piece of the recording.
    fn samples(&self) -> anyhow::Result<Vec<f32>> {
        let name = self.input.display();
        let audio = AudioStream::open(&self.input).with_context(|| format!("can't read {name}"))?;
        let piece = PieceReader::new(audio, self.hearing.options().pieces).next_piece()?;
        let volume = self.talk.volume();
        if self.model.model.is_none() && volume >= Volume::Normal && mynah::has_builtin() {
            volume.note(&format!("no -m given, using the built-in model {}", mynah::BUILTIN_NAME));
        }
        Ok(piece.map(|p| p.samples).unwrap_or_default())
    }

    /// The text, which is no file: somebody who names one means something else.
    fn text(&self, does: &str) -> anyhow::Result<String> {
        let hint = format!("the model {does} a text: give it in quotes");
        let refused = |what: &str| Err(Usage::new(what, hint.clone()).into());
        match self.input.to_str() {
            None => refused("the text is not UTF-8"),
            Some(text) if text.trim().is_empty() => refused("the text is empty"),
            Some(_) if self.input.is_file() => refused(&format!("{} is a file", self.input.display())),
            Some(text) => Ok(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_gguf::GgufWriter;

    fn of(architecture: &str) -> Result<Family, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = GgufWriter::new();
        writer.set("general.architecture", architecture);
        writer.write_file(file.path()).unwrap();
        family(Some(file.path())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_says_what_it_is() {
        use Family::{Hears, Speaks, Thinks};
        assert_eq!(family(None).ok(), Some(Hears));
        let found = ["parakeet", "llama", "chatterbox", "qwen35", "qwen35moe"].map(of);
        assert_eq!(found, [Hears, Hears, Speaks, Thinks, Thinks].map(Ok));
        assert!(
            of("chatterbox-s3gen").unwrap_err().ends_with("is the S3Gen half of a voice model, no model")
        );
        assert!(of("chatterbox-voice").unwrap_err().ends_with("is a voice, no model"));
        assert!(family(Some(Path::new("no/such.gguf"))).is_err());
    }
}
