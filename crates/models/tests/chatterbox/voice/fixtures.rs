//! Recordings, references, and files of weights that are computed (see `oracles/chatterbox/voice_weights.py`).

use mynah_audio::AudioStream;
use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::Policy;
use mynah_gguf::{GgufFile, GgufWriter};
use mynah_models::ModelError;
use mynah_models::chatterbox::voice::VoiceMaker;
use mynah_plan::Options;
use mynah_tensor::DType;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/chatterbox/voice")
}

/// A clip of `assets/samples` at its 16 kHz.
pub(crate) fn clip(name: &str) -> Vec<f32> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../assets/samples/{name}.wav"));
    AudioStream::open(path).unwrap().read_all().unwrap()
}

/// What the oracle computed.
pub(crate) struct Reference(GgufFile);

impl Reference {
    pub(crate) fn open(name: &str) -> Self {
        Self(GgufFile::open(root().join(format!("{name}.ref.gguf"))).unwrap())
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f32> {
        self.0.host_tensor(self.0.tensor(name).unwrap()).unwrap().to_f32()
    }

    pub(crate) fn integers(&self, name: &str) -> Vec<i32> {
        let data = self.0.data(self.0.tensor(name).unwrap()).unwrap();
        data.chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    /// A list of numbers among the keys.
    pub(crate) fn numbers(&self, name: &str) -> Vec<f32> {
        let key = format!("ref.{name}");
        if let Ok(Some(list)) = self.0.get_i32_array(&key) {
            return list.iter().map(|&n| n as f32).collect();
        }
        self.0.get_f32_array(&key).unwrap().unwrap()
    }
}

/// The elements of a tensor that no file holds.
pub(crate) fn hashed(name: &str, count: usize, scale: f64, offset: f64) -> Vec<f32> {
    let fnv = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    let element = |i: u64| {
        let z = seed.wrapping_add((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit = ((z ^ z >> 31) >> 40) as f64 / f64::from(1 << 23) - 1.0;
        (offset + scale * unit) as f32
    };
    (0..count as u64).map(element).collect()
}

/// A file with the keys and tensors of some lists, of which `kind` says how each tensor is stored.
pub(crate) fn file_of(
    architecture: &str,
    lists: &[&str],
    kind: impl Fn(&str, &[usize]) -> DType,
    also: impl FnOnce(&mut GgufWriter<'static>),
) -> GgufFile {
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", architecture);
    for list in lists {
        let text = std::fs::read_to_string(root().join(format!("{list}.tensors"))).unwrap();
        for line in text.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            match fields[..] {
                ["key", name, "u32", value] => {
                    writer.set(name, value.parse::<u32>().unwrap());
                }
                ["key", name, "f32", value] => {
                    writer.set(name, value.parse::<f32>().unwrap());
                }
                ["tensor", name, dims, scale, offset] => {
                    let dims: Vec<usize> = dims.split(',').map(|d| d.parse().unwrap()).collect();
                    let count = dims.iter().product();
                    let values = hashed(name, count, scale.parse().unwrap(), offset.parse().unwrap());
                    add(&mut writer, name, kind(name, &dims), &dims, &values);
                }
                _ => panic!("{line}"),
            }
        }
    }
    also(&mut writer);
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    GgufFile::from_bytes(bytes).unwrap()
}

/// Adds a tensor in some type.
pub(crate) fn add(
    writer: &mut GgufWriter<'static>,
    name: &str,
    dtype: DType,
    dims: &[usize],
    values: &[f32],
) {
    let tensor = mynah_tensor::HostTensor::from_f32(mynah_tensor::Shape::new(dims).unwrap(), values)
        .unwrap()
        .to_dtype(dtype)
        .unwrap();
    writer.tensor(name, dtype, dims, move |out| out.write_all(tensor.data())).unwrap();
}

/// Everything in single precision, as the files are published.
pub(crate) fn plain(_: &str, _: &[usize]) -> DType {
    DType::F32
}

/// Largest difference over the largest magnitude wanted.
pub(crate) fn relative(found: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().all(|x| x.is_finite()));
    let largest = wanted.iter().fold(0f64, |m, &w| m.max(f64::from(w.abs())));
    difference(found, wanted) / largest
}

/// Largest difference.
pub(crate) fn difference(found: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(wanted).map(|(f, w)| f64::from((f - w).abs())).fold(0.0, f64::max)
}

pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Signal to noise ratio in dB.
pub(crate) fn snr(found: &[f32], wanted: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let noise: f64 = found.iter().zip(wanted).map(|(f, w)| square(f - w)).sum();
    10.0 * (wanted.iter().map(|&w| square(w)).sum::<f64>() / noise.max(1e-30)).log10()
}

/// Files of T3 and S3Gen with what makes voices in them, and a voice of their own.
pub(crate) fn files(
    [ve, s3, campplus]: [&str; 3],
    kind: impl Fn(&str, &[usize]) -> DType + Copy,
) -> [Arc<GgufFile>; 2] {
    let t3 = file_of("chatterbox", &[ve], kind, |w| {
        w.set("chatterbox.variant", "t3_mtl").set("chatterbox.cond_prompt_length", 150u32);
        add(w, "chatterbox/builtin/speaker_emb", DType::F32, &[1, 256], &hashed("speaker", 256, 0.1, 0.0));
        tokens(w, "chatterbox/builtin/cond_prompt_speech_tokens", 150);
    });
    let s3gen = file_of("chatterbox-s3gen", &[s3, campplus], kind, |w| {
        add(w, "s3gen/builtin/embedding", DType::F32, &[192], &hashed("embedding", 192, 1.0, 0.0));
        tokens(w, "s3gen/builtin/prompt_token", 50);
        add(w, "s3gen/builtin/prompt_feat", DType::F32, &[100, 80], &hashed("feat", 8000, 3.0, -4.0));
    });
    [t3, s3gen].map(Arc::new)
}

fn tokens(writer: &mut GgufWriter<'static>, name: &str, count: i32) {
    let bytes: Vec<u8> = (0..count).flat_map(|t| (t * 43).to_le_bytes()).collect();
    writer.tensor(name, DType::I32, &[count as usize], move |out| out.write_all(&bytes)).unwrap();
}

pub(crate) fn maker(lists: [&str; 3]) -> VoiceMaker {
    maker_of(lists, plain, Policy::exact(), 2)
}

pub(crate) fn maker_of(
    lists: [&str; 3],
    kind: impl Fn(&str, &[usize]) -> DType + Copy,
    policy: Policy,
    threads: usize,
) -> VoiceMaker {
    maker_on(files(lists, kind), policy, threads).unwrap()
}

pub(crate) fn maker_on(
    [t3, s3gen]: [Arc<GgufFile>; 2],
    policy: Policy,
    threads: usize,
) -> Result<VoiceMaker, ModelError> {
    let device = CpuDevice::new(CpuOptions { threads: Some(threads), simd: None }).unwrap();
    VoiceMaker::load(t3, s3gen, Arc::new(device), None, Options { policy, ..Options::default() })
}
