//! Tiny models, requests, and running an engine to its end.

use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::Policy;
use mynah_gguf::{GgufFile, GgufWriter};
use mynah_models::language::LanguageModel;
use mynah_models::qwen35::{LoadOptions, Qwen35, StateLayout};
use mynah_plan::Options;
use mynah_runtime::{
    Choice, Choose, ChooseError, Engine, EngineOptions, Event, Finish, Greedy, Request, SequenceId,
};
use mynah_tensor::DType;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Every model there is: what holds for one kind must for all.
pub(crate) fn cases() -> Vec<String> {
    let folders = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap());
    let models = folders.filter(|entry| entry.path().join("model.gguf").exists());
    let names: Vec<String> = models.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert!(names.len() >= 3);
    names
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/qwen35")
}

/// Small pages, so that sequences cross from one to the next.
pub(crate) const PAGE: usize = 16;

pub(crate) fn file(case: &str) -> GgufFile {
    GgufFile::open(root().join(case).join("model.gguf")).unwrap()
}

/// A copy with its matrices in another type, where their rows allow it.
pub(crate) fn stored_as(case: &str, dtype: DType) -> GgufFile {
    let file = file(case);
    let tensors = file.tensors().iter().map(|t| {
        let tensor = file.host_tensor(t).unwrap();
        let stays = t.shape.rank() < 2 || t.name.ends_with("ssm_conv1d.weight") || t.shape.last() % 32 > 0;
        if stays { tensor } else { tensor.to_dtype(dtype).unwrap() }
    });
    let tensors: Vec<_> = tensors.collect();
    let mut writer = GgufWriter::new();
    for (key, value) in file.metadata().iter() {
        writer.set(key, value.clone());
    }
    for (info, t) in file.tensors().iter().zip(&tensors) {
        writer.tensor_bytes(&info.name, t.dtype(), t.shape().dims(), t.data()).unwrap();
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    GgufFile::from_bytes(bytes).unwrap()
}

pub(crate) fn load(file: GgufFile, policy: Policy) -> Box<dyn LanguageModel> {
    load_drafting(file, policy, 0)
}

/// One whose states let so many tokens be taken back.
pub(crate) fn load_drafting(file: GgufFile, policy: Policy, drafts: usize) -> Box<dyn LanguageModel> {
    let device = CpuDevice::new(CpuOptions { threads: Some(2), simd: None }).unwrap();
    let executor = Options { policy, ..Options::default() };
    let layout = StateLayout { page: PAGE, snapshots: 1 + drafts, ..StateLayout::default() };
    let options = LoadOptions { executor, layout, sequences: 0, pages: 0 };
    Box::new(Qwen35::load(Arc::new(file), Arc::new(device), None, options).unwrap())
}

pub(crate) fn engine(case: &str, options: EngineOptions) -> Engine {
    Engine::new(load(file(case), Policy::default()), options).unwrap()
}

/// Chooses by chance, from what it was shown: the sampler of the tests.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn roll(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }
}

impl Choose for Dice {
    fn begin(&mut self, prompt: &[u32]) {
        self.0 ^= prompt.len() as u64;
    }

    fn observe(&mut self, _: u32) -> Result<(), ChooseError> {
        self.roll();
        Ok(())
    }

    fn choose(&mut self, logits: &mut [f32]) -> Result<Choice, ChooseError> {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        logits.iter_mut().for_each(|x| *x = (*x - largest).exp());
        let mut left = self.roll() * logits.iter().sum::<f32>();
        let token = logits.iter().position(|x| {
            left -= x;
            left <= 0.0
        });
        Ok(Choice { token: token.unwrap_or(0) as u32, ..Choice::default() })
    }
}

/// The prompt of number `n`: some begin alike.
pub(crate) fn prompt(n: u32, length: usize) -> Vec<u32> {
    let common = length / 2 * usize::from(n.is_multiple_of(2));
    (0..length as u32)
        .map(|i| if (i as usize) < common { i * 7 % 80 } else { (i * (n + 3) + n * 11) % 80 })
        .collect()
}

pub(crate) fn request(prompt: Vec<u32>, max_tokens: usize, seed: Option<u64>) -> Request {
    let chooser: Box<dyn Choose> = match seed {
        Some(seed) => Box::new(Dice(seed)),
        None => Box::new(Greedy),
    };
    Request { prompt, max_tokens: Some(max_tokens), ends: vec![], chooser }
}

/// What came of each sequence.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) tokens: BTreeMap<SequenceId, Vec<u32>>,
    pub(crate) finished: BTreeMap<SequenceId, Finish>,
    /// Tokens of prompts that were found in checkpoints.
    pub(crate) reused: BTreeMap<SequenceId, usize>,
    /// Tokens that were drafted, and those that were right.
    pub(crate) drafts: BTreeMap<SequenceId, [usize; 2]>,
}

impl Told {
    pub(crate) fn hear(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Prompt { sequence, done, reused, of } => {
                    assert!(reused < done && done <= of);
                    self.reused.insert(sequence, reused);
                }
                Event::Token { sequence, choice } => {
                    self.tokens.entry(sequence).or_default().push(choice.token);
                }
                Event::Drafted { sequence, drafted, accepted } => {
                    assert!(0 < drafted && accepted <= drafted);
                    let all = self.drafts.entry(sequence).or_default();
                    *all = [all[0] + drafted, all[1] + accepted];
                }
                Event::Finished { sequence, reason } => {
                    assert!(self.finished.insert(sequence, reason).is_none());
                }
            }
        }
    }

    /// Steps until nothing is left to do.
    pub(crate) fn drain(&mut self, engine: &mut Engine) {
        for _ in 0..10_000 {
            if engine.is_idle() {
                return;
            }
            self.hear(engine.step());
        }
        panic!("the engine doesn't come to an end: {:?}", engine.usage());
    }
}

/// Runs one request alone.
pub(crate) fn alone(engine: &mut Engine, request: Request) -> Vec<u32> {
    let mut told = Told::default();
    let id = engine.submit(request).unwrap();
    told.drain(engine);
    assert!(!matches!(told.finished[&id], Finish::Failed(_)), "{:?}", told.finished[&id]);
    told.tokens.remove(&id).unwrap_or_default()
}
