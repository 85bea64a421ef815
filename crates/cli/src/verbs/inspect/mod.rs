//! `mynah inspect`: what is in a GGUF file, which family it is, and the memory it will need.

mod language;
mod speech;
mod watermark;

use crate::exit::Exit;
use crate::{ears, out, units};
use clap::Args;
use language::Language;
use mynah::DeviceChoice;
use mynah_gguf::GgufFile;
use mynah_gguf::inspect::Inspection;
use mynah_models::ModelError;
use mynah_models::parakeet::{MemoryEstimate, ParakeetConfig, estimate};
use serde_json::{Value, json};
use speech::Speech;
use std::fmt::Write as _;
use std::path::PathBuf;
use watermark::Watermark;

/// Flags of `mynah inspect`.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// A GGUF file; without it the model inside the binary
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lengths of pieces that memory is told for: what the field quotes, the default piece, a long one.
const SECONDS: [f64; 3] = [11.0, 60.0, 300.0];

/// What Mynah makes of a file.
enum Family {
    Parakeet {
        config: Box<ParakeetConfig>,
        memory: Vec<(f64, MemoryEstimate)>,
    },
    Language(Box<Language>),
    Speech(Speech),
    Watermark(Watermark),
    /// Not a model that runs here, and why.
    Other(String),
}

impl Inspect {
    /// Runs the verb.
    ///
    /// # Errors
    /// A file that can't be read. A sound file of a foreign family is no error.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let file = ears::file(self.file.as_deref())?;
        let inspection = Inspection::new(&file);
        let family = family(&file)?;
        if self.json {
            let mut value = serde_json::to_value(&inspection)?;
            value["model"] = json_of(&family);
            out::write_json(&value)?;
        } else {
            out::write(&format!("{}\n{inspection}", text_of(&family)))?;
        }
        Ok(Exit::Success)
    }
}

fn family(file: &GgufFile) -> anyhow::Result<Family> {
    // Memory does not depend on threads.
    let cpu = mynah::open_device(DeviceChoice::Cpu, Some(1))?;
    let device = cpu.as_ref();
    let found = || -> Result<Family, ModelError> {
        let config = Box::new(ParakeetConfig::read(file)?);
        let memory: Result<_, ModelError> =
            SECONDS.iter().map(|&s| Ok((s, estimate(file, &config, device, s)?))).collect();
        Ok(Family::Parakeet { memory: memory?, config })
    };
    let read = || match found() {
        Err(ModelError::Family { .. }) => match Language::read(file, device) {
            Err(ModelError::Family { found, wanted }) => match Speech::read(file, device) {
                Err(ModelError::Family { wanted: speech, .. }) => match Watermark::read(file, device) {
                    Err(ModelError::Family { wanted: mark, .. }) => Ok(Family::Other(format!(
                        "this is a '{found}' model, not one of: parakeet, {wanted}, {speech}, {mark}"
                    ))),
                    other => Ok(Family::Watermark(other?)),
                },
                other => Ok(Family::Speech(other?)),
            },
            other => Ok(Family::Language(Box::new(other?))),
        },
        other => other,
    };
    Ok(read().unwrap_or_else(|reason: ModelError| Family::Other(reason.to_string())))
}

fn heads(config: &ParakeetConfig) -> Vec<&'static str> {
    config.heads_available().iter().map(|head| head.name()).collect()
}

fn text_of(family: &Family) -> String {
    let (config, memory) = match family {
        Family::Other(reason) => return format!("family        none that runs here: {reason}\n"),
        Family::Language(model) => return model.text(),
        Family::Speech(model) => return model.text(),
        Family::Watermark(model) => return model.text(),
        Family::Parakeet { config, memory } => (config, memory),
    };
    let mut text = String::from("family        Parakeet, speech to text\n");
    // Writing to a String can't fail.
    let _ = writeln!(text, "heads         {}", heads(config).join(", "));
    let _ = writeln!(
        text,
        "encoder       {} layers of {}, {} heads, {} mel bands, {} pieces",
        config.layers, config.d_model, config.heads, config.mel.n_mels, config.vocabulary
    );
    let attention = match config.window {
        None => "full".to_owned(),
        Some([left, right]) => format!("local, {left} frames back and {right} ahead"),
    };
    let _ = writeln!(text, "attention     {attention}");
    for (seconds, need) in memory {
        let total = units::bytes(need.total());
        let [weights, arena, audio] = [need.weights, need.arena, need.audio].map(units::bytes);
        let parts = format!("(weights {weights}, activations {arena}, audio {audio})");
        let _ = writeln!(text, "memory        {total} for pieces of {seconds} s {parts}");
    }
    text
}

fn json_of(family: &Family) -> Value {
    match family {
        Family::Other(reason) => json!({ "family": null, "reason": reason }),
        Family::Language(model) => model.json(),
        Family::Speech(model) => model.json(),
        Family::Watermark(model) => model.json(),
        Family::Parakeet { config, memory } => {
            let need = |(seconds, need): &(f64, MemoryEstimate)| {
                json!({
                    "seconds": seconds,
                    "weights": need.weights,
                    "activations": need.arena,
                    "audio": need.audio,
                    "total": need.total(),
                })
            };
            json!({
                "family": "parakeet",
                "task": "transcribe",
                "heads": heads(config),
                "layers": config.layers,
                "d_model": config.d_model,
                "attention_heads": config.heads,
                "mel_bands": config.mel.n_mels,
                "pieces": config.vocabulary,
                "attention_window": config.window,
                "memory": memory.iter().map(need).collect::<Vec<_>>(),
            })
        }
    }
}
