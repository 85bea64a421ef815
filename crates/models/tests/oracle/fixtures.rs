//! Cases, clips and references on disk.

use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::Policy;
use mynah_gguf::GgufFile;
use mynah_models::parakeet::{LoadOptions, Parakeet};
use mynah_plan::Options;
use std::path::PathBuf;
use std::sync::Arc;

/// Every case of the manifest.
pub(crate) const CASES: [&str; 9] = [
    "hybrid_tdt_ctc",
    "ctc",
    "rnnt",
    "tdt",
    "tdt_ctc_local",
    "tdt_local_uneven",
    "ctc_layer_norm",
    "hybrid_rnnt_ctc",
    "odd_shapes",
];

/// NeMo adds the position term of a local attention to the wrong diagonals when the window's sides differ
/// (`RelPositionMultiHeadAttentionLongformer`, `diagonal_matrix_bd`). No released model has such a window; Mynah computes
/// the formula, and `stages::an_uneven_window_follows_the_formula` holds it to that.
pub(crate) const NEMO_IS_OFF: &str = "tdt_local_uneven";

/// Cases whose encoder NeMo computes by the formula.
pub(crate) fn comparable() -> impl Iterator<Item = &'static str> {
    CASES.into_iter().filter(|case| *case != NEMO_IS_OFF)
}

/// Clips whose stages are all kept.
pub(crate) const SHORT: [&str; 5] = ["hop", "tenth", "mod0", "mod1", "mod7"];

/// Every clip; a case lacks some of the long ones.
pub(crate) const CLIPS: [&str; 8] = ["hop", "tenth", "mod0", "mod1", "mod7", "long15", "tile70", "zeros"];

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parakeet")
}

/// A case's model, computing exactly.
pub(crate) fn model(case: &str) -> Parakeet {
    model_with(case, Policy::exact(), 1)
}

pub(crate) fn model_with(case: &str, policy: Policy, threads: usize) -> Parakeet {
    let file = GgufFile::open(root().join(case).join("model.gguf")).unwrap();
    let device = CpuDevice::new(CpuOptions { threads: Some(threads), simd: None }).unwrap();
    let options = LoadOptions { executor: Options { policy, ..Options::default() }, attention: None };
    Parakeet::load(Arc::new(file), Arc::new(device), None, options).unwrap()
}

/// What NeMo computed, if the case has this clip.
pub(crate) fn reference(case: &str, clip: &str) -> Option<Reference> {
    let path = root().join(case).join(format!("{clip}.ref.gguf"));
    path.exists().then(|| Reference { file: GgufFile::open(path).unwrap() })
}

/// One `.ref.gguf`.
pub(crate) struct Reference {
    pub(crate) file: GgufFile,
}

impl Reference {
    pub(crate) fn array(&self, name: &str) -> Option<Vec<f32>> {
        let info = self.file.tensor(name)?;
        Some(self.file.host_tensor(info).unwrap().to_f32())
    }

    pub(crate) fn integers(&self, key: &str) -> Vec<i32> {
        self.file.get_i32_array(key).unwrap().unwrap_or_default()
    }

    pub(crate) fn floats(&self, key: &str) -> Vec<f32> {
        self.file.get_f32_array(key).unwrap().unwrap_or_default()
    }

    pub(crate) fn count(&self, key: &str) -> usize {
        self.file.get_u32(key).unwrap().unwrap() as usize
    }
}

/// A clip's samples.
pub(crate) fn clip(name: &str) -> Vec<f32> {
    let scaled = |pcm: &[i32]| pcm.iter().map(|&s| s as f32 / 32768.0).collect();
    match name {
        "zeros" => vec![0.0; 16_000],
        "tile70" => {
            let long15 = pcm("long15");
            let n = long15.len();
            let gains = [8, 5, 7, 4, 6];
            let tiled = (0..1_120_000).map(|i| {
                let k = i / n;
                (long15[(i % n + k * 7919) % n] * gains[k]) >> 3
            });
            let tiled: Vec<i32> = tiled.collect();
            assert_eq!(tiled.iter().map(|&x| i64::from(x)).sum::<i64>(), 28_063_880);
            scaled(&tiled)
        }
        _ => scaled(&pcm(name)),
    }
}

/// Samples of a 16-bit mono WAV file.
fn pcm(name: &str) -> Vec<i32> {
    let mut stream =
        mynah_audio::AudioStream::open(root().join("clips").join(format!("{name}.wav"))).unwrap();
    stream.read_all().unwrap().iter().map(|x| (x * 32768.0) as i32).collect()
}
