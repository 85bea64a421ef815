//! What `mynah inspect` says of a watermark's file.

use crate::units;
use mynah::Device;
use mynah_gguf::GgufFile;
use mynah_models::ModelError;
use mynah_models::perth::{MemoryEstimate, PerthConfig, estimate};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Seconds of audio that memory is told for.
const SECONDS: [f64; 3] = [10.0, 60.0, 600.0];

/// A watermarker and its detector.
pub(super) struct Watermark {
    config: PerthConfig,
    memory: Vec<(f64, MemoryEstimate)>,
}

impl Watermark {
    /// Reads the configuration and plans the graphs.
    ///
    /// # Errors
    /// [`ModelError::Family`] for another family; else what is wrong with the file.
    pub(super) fn read(file: &GgufFile, device: &dyn Device) -> Result<Self, ModelError> {
        let config = PerthConfig::read(file)?;
        let memory = SECONDS.iter().map(|&s| Ok((s, estimate(file, &config, device, s)?)));
        Ok(Self { config, memory: memory.collect::<Result<_, ModelError>>()? })
    }

    pub(super) fn text(&self) -> String {
        let c = &self.config;
        let mut text = String::from("family        PerTh, a watermark on recordings and its detector\n");
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "spectra       {} samples at {} Hz, a step of {}; the lowest {} of {} bins carry the mark",
            c.n_fft,
            c.sample_rate,
            c.hop,
            c.subband,
            c.n_fft / 2 + 1
        );
        let _ = writeln!(
            text,
            "networks      four of {} convolutions, {} channels, {} taps",
            c.layers, c.hidden, c.kernel
        );
        for (seconds, need) in &self.memory {
            let [total, weights, arenas, audio] =
                [need.total(), need.weights, need.arenas, need.audio].map(units::bytes);
            let parts = format!("(weights {weights}, activations {arenas}, audio {audio})");
            let _ = writeln!(text, "memory        {total} for {seconds} s of audio {parts}");
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let c = &self.config;
        let need = |(seconds, need): &(f64, MemoryEstimate)| {
            json!({
                "seconds": seconds,
                "weights": need.weights,
                "activations": need.arenas,
                "audio": need.audio,
                "total": need.total(),
            })
        };
        json!({
            "family": "perth",
            "task": "watermark",
            "sample_rate": c.sample_rate,
            "n_fft": c.n_fft,
            "hop": c.hop,
            "window": c.window,
            "subband": c.subband,
            "hidden": c.hidden,
            "layers": c.layers,
            "kernel": c.kernel,
            "memory": self.memory.iter().map(need).collect::<Vec<_>>(),
        })
    }
}
