//! Weights by rule, files made of them, and references on disk.

use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::{Device, Policy};
use mynah_gguf::{GgufFile, GgufWriter, Value};
use mynah_models::chatterbox::noise::{NoiseStream, RecordedNoise};
use mynah_models::chatterbox::s3gen::{LoadOptions, S3Gen, S3Voice};
use mynah_plan::Options;
use mynah_tensor::{HostTensor, Shape};
use std::path::PathBuf;
use std::sync::Arc;

/// Both variants.
pub(crate) const CASES: [&str; 2] = ["mtl", "turbo"];

/// Tokens of the voice and of the request, and mel frames of the vocoder's reference.
pub(crate) const PROMPT: usize = 7;
pub(crate) const TOKENS: usize = 11;
pub(crate) const VOCODER_FRAMES: usize = 9;
pub(crate) const BINS: usize = 80;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/chatterbox/s3gen")
}

/// The rule of `oracles/chatterbox/s3gen_weights.py`: splitmix64 of FNV-1a of the name, and the index.
pub(crate) fn weights(name: &str, count: usize, scale: f32, offset: f32) -> Vec<f32> {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325, fnv);
    let number = |i: u64| {
        let z = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let unit = ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        unit * scale + offset
    };
    (0..count as u64).map(number).collect()
}

/// A tensor of a file.
pub(crate) type Tensor = (String, HostTensor);

/// What the manifest says is in a case's file.
pub(crate) fn tensors(case: &str) -> Vec<Tensor> {
    let manifest = std::fs::read_to_string(root().join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let row = |row: &serde_json::Value| {
        let name = row[0].as_str().unwrap();
        let dims: Vec<usize> =
            row[1].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
        let [scale, offset] = [&row[2], &row[3]].map(|x| x.as_f64().unwrap() as f32);
        let values = weights(name, dims.iter().product(), scale, offset);
        (name.to_owned(), HostTensor::from_f32(Shape::new(&dims).unwrap(), &values).unwrap())
    };
    let lists = [case, "hift"].map(|list| manifest[format!("{list}.tensors")].as_array().unwrap());
    lists.into_iter().flatten().map(row).collect()
}

/// Keys as the converter writes them.
pub(crate) fn keys(case: &str) -> Vec<(&'static str, Value)> {
    let turbo = case == "turbo";
    vec![
        ("general.architecture", Value::from("chatterbox-s3gen")),
        ("s3gen.variant", Value::from(if turbo { "turbo" } else { "mtl" })),
        ("s3gen.meanflow", Value::from(turbo)),
        ("s3gen.n_timesteps", Value::from(if turbo { 2_u32 } else { 10 })),
        ("s3gen.cfg_rate", Value::from(if turbo { 0.0_f32 } else { 0.7 })),
        ("s3gen.speech_vocab_size", Value::from(120_u32)),
        ("s3gen.input_size", Value::from(32_u32)),
        ("s3gen.encoder.n_blocks", Value::from(2_i32)),
        ("s3gen.encoder.attention_heads", Value::from(2_u32)),
        ("s3gen.layer_norm_eps", Value::from(1e-12_f32)),
    ]
}

/// The voice of the references, as a file brings it.
pub(crate) fn built_in(case: &str) -> Vec<Tensor> {
    let reference = reference(case);
    let tokens = reference.file.get_i32_array("ref.prompt_tokens").unwrap().unwrap();
    let mel = weights("input/prompt_mel", 2 * PROMPT * BINS, 2.0, 0.0);
    let embedding = weights("input/embedding", 192, 1.0, 0.0);
    vec![
        ("s3gen/builtin/prompt_token".to_owned(), HostTensor::from_i32([PROMPT], &tokens).unwrap()),
        ("s3gen/builtin/prompt_feat".to_owned(), HostTensor::from_f32([2 * PROMPT, BINS], &mel).unwrap()),
        ("s3gen/builtin/embedding".to_owned(), HostTensor::from_f32([192], &embedding).unwrap()),
    ]
}

/// A file of keys and tensors.
pub(crate) fn written(keys: &[(&'static str, Value)], tensors: &[Tensor]) -> Arc<GgufFile> {
    let mut writer = GgufWriter::new();
    for (key, value) in keys {
        writer.set(*key, value.clone());
    }
    for (name, t) in tensors {
        writer.tensor_bytes(name, t.dtype(), t.shape().dims(), t.data()).unwrap();
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    Arc::new(GgufFile::from_bytes(bytes).unwrap())
}

/// A case's file.
pub(crate) fn file(case: &str) -> Arc<GgufFile> {
    written(&keys(case), &[tensors(case), built_in(case)].concat())
}

pub(crate) fn cpu(threads: usize) -> Arc<dyn Device> {
    Arc::new(CpuDevice::new(CpuOptions { threads: Some(threads), simd: None }).unwrap())
}

pub(crate) fn model_on(file: Arc<GgufFile>, device: Arc<dyn Device>, policy: Policy) -> S3Gen {
    let executor = Options { policy, strict: true, ..Options::default() };
    S3Gen::load(file, device, None, LoadOptions { executor, host_threads: 2 }).unwrap()
}

/// A case's model, computing exactly.
pub(crate) fn model(case: &str) -> S3Gen {
    model_on(file(case), cpu(2), Policy::exact())
}

/// The voice of the references.
pub(crate) fn voice(model: &S3Gen) -> S3Voice {
    model.built_in_voice().unwrap()
}

/// The noise of the references, enough for `frames` frames after the voice's.
pub(crate) fn noise() -> RecordedNoise {
    RecordedNoise::default()
        .with(NoiseStream::Mel, weights("input/noise", 2 * (PROMPT + TOKENS) * BINS, 2.0, 0.0))
        .with(NoiseStream::MelTarget, weights("input/noise_target", 2 * TOKENS * BINS, 2.0, 0.0))
        .with(NoiseStream::SourcePhase, weights("input/source_phase", 9, 0.5, 0.5))
        .with(NoiseStream::SourceNoise, weights("input/source_noise", 2 * TOKENS * 480 * 9, 2.0, 0.0))
}

/// What chatterbox-tts computed.
pub(crate) struct Reference {
    file: GgufFile,
}

impl Reference {
    pub(crate) fn array(&self, name: &str) -> Vec<f32> {
        let tensor = self.file.tensor(name).unwrap_or_else(|| panic!("no '{name}'"));
        self.file.host_tensor(tensor).unwrap().to_f32()
    }

    /// The tokens of the request.
    pub(crate) fn tokens(&self) -> Vec<u32> {
        self.file.get_u32_array("ref.tokens").unwrap().unwrap()
    }
}

pub(crate) fn reference(case: &str) -> Reference {
    Reference { file: GgufFile::open(root().join(format!("{case}.gguf"))).unwrap() }
}

/// Length of the difference over that of what is wanted.
pub(crate) fn relative(found: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().all(|x| x.is_finite()));
    let energy = |x: f64| x * x;
    let error: f64 = found.iter().zip(wanted).map(|(f, w)| energy(f64::from(*f) - f64::from(*w))).sum();
    (error / wanted.iter().map(|&w| energy(f64::from(w))).sum::<f64>()).sqrt()
}

/// Cosine of the angle between two signals.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
