//! Runs one recording under a setting and keeps every stage: subsampling, encoder blocks, and the head's logits.
//!
//! A transducer's logits depend on the tokens before them, so two settings that part once would never be comparable
//! again. Therefore both are asked for the logits along one path, that of the reference's tokens.

use super::setting::Setting;
use crate::hints::Advised;
use anyhow::Context as _;
use mynah::{DeviceChoice, Devices, Head, Options, Precision, Transcriber};
use mynah_convert::Options as ConvertOptions;
use mynah_device::Data;
use mynah_gguf::GgufFile;
use mynah_models::parakeet::{Encoded, Keep, Parakeet, TransducerConfig, joint_graph, predictor_graph};
use mynah_plan::PlanKey;
use mynah_tensor::DType;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A token of the path and the frame it was emitted at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) token: u32,
    pub(super) frame: u32,
}

/// What a setting computed.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// Name and elements of each stage, padding left out; the logits are the last.
    pub(super) stages: Vec<(String, Vec<f64>)>,
    /// What it would have written.
    pub(super) tokens: Vec<Step>,
    /// Length of a row of logits, and how many of its first elements stand for tokens and the blank.
    pub(super) width: usize,
    pub(super) choices: usize,
}

impl Heard {
    /// The ids of the tokens.
    pub(super) fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|step| step.token).collect()
    }

    /// The elements of the last stage.
    pub(super) fn logits(&self) -> &[f64] {
        self.stages.last().map_or(&[], |(_, values)| values.as_slice())
    }
}

/// One recording, one model, and the devices that were opened for it.
pub(super) struct Listener {
    model: Option<PathBuf>,
    samples: Vec<f32>,
    head: Option<Head>,
    attention: Option<Option<[usize; 2]>>,
    threads: Option<usize>,
    strict: bool,
    devices: BTreeMap<String, Devices>,
    /// Quantised copies of the model, by type.
    quantised: BTreeMap<&'static str, tempfile::NamedTempFile>,
}

impl Listener {
    /// A listener of `samples`, without a model file with the model inside the binary.
    pub(super) fn new(
        model: Option<PathBuf>,
        samples: Vec<f32>,
        options: &Options,
        head: Option<Head>,
    ) -> Self {
        Self {
            model,
            samples,
            head,
            attention: options.attention,
            threads: options.threads,
            strict: options.strict,
            devices: BTreeMap::new(),
            quantised: BTreeMap::new(),
        }
    }

    /// Puts a device under a name, in place of the one that the name opens.
    #[cfg(all(test, feature = "builtin-model"))]
    pub(super) fn install(&mut self, choice: DeviceChoice, devices: Devices) {
        self.devices.insert(choice.to_string(), devices);
    }

    /// The device of a name, opened once.
    ///
    /// # Errors
    /// When it can't be opened.
    pub(super) fn devices(&mut self, choice: DeviceChoice) -> anyhow::Result<Devices> {
        let name = choice.to_string();
        if let Some(devices) = self.devices.get(&name) {
            return Ok(devices.clone());
        }
        let devices = mynah::open_devices(choice, self.threads)?;
        self.devices.insert(name, devices.clone());
        Ok(devices)
    }

    /// Hears the recording under a setting, with the logits along `path`, or along its own tokens.
    ///
    /// # Errors
    /// A model that can't be used, a device that can't be opened, what running reports.
    pub(super) fn hear(&mut self, setting: &Setting, path: Option<&[Step]>) -> anyhow::Result<Heard> {
        let choice: DeviceChoice = setting.device.parse().map_err(crate::exit::Usage::plain)?;
        let devices = self.devices(choice)?;
        let file = self.file(setting.dtype)?;
        let graphs = self.file(setting.dtype)?;
        let options = Options {
            precision: Precision::Exact,
            routes: setting.switches(),
            strict: self.strict,
            attention: self.attention,
            ..Options::default()
        };
        let mut ears = Transcriber::on(file, devices, &options).with_context(|| self.blame())?;
        let model = ears.model();
        let head = model.head(self.head)?;
        let subsampled = model.subsample(&model.features(&self.samples))?;
        let encoded = model.encode_frames(std::slice::from_ref(&subsampled), &[head], Keep::Layers)?;
        let decoded = model.decode(&encoded, head)?.into_iter().flatten();
        let tokens: Vec<Step> = decoded.map(|t| Step { token: t.id, frame: t.frame }).collect();
        let choices = model.config().blank() + 1;
        let mut stages = vec![("subsampled".to_owned(), widen(&subsampled))];
        stages.extend(trace(&encoded, head));
        let mut width = choices;
        if head != Head::Ctc {
            let transducer =
                model.config().transducer.clone().context("the head has no prediction network")?;
            let logits = along(model, &graphs, &transducer, &encoded, path.unwrap_or(&tokens))?;
            width = choices + transducer.durations.len();
            stages.push(("logits".to_owned(), widen(&logits)));
        }
        Ok(Heard { stages, tokens, width, choices })
    }

    fn blame(&self) -> String {
        match &self.model {
            Some(path) => format!("can't use the model {}", path.display()),
            None => "can't use the built-in model".into(),
        }
    }

    /// The model's file, quantised if a type is asked for.
    fn file(&mut self, dtype: Option<&'static str>) -> anyhow::Result<GgufFile> {
        let Some(name) = dtype else { return crate::ears::file(self.model.as_deref()) };
        if !self.quantised.contains_key(name) {
            let made = self.quantise(name).with_context(|| format!("can't make {name} of the model"))?;
            self.quantised.insert(name, made);
        }
        let path = self.quantised.get(name).map(tempfile::NamedTempFile::path);
        crate::ears::file(path)
    }

    fn quantise(&self, name: &str) -> anyhow::Result<tempfile::NamedTempFile> {
        let dtype: DType = name.parse().map_err(|_| anyhow::anyhow!("there is no type {name}"))?;
        let output = tempfile::Builder::new().prefix("mynah-drift-").suffix(".gguf").tempfile()?;
        let options = ConvertOptions { threads: self.threads, ..ConvertOptions::to(dtype) };
        let make = |input: &Path| mynah_convert::quantize(input, output.path(), &options, &|_| {});
        match &self.model {
            Some(path) => make(path)?,
            None => {
                let bytes = mynah::builtin_bytes().ok_or_else(|| {
                    Advised::new("there is no model inside this binary", "name a GGUF file with -m")
                })?;
                let input = tempfile::Builder::new().prefix("mynah-drift-").suffix(".gguf").tempfile()?;
                std::fs::write(input.path(), bytes)?;
                make(input.path())?
            }
        };
        Ok(output)
    }
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

/// The encoder's stages of one clip, padding left out.
fn trace(encoded: &Encoded, head: Head) -> Vec<(String, Vec<f64>)> {
    let valid = encoded.lengths.first().copied().unwrap_or(0);
    let cut = |all: &[f32]| widen(all.get(..valid * (all.len() / encoded.frames.max(1))).unwrap_or(&[]));
    let blocks = encoded.layers.iter().enumerate();
    let mut stages: Vec<_> = blocks.map(|(i, layer)| (format!("block {i}"), cut(layer))).collect();
    stages.push(("encoded".into(), cut(&encoded.encoded)));
    let (name, last) = match head {
        Head::Ctc => ("logits", &encoded.ctc),
        Head::Rnnt | Head::Tdt => ("projected", &encoded.projected),
    };
    stages.extend(last.as_ref().map(|values| (name.to_owned(), cut(values))));
    stages
}

/// The joint's logits of every frame, `[frames, V + 1 + D]`, given the tokens of `path` before it.
fn along(
    model: &mut Parakeet,
    file: &GgufFile,
    t: &TransducerConfig,
    encoded: &Encoded,
    path: &[Step],
) -> anyhow::Result<Vec<f32>> {
    let frames = encoded.lengths.first().copied().unwrap_or(0);
    let projected = encoded.projected.as_deref().unwrap_or(&[]);
    let projected = projected.get(..frames * t.joint).context("the encoder gave too few frames")?;
    if frames == 0 {
        return Ok(Vec::new());
    }
    let config = model.config().clone();
    let (blank, executor) = (config.blank() as u32, model.executor());
    let graph = predictor_graph(file, &config, t, 1)?;
    let mut states = Vec::new();
    for decl in graph.states() {
        states.push(executor.create_state(decl, 1)?);
    }
    let plan = executor
        .plan(PlanKey { graph: "predictor", dims: [1, 0, 0, 0] }, || Ok::<_, anyhow::Error>(graph))?;
    // The start of a sentence is the blank.
    let tokens = std::iter::once(blank).chain(path.iter().map(|step| step.token));
    let mut predictions = Vec::with_capacity(path.len() + 1);
    for token in tokens {
        executor.run(plan, &[Data::I32(&[token.cast_signed()]), Data::I32(&[0])], &[], &states)?;
        predictions.push(executor.output(plan, "predicted")?.to_vec());
    }
    states.into_iter().for_each(|state| executor.drop_state(state));
    let mut predicted = Vec::with_capacity(projected.len());
    for frame in 0..frames {
        let before = path.iter().take_while(|step| (step.frame as usize) < frame).count();
        predicted.extend_from_slice(&predictions[before]);
    }
    let key = PlanKey { graph: "joint", dims: [frames, 0, 0, 0] };
    let plan = executor.plan(key, || joint_graph(file, &config, t, frames).map_err(anyhow::Error::from))?;
    executor.run(plan, &[Data::F32(projected), Data::F32(&predicted)], &[], &[])?;
    Ok(executor.output(plan, "logits")?.to_vec())
}
