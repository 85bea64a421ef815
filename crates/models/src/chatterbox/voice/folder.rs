//! A voice as a folder of `.npy` files, as chatterbox.cpp keeps them (`--save-voice`, `--ref-dir`): readable by it and by NumPy.

use super::error::VoiceError;
use super::npy::{Npy, NpyData};
use super::profile::{PROMPT_MELS, Voice, VoiceParts, VoiceSource};
use mynah_text::output::{OutputError, write_atomic};
use std::path::Path;

/// Files longer than this are no voice's: ten minutes of mel frames and twice over.
const LONGEST: u64 = 64 << 20;

impl VoiceParts {
    /// Reads what a folder holds of `speaker_emb.npy`, `cond_prompt_speech_tokens.npy`, `embedding.npy`, `prompt_token.npy` and
    /// `prompt_feat.npy`.
    ///
    /// # Errors
    /// [`VoiceError::NotAVoice`] for a folder with none of them, [`VoiceError::Io`], [`VoiceError::Npy`], and [`VoiceError::Part`] for
    /// an array of another kind or shape.
    pub fn read_folder(path: &Path) -> Result<Self, VoiceError> {
        let mut parts = Self {
            name: path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            source: Some(VoiceSource::Files),
            ..Self::default()
        };
        parts.speaker_embedding = read(path, "speaker_emb", vector)?;
        parts.t3_prompt_tokens = read(path, "cond_prompt_speech_tokens", tokens)?;
        parts.embedding = read(path, "embedding", vector)?;
        parts.prompt_tokens = read(path, "prompt_token", tokens)?;
        parts.prompt_feat = read(path, "prompt_feat", frames)?;
        if parts.missing().len() == 5 {
            let reason = "none of speaker_emb.npy, cond_prompt_speech_tokens.npy, embedding.npy, prompt_token.npy, prompt_feat.npy is there";
            return Err(VoiceError::NotAVoice { path: path.to_owned(), reason: reason.into() });
        }
        parts.check()?;
        Ok(parts)
    }

    /// Reads a part of the bytes of a `.npy` file; `name` is the file's without its ending. What a folder's files go through, open to
    /// archives and tests.
    ///
    /// # Errors
    /// [`VoiceError::Npy`], [`VoiceError::Part`], or [`VoiceError::NotAVoice`] for a name that is none of the five.
    pub fn read_npy(&mut self, name: &str, bytes: &[u8]) -> Result<(), VoiceError> {
        let npy = Npy::parse(&format!("{name}.npy"), bytes)?;
        match name {
            "speaker_emb" => self.speaker_embedding = Some(vector("speaker_emb", npy)?),
            "cond_prompt_speech_tokens" => {
                self.t3_prompt_tokens = Some(tokens("cond_prompt_speech_tokens", npy)?);
            }
            "embedding" => self.embedding = Some(vector("embedding", npy)?),
            "prompt_token" => self.prompt_tokens = Some(tokens("prompt_token", npy)?),
            "prompt_feat" => self.prompt_feat = Some(frames("prompt_feat", npy)?),
            _ => {
                let reason = "it is none of the five arrays of a voice".into();
                return Err(VoiceError::NotAVoice { path: name.into(), reason });
            }
        }
        self.check()
    }
}

impl Voice {
    /// Writes the five files into a folder, which is made if it isn't there. Each appears whole or not at all.
    ///
    /// # Errors
    /// [`VoiceError::Io`].
    pub fn write_folder(&self, path: &Path) -> Result<(), VoiceError> {
        let refused = |path: &Path, source| VoiceError::Io { doing: "write", path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(|e| refused(path, e))?;
        let vector = |x: &[f32]| Npy { shape: vec![x.len()], data: NpyData::F32(x.to_vec()) };
        let tokens = |x: &[i32]| Npy { shape: vec![x.len()], data: NpyData::I32(x.to_vec()) };
        let feat = NpyData::F32(self.prompt_feat().to_vec());
        let files = [
            ("speaker_emb", vector(self.speaker_embedding())),
            ("cond_prompt_speech_tokens", tokens(self.t3_prompt_tokens())),
            ("embedding", vector(self.embedding())),
            ("prompt_token", tokens(self.prompt_tokens())),
            ("prompt_feat", Npy { shape: vec![self.prompt_frames(), PROMPT_MELS], data: feat }),
        ];
        for (name, npy) in files {
            let file = path.join(format!("{name}.npy"));
            write_atomic(&file, &npy.to_bytes()).map_err(|error| match error {
                OutputError::Write { path, source } => refused(&path, source),
                other => refused(&file, std::io::Error::other(other)),
            })?;
        }
        Ok(())
    }
}

/// The elements of a file that is there.
fn read<T>(
    folder: &Path,
    part: &'static str,
    elements: fn(&'static str, Npy) -> Result<T, VoiceError>,
) -> Result<Option<T>, VoiceError> {
    let path = folder.join(format!("{part}.npy"));
    let refused = |source| VoiceError::Io { doing: "read", path: path.clone(), source };
    let length = match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(refused)?.len(),
    };
    if length > LONGEST {
        return Err(VoiceError::Npy { file: path.display().to_string(), reason: format!("{length} bytes") });
    }
    let bytes = std::fs::read(&path).map_err(refused)?;
    elements(part, Npy::parse(&path.display().to_string(), &bytes)?).map(Some)
}

/// Extents without leading ones, which a batch leaves.
fn squeezed(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().take_while(|&&d| d == 1).count();
    &shape[ones.min(shape.len().saturating_sub(1))..]
}

fn vector(part: &'static str, Npy { shape, data }: Npy) -> Result<Vec<f32>, VoiceError> {
    match (squeezed(&shape), data) {
        ([_], NpyData::F32(values)) => Ok(values),
        _ => {
            Err(VoiceError::Part { part, reason: format!("is no vector of floats; its shape is {shape:?}") })
        }
    }
}

fn tokens(part: &'static str, Npy { shape, data }: Npy) -> Result<Vec<i32>, VoiceError> {
    match (squeezed(&shape), data) {
        ([_], NpyData::I32(values)) => Ok(values),
        _ => Err(VoiceError::Part { part, reason: format!("is no list of tokens; its shape is {shape:?}") }),
    }
}

fn frames(part: &'static str, Npy { shape, data }: Npy) -> Result<Vec<f32>, VoiceError> {
    // A single frame lost its axis with the leading ones.
    match (squeezed(&shape), data) {
        ([_, PROMPT_MELS] | [PROMPT_MELS], NpyData::F32(values)) => Ok(values),
        _ => Err(VoiceError::Part {
            part,
            reason: format!("is no [frames, {PROMPT_MELS}] of floats; its shape is {shape:?}"),
        }),
    }
}
