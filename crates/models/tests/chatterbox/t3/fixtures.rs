//! Cases and references on disk, and a model on the CPU.

use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::Policy;
use mynah_gguf::{GgufFile, GgufWriter, Value};
use mynah_models::chatterbox::t3::{LoadOptions, Speech, T3, T3Options, T3Voice};
use mynah_plan::Options;
use mynah_tensor::{DType, HostTensor, Shape, encode_row};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

/// Every case of the manifest.
pub(crate) const CASES: [&str; 5] = ["mtl", "english", "turbo", "nano", "aligned"];
/// Those with a Llama.
pub(crate) const LLAMAS: [&str; 2] = ["mtl", "english"];
/// Those with a GPT-2.
pub(crate) const GPTS: [&str; 2] = ["turbo", "nano"];
/// Small pages, so that sequences cross from one to the next.
pub(crate) const PAGE: usize = 16;

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/chatterbox/t3")
}

pub(crate) fn file(case: &str) -> Arc<GgufFile> {
    Arc::new(GgufFile::open(root().join(case).join("model.gguf")).unwrap())
}

pub(crate) fn model(case: &str) -> T3 {
    model_of(file(case), Policy::exact(), 2)
}

pub(crate) fn model_of(file: Arc<GgufFile>, policy: Policy, threads: usize) -> T3 {
    let device = CpuDevice::new(CpuOptions { threads: Some(threads), simd: None }).unwrap();
    let executor = Options { policy, strict: true, ..Options::default() };
    T3::load(file, Arc::new(device), None, LoadOptions { executor, page: PAGE }).unwrap()
}

/// What Python made of a case.
pub(crate) struct Reference {
    file: GgufFile,
    pub(crate) text: Vec<u32>,
}

impl Reference {
    pub(crate) fn of(case: &str) -> Self {
        let file = GgufFile::open(root().join(case).join("reference.gguf")).unwrap();
        let text = file.get_u32_array("ref.text").unwrap().unwrap();
        Self { file, text }
    }

    /// Elements of an array.
    pub(crate) fn array(&self, name: &str) -> Vec<f32> {
        self.file.host_tensor(self.file.tensor(name).unwrap()).unwrap().to_f32()
    }

    /// What a run drew, the token that ended it among it where there was one.
    pub(crate) fn tokens(&self, run: &str) -> Vec<i32> {
        self.file.get_i32_array(&format!("{run}.tokens")).unwrap().unwrap()
    }

    /// The random numbers that a run was given.
    pub(crate) fn uniforms(&self, run: &str) -> Vec<f64> {
        let key = format!("{run}.uniforms");
        let numbers = self.file.get_f32_array(&key).unwrap().unwrap();
        numbers.into_iter().map(f64::from).collect()
    }
}

pub(crate) fn voice(case: &str) -> T3Voice {
    T3Voice::builtin(&file(case)).unwrap().unwrap()
}

/// Says the text of a case; `uniforms` may be empty at temperature 0.
pub(crate) fn say(model: &mut T3, case: &str, options: T3Options, uniforms: &[f64]) -> Speech {
    say_excited(model, case, options, uniforms, 0.5)
}

pub(crate) fn say_excited(
    model: &mut T3,
    case: &str,
    options: T3Options,
    uniforms: &[f64],
    exaggeration: f32,
) -> Speech {
    let conditioning = model.condition(&T3Voice { exaggeration, ..voice(case) }).unwrap();
    let mut numbers = uniforms.iter();
    let (mut heard, text) = (Vec::new(), Reference::of(case).text);
    let mut draws = || *numbers.next().unwrap();
    let mut on_token = |token| {
        heard.push(token);
        ControlFlow::Continue(())
    };
    let speech = model.generate(&conditioning, &text, options, &mut draws, &mut on_token).unwrap();
    let began_again = speech.drawn.contains(&model.config().start_speech);
    assert!(heard == speech.tokens || began_again, "what was given token by token is something else");
    assert_eq!(model.pages_in_use(), 0);
    speech
}

/// A copy of a model with some keys and tensors left out, others set, and tensors of these types.
pub(crate) fn altered(
    case: &str,
    without: &[&str],
    set: &[(&str, Value)],
    dtype: impl Fn(&str) -> Option<DType>,
) -> Arc<GgufFile> {
    let file = file(case);
    let kept = file.tensors().iter().filter(|t| !without.contains(&t.name.as_str()));
    let tensors: Vec<(&str, HostTensor)> = kept
        .map(|t| {
            let tensor = file.host_tensor(t).unwrap();
            let other = dtype(&t.name).map(|dtype| encoded(dtype, t.shape, &tensor.to_f32()));
            (t.name.as_str(), other.unwrap_or(tensor))
        })
        .collect();
    let mut writer = GgufWriter::new();
    for (key, value) in file.metadata().iter() {
        if !without.contains(&key) && !set.iter().any(|(s, _)| *s == key) {
            writer.set(key, value.clone());
        }
    }
    for (key, value) in set {
        writer.set(*key, value.clone());
    }
    for (name, tensor) in &tensors {
        writer.tensor_bytes(*name, tensor.dtype(), tensor.shape().dims(), tensor.data()).unwrap();
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    Arc::new(GgufFile::from_bytes(bytes).unwrap())
}

fn encoded(dtype: DType, shape: Shape, values: &[f32]) -> HostTensor {
    let mut data = Vec::new();
    for row in values.chunks(shape.last()) {
        let mut bytes = vec![0; dtype.row_bytes(shape.last()).unwrap()];
        encode_row(dtype, row, &mut bytes).unwrap();
        data.extend(bytes);
    }
    HostTensor::new(dtype, shape, data).unwrap()
}

/// The largest error relative to the largest of what is wanted.
pub(crate) fn relative(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let most = wanted.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    found.iter().zip(wanted).fold(0.0f32, |m, (f, w)| m.max((f - w).abs())) / most
}
