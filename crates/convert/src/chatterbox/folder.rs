//! The folder of a Chatterbox checkpoint: which of its files make which model. A folder may hold several T3s; the name
//! of one of them, given in place of the folder, chooses.

use std::path::{Path, PathBuf};

use super::error::ChatterboxError;
use super::state::State;
use super::t3::Variant;
use super::tokenizer::{self, Tokenizer};
use super::{Chatterbox, assemble};
use crate::bytes::Bytes;
use crate::hf::weights;
use crate::torch;

/// T3 files by name, the one that is taken first in front.
const T3: [(&str, Variant); 5] = [
    ("t3_mtl23ls_v2.safetensors", Variant::Multilingual),
    ("t3_mtl23ls_v3.safetensors", Variant::Multilingual),
    ("t3_cfg.safetensors", Variant::English),
    ("t3_turbo_v1.safetensors", Variant::Turbo),
    ("t3_nano_v1.safetensors", Variant::Turbo),
];
const MULTILINGUAL_JSON: &str = "grapheme_mtl_merged_expanded_v1.json";
const ENGLISH_JSON: &str = "tokenizer.json";
const VOICE_ENCODER: [&str; 2] = ["ve.safetensors", "ve.pt"];
const S3GEN: [&str; 2] = ["s3gen.safetensors", "s3gen.pt"];
const S3GEN_MEANFLOW: [&str; 2] = ["s3gen_meanflow.safetensors", "s3gen_meanflow.pt"];
const CONDITIONS: [&str; 1] = ["conds.pt"];

/// Whether a path is a T3 file or a folder with one.
pub(crate) fn is_chatterbox(path: &Path) -> bool {
    if path.is_dir() {
        return T3.iter().any(|(file, _)| path.join(file).exists());
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.starts_with("t3_") && name.ends_with(".safetensors")
}

/// Reads a folder, or the folder of a T3 file with this T3.
///
/// # Errors
/// [`ChatterboxError`] for a file or tensor that is missing, broken or of another shape than the others imply.
pub(crate) fn read(
    path: &Path,
    name: Option<&str>,
    quantization: &str,
) -> Result<Chatterbox, ChatterboxError> {
    let mut warnings = Vec::new();
    let (folder, file) = choose(path, &mut warnings)?;
    let t3 = open(&folder, &file)?;
    let known = T3.iter().find(|(known, _)| *known == file).map(|&(_, variant)| variant);
    let variant = match (t3.has("tfmr.layers.0.input_layernorm.weight"), t3.has("tfmr.h.0.ln_1.weight")) {
        (true, _) if known == Some(Variant::English) => Variant::English,
        // Packs of single languages have the multilingual vocabulary.
        (true, _) => Variant::Multilingual,
        (_, true) => Variant::Turbo,
        _ => return Err(ChatterboxError::Backbone { file }),
    };
    let tokenizer: Tokenizer = match variant {
        Variant::Multilingual => tokenizer::grapheme(&folder, MULTILINGUAL_JSON)?,
        Variant::English => tokenizer::grapheme(&folder, ENGLISH_JSON)?,
        Variant::Turbo => tokenizer::gpt2(&folder)?,
    };
    if matches!(&tokenizer, Tokenizer::Grapheme { cangjie: None, .. }) && variant == Variant::Multilingual {
        warnings.push(format!("no {} in the folder: the model will not speak Chinese", tokenizer::CANGJIE));
    }
    let flow = if variant == Variant::Turbo { &S3GEN_MEANFLOW } else { &S3GEN };
    let s3gen =
        optional(&folder, flow)?.ok_or_else(|| ChatterboxError::NoFile { names: flow.join(" or ") })?;
    let encoder = optional(&folder, &VOICE_ENCODER)?;
    if encoder.is_none() {
        let names = VOICE_ENCODER.join(" or ");
        warnings.push(format!("no {names} in the folder: the model will not take voices from recordings"));
    }
    let conditions = optional(&folder, &CONDITIONS)?;
    if conditions.is_none() {
        warnings.push("no conds.pt in the folder: the model will have no voice of its own".to_owned());
    }
    let mut model = assemble(variant, t3, s3gen, encoder, conditions, tokenizer, name, quantization)?;
    warnings.append(&mut model.warnings);
    Ok(Chatterbox { warnings, ..model })
}

/// The folder and the T3 in it.
fn choose(path: &Path, warnings: &mut Vec<String>) -> Result<(PathBuf, String), ChatterboxError> {
    if !path.is_dir() {
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        return Ok((folder.unwrap_or(Path::new(".")).to_owned(), file));
    }
    let found: Vec<&str> = T3.iter().map(|&(file, _)| file).filter(|file| path.join(file).exists()).collect();
    let Some((first, others)) = found.split_first() else {
        let names = T3.map(|(file, _)| file).join(", ");
        return Err(ChatterboxError::NoFile { names });
    };
    if !others.is_empty() {
        warnings.push(format!(
            "the folder has several T3s; {first} was taken, and {} can be had by its name in place of the folder",
            others.join(" or ")
        ));
    }
    Ok((path.to_owned(), (*first).to_owned()))
}

/// The first of the files that is there.
fn optional(folder: &Path, names: &[&str]) -> Result<Option<State>, ChatterboxError> {
    names.iter().find(|name| folder.join(name).exists()).map(|name| open(folder, name)).transpose()
}

/// Reads a file of tensors by its ending.
fn open(folder: &Path, file: &str) -> Result<State, ChatterboxError> {
    if file.ends_with(".safetensors") {
        return State::new(file, weights::read_file(folder, file)?);
    }
    let bytes = Bytes::open(&folder.join(file))
        .map_err(|source| ChatterboxError::Io { file: file.to_owned(), source })?;
    let tensors = torch::read_nested(&bytes)
        .map_err(|source| ChatterboxError::Torch { file: file.to_owned(), source })?;
    State::new(file, tensors)
}
