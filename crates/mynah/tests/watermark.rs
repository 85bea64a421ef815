//! The watermark against resemble-perth (`oracles/chatterbox/watermark.py`), whose checkpoint of a small network goes through the
//! converter; and what can't be marked.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use mynah::{DeviceChoice, Error, Options, PerthError, Precision, Watermark};
use mynah_audio::{AudioStream, resample_sinc_kaiser};
use mynah_convert::{Options as To, Target, convert, quantize, random_model};
use mynah_gguf::{GgufFile, GgufWriter};
use mynah_models::ModelError;
use mynah_models::perth::{Levels, Stack, stack_graph};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn options() -> Options {
    let threads = Some(1);
    Options { device: DeviceChoice::Cpu, threads, precision: Precision::Exact, ..Options::default() }
}

/// The oracle's network, converted.
fn network(dir: &Path) -> PathBuf {
    let path = dir.join("perth.gguf");
    let report = convert(&root().join("fixtures/perth"), &path, &To::default(), &|_| {}).unwrap();
    assert_eq!((report.arch, report.ignored.len(), report.report.tensors.len()), (Some("perth"), 3, 56));
    path
}

fn small() -> Watermark {
    let dir = tempfile::tempdir().unwrap();
    Watermark::open(network(dir.path()), &options()).unwrap()
}

/// As `clip` of the oracle.
fn clip(name: &str) -> Vec<f32> {
    let path = root().join(format!("assets/samples/{name}.wav"));
    let all = AudioStream::open(path).unwrap().read_all().unwrap();
    if name == "noisy-clock" {
        return all[4000..16_345].to_vec();
    }
    let mut samples = all[8000..17_600].to_vec();
    samples[..2400].fill(0.0);
    samples[7900..].fill(0.0);
    samples
}

struct Reference(GgufFile);

impl Reference {
    fn open() -> Self {
        Self(GgufFile::open(root().join("fixtures/perth/reference.gguf")).unwrap())
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.0.host_tensor(self.0.tensor(name).unwrap()).unwrap().to_f32()
    }

    fn integers(&self, name: &str) -> Vec<i32> {
        let data = self.0.data(self.0.tensor(name).unwrap()).unwrap();
        data.chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap())).collect()
    }
}

/// The largest difference over the largest value.
fn error(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let largest = wanted.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let worst = found
        .iter()
        .zip(wanted)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0f32, |m, x| if x > m || x.is_nan() { x } else { m });
    worst / largest
}

fn near(what: &str, found: &[f32], wanted: &[f32], bound: f32) {
    let error = error(found, wanted);
    assert!(error <= bound, "{what}: {error:e}");
}

/// Every fourth row.
fn thinned(rows: &[f32], width: usize) -> Vec<f32> {
    rows.chunks_exact(width).step_by(4).flatten().copied().collect()
}

#[test]
fn every_stage_is_the_references() {
    let reference = Reference::open();
    let mut perth = small();
    for name in ["noisy-clock", "mr-allen"] {
        let samples = clip(name);
        let wanted = |stage: &str| reference.floats(&format!("{name}.{stage}"));
        let width = perth.model().config().subband;
        let levels = perth.model().levels(&samples).unwrap();
        near("levels", &thinned(&levels.subband, width), &wanted("levels"), 1e-5);
        near("sums", &levels.sums, &wanted("sums"), 1e-5);
        let mask: Vec<i32> = levels.mask.iter().map(|&m| m.into()).collect();
        assert_eq!(mask, reference.integers(&format!("{name}.mask")));
        let residual = perth.model().residual(&levels).unwrap();
        near("residual", &thinned(&residual, width), &wanted("residual"), 1e-5);
        // The reference's inverse transform ends with the centre of the last frame.
        let marked = perth.apply(&samples, 32_000).unwrap();
        assert_eq!(marked.len(), samples.len());
        let wanted_marked = wanted("marked");
        assert!(samples.len() - wanted_marked.len() < 80);
        near("marked", &marked[..wanted_marked.len()], &wanted_marked, 1e-5);
        let found = perth.detect(&samples, 32_000).unwrap();
        near("raw", &[found.raw], &wanted("raw"), 1e-5);
    }
}

#[test]
fn the_detectors_networks_are_the_references() {
    let reference = Reference::open();
    let mut perth = small();
    for name in ["noisy-clock", "mr-allen"] {
        let levels = perth.model().levels(&clip(name)).unwrap();
        for (stack, stage) in Stack::DETECTOR.into_iter().zip(["slow", "normal", "fast"]) {
            let said = perth.model().said(stack, &levels).unwrap();
            near(stage, &thinned(&said, 2), &reference.floats(&format!("{name}.{stage}")), 1e-5);
        }
    }
}

#[test]
fn other_rates_go_through_the_references_resamplers() {
    let reference = Reference::open();
    let mut perth = small();
    let samples = clip("noisy-clock");
    // Of the filter that stands for soxr's: both cut off beyond 91 % of the lower rate's half, but not by the same curve.
    let up = resample_sinc_kaiser(&samples[..7200], 24_000, 32_000).unwrap();
    let wanted = reference.floats("resampled.up");
    near("up", &up[200..9400], &wanted[200..9400], 5e-4);
    let marked = perth.apply(&samples[..7200], 24_000).unwrap();
    let wanted = reference.floats("resampled.marked");
    near("marked", &marked[200..7000], &wanted[200..7000], 5e-4);
    // Scipy's polyphase filter is the same one here.
    let scores = reference.floats("scores");
    for (rate, wanted) in reference.integers("rates").into_iter().zip(scores) {
        let found = perth.detect(&samples, rate as u32).unwrap();
        near(&format!("{rate} Hz"), &[found.score], &[wanted], 1e-5);
    }
}

#[test]
fn seams_leave_no_trace() {
    let samples = clip("noisy-clock");
    let mut perth = small();
    let (marked, found) = (perth.apply(&samples, 32_000).unwrap(), perth.detect(&samples, 32_000).unwrap());
    for tile in [1, 7, 40] {
        perth.model().set_tile(tile);
        near("marked", &perth.apply(&samples, 32_000).unwrap(), &marked, 1e-6);
        near("raw", &[perth.detect(&samples, 32_000).unwrap().raw], &[found.raw], 1e-6);
    }
}

#[test]
fn what_is_not_in_the_subband_stays() {
    let mut perth = small();
    let tone: Vec<f32> = (0..9000).map(|i| (i as f32 * 1.5).sin() * 0.3).collect();
    // 7.6 kHz, beyond the marked 1.5.
    let marked = perth.apply(&tone, 32_000).unwrap();
    near("tone", &marked[600..8400], &tone[600..8400], 1e-3);
    let silence = vec![0.0; 5000];
    let kept = perth.apply(&silence, 24_000).unwrap();
    assert!(kept.len() == 5000 && kept.iter().all(|x| x.abs() < 1e-8), "silence stays silent");
}

#[test]
fn half_precision_changes_little() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, half, eighth) =
        (network(dir.path()), dir.path().join("f16.gguf"), dir.path().join("q8.gguf"));
    let report = quantize(&whole, &half, &To::to("F16".parse::<Target>().unwrap()), &|_| {}).unwrap();
    assert_eq!(report.tensors.iter().filter(|t| t.from != t.to).count(), 20);
    quantize(&whole, &eighth, &To::to("Q8_0".parse::<Target>().unwrap()), &|_| {}).unwrap();
    let samples = clip("noisy-clock");
    let marked = |path: &Path| Watermark::open(path, &options()).unwrap().apply(&samples, 32_000).unwrap();
    let (a, b) = (marked(&whole), marked(&half));
    assert!(error(&b, &a) > 0.0);
    near("F16", &b, &a, 5e-4);
    // Kernels have no whole blocks in a row: what was asked for in 8 bits goes no lower than 16.
    assert_eq!(marked(&eighth), b);
}

#[test]
fn recordings_that_cannot_be_marked_or_examined() {
    let mut perth = small();
    let kind = |result: Result<(), Error>| match result {
        Err(Error::Watermark(error)) => *error,
        other => panic!("{other:?}"),
    };
    let noise = clip("noisy-clock");
    for count in [0, 1, 128] {
        let short = &noise[..count];
        assert!(
            matches!(kind(perth.apply(short, 24_000).map(|_| ())), PerthError::TooShort { .. }),
            "{count}"
        );
        assert!(
            matches!(kind(perth.detect(short, 24_000).map(|_| ())), PerthError::TooShort { .. }),
            "{count}"
        );
    }
    assert!(matches!(kind(perth.detect(&[0.0; 4000], 24_000).map(|_| ())), PerthError::Silent));
    for bad in [f32::NAN, f32::INFINITY] {
        let mut faulty = noise.clone();
        faulty[70] = bad;
        assert!(matches!(
            kind(perth.apply(&faulty, 32_000).map(|_| ())),
            PerthError::Sample { index: 70, .. }
        ));
        assert!(matches!(
            kind(perth.detect(&faulty, 32_000).map(|_| ())),
            PerthError::Sample { index: 70, .. }
        ));
    }
    for rate in [0, 999, 400_000, u32::MAX] {
        assert!(matches!(perth.apply(&noise, rate), Err(Error::Model(ModelError::Audio(_)))), "{rate}");
        assert!(matches!(perth.detect(&noise, rate), Err(Error::Model(ModelError::Audio(_)))), "{rate}");
    }
    for rate in [8_000, 44_101, 192_000, 384_000] {
        assert_eq!(perth.apply(&noise, rate).unwrap().len(), noise.len(), "{rate}");
        assert!(perth.detect(&noise, rate).unwrap().raw.is_finite(), "{rate}");
    }
}

/// The tiny network's file with one key changed, or left out.
fn altered(key: &str, value: Option<mynah_gguf::Value>) -> GgufFile {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.gguf");
    random_model("perth-tiny", &path, 0, &To::default(), &|_| {}).unwrap();
    let file = GgufFile::open(&path).unwrap();
    let mut writer = GgufWriter::new();
    for (name, value) in file.metadata().iter().filter(|(name, _)| *name != key) {
        writer.set(name, value.clone());
    }
    if let Some(value) = value {
        writer.set(key, value);
    }
    for info in file.tensors() {
        let bytes = file.data(info).unwrap();
        writer.tensor_bytes(&info.name, info.dtype().unwrap(), info.shape.dims(), bytes).unwrap();
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    GgufFile::from_bytes(bytes).unwrap()
}

#[test]
fn files_that_contradict_themselves() {
    let load = |file: GgufFile| {
        let devices = mynah::open_devices(DeviceChoice::Cpu, Some(1)).unwrap();
        Watermark::on(file, devices, &options()).map(|_| ()).map_err(Box::new)
    };
    assert!(load(altered("none", None)).is_ok());
    let failed = |key: &str, value: Option<mynah_gguf::Value>| match load(altered(key, value)) {
        Err(error) => match *error {
            Error::Model(error) => error,
            other => panic!("{key}: {other:?}"),
        },
        Ok(()) => panic!("{key}"),
    };
    assert!(matches!(failed("general.architecture", Some("parakeet".into())), ModelError::Family { .. }));
    for key in
        ["n_fft", "hop_size", "subband", "hidden_size", "layers", "kernel_size", "sample_rate", "stretches"]
    {
        let key = format!("perth.{key}");
        assert!(matches!(failed(&key, None), ModelError::MissingKey { .. }), "{key}");
    }
    for (key, value) in [
        ("n_fft", 511u32),
        ("n_fft", 0),
        ("n_fft", u32::MAX),
        ("hop_size", 300),
        ("window_size", 513),
        ("subband", 400),
        ("layers", 65),
        ("kernel_size", 6),
        ("sample_rate", 900),
    ] {
        let error = failed(&format!("perth.{key}"), Some(value.into()));
        assert!(matches!(error, ModelError::BadKey { .. }), "{key} {value}: {error}");
    }
    for (key, value) in [("hidden_size", 17u32), ("layers", 4), ("kernel_size", 5), ("subband", 31)] {
        let error = failed(&format!("perth.{key}"), Some(value.into()));
        assert!(matches!(error, ModelError::TensorShape { .. }), "{key} {value}: {error}");
    }
    assert!(matches!(
        failed("perth.layers", Some(6u32.into())),
        ModelError::TensorShape { .. } | ModelError::MissingTensor { .. }
    ));
    let stretches = |three: &[f32]| Some(three.to_vec().into());
    for three in [&[1.0, 1.0][..], &[0.0, 1.0, 1.0], &[1.0, f32::NAN, 1.0], &[1.0, 1.0, 1e9]] {
        assert!(
            matches!(failed("perth.stretches", stretches(three)), ModelError::BadKey { .. }),
            "{three:?}"
        );
    }
    assert!(matches!(failed("perth.window_fn", Some("kaiser".into())), ModelError::BadKey { .. }));
    for value in [0.0f32, -1.0, f32::NAN, 1.0] {
        let error = failed("perth.stft_magnitude_min", Some(value.into()));
        assert!(matches!(error, ModelError::BadKey { .. }), "{value}");
    }
}

#[test]
fn the_released_shape_plans_into_one_launch_a_layer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.gguf");
    let report = random_model("perth", &path, 0, &To::default(), &|_| {}).unwrap();
    assert!(report.model.contains("128 bins of 32000 Hz, 256 channels, 9.3"), "{}", report.model);
    let mut perth = Watermark::open(&path, &Options { precision: Precision::Fast, ..options() }).unwrap();
    let file = GgufFile::open(&path).unwrap();
    let config = *perth.model().config();
    let executor = perth.model().executor();
    let key = mynah_plan::PlanKey { graph: "perth", dims: [100, 0, 0, 0] };
    let plan = executor.plan(key, || stack_graph(&file, &config, Stack::Encoder, 100)).unwrap();
    let report = executor.report(plan).unwrap();
    assert_eq!(report.nodes[1], 7, "{:?}", report.rewrites);
}

#[test]
fn levels_are_none_of_nothing() {
    assert_eq!(Levels::default().mask.len(), 0);
    assert!(small().model().levels(&[0.5; 10]).is_err());
}
