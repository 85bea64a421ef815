//! Parakeet: runs one recording and keeps subsampling, encoder blocks, and the head's logits.
//!
//! A transducer's logits depend on the tokens before them, so they are taken along the path of the run beside.

use super::setting::Setting;
use super::subject::{LOGITS, Run, Step, Subject, widen};
use super::workbench::{Workbench, blame};
use anyhow::Context as _;
use mynah::{Head, Transcriber};
use mynah_device::Data;
use mynah_gguf::GgufFile;
use mynah_models::parakeet::{Encoded, Keep, Parakeet, TransducerConfig, joint_graph, predictor_graph};
use mynah_plan::PlanKey;

/// One recording.
pub(super) struct Listener {
    bench: Workbench,
    samples: Vec<f32>,
    head: Option<Head>,
}

impl Listener {
    /// A listener of samples.
    pub(super) fn new(bench: Workbench, samples: Vec<f32>, head: Option<Head>) -> Self {
        Self { bench, samples, head }
    }
}

impl Subject for Listener {
    fn run(&mut self, setting: &Setting, beside: Option<&Run>) -> anyhow::Result<Run> {
        let (devices, options) = self.bench.place(setting)?;
        let path = self.bench.model(setting);
        let file = self.bench.file(path.as_deref(), setting.dtype)?;
        let graphs = self.bench.file(path.as_deref(), setting.dtype)?;
        let ears = Transcriber::on(file, devices, &options);
        let mut ears = ears.with_context(|| blame(path.as_deref()))?;
        let model = ears.model();
        let head = model.head(self.head)?;
        let subsampled = model.subsample(&model.features(&self.samples))?;
        let encoded = model.encode_frames(std::slice::from_ref(&subsampled), &[head], Keep::Layers)?;
        let decoded = model.decode(&encoded, head)?.into_iter().flatten();
        let tokens: Vec<Step> = decoded.map(|t| Step { token: t.id, at: t.frame }).collect();
        let choices = model.config().blank() + 1;
        let mut stages = vec![("subsampled".to_owned(), widen(&subsampled))];
        stages.extend(trace(&encoded, head));
        let mut width = choices;
        if head != Head::Ctc {
            let transducer =
                model.config().transducer.clone().context("the head has no prediction network")?;
            let path = beside.map_or(&tokens, |run| &run.tokens);
            let logits = along(model, &graphs, &transducer, &encoded, path)?;
            width = choices + transducer.durations.len();
            stages.push((LOGITS.to_owned(), widen(&logits)));
        }
        Ok(Run { stages, tokens, led: false, width, choices })
    }

    fn bench(&mut self) -> &mut Workbench {
        &mut self.bench
    }

    fn row(&self) -> &'static str {
        "frame"
    }
}

/// The encoder's stages of one clip, padding left out.
fn trace(encoded: &Encoded, head: Head) -> Vec<(String, Vec<f64>)> {
    let valid = encoded.lengths.first().copied().unwrap_or(0);
    let cut = |all: &[f32]| widen(all.get(..valid * (all.len() / encoded.frames.max(1))).unwrap_or(&[]));
    let blocks = encoded.layers.iter().enumerate();
    let mut stages: Vec<_> = blocks.map(|(i, layer)| (format!("block {i}"), cut(layer))).collect();
    stages.push(("encoded".into(), cut(&encoded.encoded)));
    let (name, last) = match head {
        Head::Ctc => (LOGITS, &encoded.ctc),
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
        let before = path.iter().take_while(|step| (step.at as usize) < frame).count();
        predicted.extend_from_slice(&predictions[before]);
    }
    let key = PlanKey { graph: "joint", dims: [frames, 0, 0, 0] };
    let plan = executor.plan(key, || joint_graph(file, &config, t, frames).map_err(anyhow::Error::from))?;
    executor.run(plan, &[Data::F32(projected), Data::F32(&predicted)], &[], &[])?;
    Ok(executor.output(plan, "logits")?.to_vec())
}
