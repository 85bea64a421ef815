//! Chatterbox between formats: the files of a released checkpoint to the two GGUFs of chatterbox.cpp's layout, T3 (text
//! to speech tokens, voice encoder, half of the built-in voice) and S3Gen (the rest). [`crate::random`] brings tensors
//! of its own through the same code. docs/models/chatterbox.md lists the tensors and keys.

mod banks;
mod derive;
mod error;
mod folder;
mod s3gen;
mod speaker;
mod state;
mod t3;
mod tokenizer;
mod voice;

use std::path::{Path, PathBuf};

pub use error::ChatterboxError;
pub(crate) use folder::{is_chatterbox, read};
pub(crate) use state::{Part, State};
pub(crate) use t3::Variant;
pub(crate) use tokenizer::Tokenizer;

use crate::parakeet::Ignored;

/// A Chatterbox as two files to be written.
#[derive(Debug)]
pub(crate) struct Chatterbox {
    pub(crate) t3: Part,
    pub(crate) s3gen: Part,
    /// What it is, in words.
    pub(crate) model: String,
    pub(crate) ignored: Vec<Ignored>,
    pub(crate) warnings: Vec<String>,
}

/// Makes the two files of the tensors of a checkpoint's files.
#[allow(
    clippy::too_many_arguments,
    reason = "the files of a checkpoint, each of which is a thing of its own"
)]
pub(crate) fn assemble(
    variant: Variant,
    mut t3: State,
    mut s3gen: State,
    encoder: Option<State>,
    conditions: Option<State>,
    tokenizer: Tokenizer,
    name: Option<&str>,
    quantization: &str,
) -> Result<Chatterbox, ChatterboxError> {
    let [_, speaker] = t3.dims::<2>("cond_enc.spkr_enc.weight")?;
    let mut first = t3::convert(variant, &mut t3, tokenizer, name, quantization)?;
    let mut second = s3gen::convert(&mut s3gen, name, quantization)?;
    let mut ignored = Vec::new();
    let mut left = |state: &State, known: fn(&str) -> bool, why: &'static str| {
        for name in state.rest() {
            let why = if known(&name) { why } else { "not part of the model" };
            ignored.push(Ignored { name: format!("{}: {name}", state.file()), why });
        }
    };
    if let Some(mut conditions) = conditions {
        voice::built_in(&mut conditions, speaker, &mut first)?;
        s3gen::built_in(&mut conditions, &mut second)?;
        left(&conditions, |_| true, "of the built-in voice, chosen anew for each text");
    }
    if let Some(mut encoder) = encoder {
        voice::encoder(&mut encoder, &mut first)?;
        left(&encoder, voice::is_left_out, "of training");
    }
    left(&t3, t3::is_left_out, "not used to generate");
    left(&s3gen, s3gen::is_left_out, "computed, or of training");
    let parameters = |part: &Part| part.tensors.iter().map(|tensor| tensor.shape.numel()).sum::<usize>();
    let model = format!(
        "{}, {:.1} M parameters in T3 and {:.1} M in S3Gen",
        match variant {
            Variant::Multilingual => "Chatterbox multilingual",
            Variant::English => "Chatterbox, English",
            Variant::Turbo => "Chatterbox with GPT-2's layers",
        },
        parameters(&first) as f64 / 1e6,
        parameters(&second) as f64 / 1e6,
    );
    Ok(Chatterbox { t3: first, s3gen: second, model, ignored, warnings: Vec::new() })
}

/// The names of the two files: `NAME-t3.gguf` and `NAME-s3gen.gguf` for `NAME.gguf` or `NAME`.
pub(crate) fn outputs(output: &Path) -> Result<[PathBuf; 2], ChatterboxError> {
    let no_name = || ChatterboxError::Output { path: output.to_owned() };
    let name = output.file_name().ok_or_else(no_name)?.to_string_lossy().into_owned();
    let stem = name.strip_suffix(".gguf").unwrap_or(&name);
    Ok(["t3", "s3gen"].map(|part| output.with_file_name(format!("{stem}-{part}.gguf"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_two_files() {
        for (given, t3) in [("a/b.gguf", "a/b-t3.gguf"), ("b", "b-t3.gguf"), ("a/v1.5", "a/v1.5-t3.gguf")] {
            assert_eq!(outputs(Path::new(given)).unwrap()[0], Path::new(t3));
        }
        assert!(outputs(Path::new("..")).is_err());
    }
}
