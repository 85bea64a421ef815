//! Random models, quantisation, and what both promise: same bytes for any number of threads, defaults as documented,
//! errors as small as the formats allow.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use mynah_convert::{
    ConvertError, InputKind, Layout, Options, Rules, convert, quantize, random_model, sniff,
};
use mynah_gguf::{GgufFile, GgufWriter};
use mynah_tensor::{DType, Rng, Shape};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The tiny model at a type.
    fn tiny(&self, name: &str, options: &Options) -> PathBuf {
        let path = self.path(name);
        random_model("tiny", &path, 42, options, &|_| {}).unwrap();
        path
    }
}

#[test]
fn random_models_are_the_same_everywhere() {
    let folder = Folder::new();
    for dtype in [DType::F32, DType::Q8_0] {
        let threads = |n| Options { threads: Some(n), ..Options::to(dtype) };
        let one = std::fs::read(folder.tiny("one.gguf", &threads(1))).unwrap();
        let three = std::fs::read(folder.tiny("three.gguf", &threads(3))).unwrap();
        assert!(one == three, "{dtype}");
    }
    let other = folder.path("other.gguf");
    random_model("tiny", &other, 43, &Options::default(), &|_| {}).unwrap();
    assert!(
        std::fs::read(other).unwrap() != std::fs::read(folder.tiny("f32.gguf", &Options::default())).unwrap()
    );
}

#[test]
fn random_models_hear() {
    let folder = Folder::new();
    let file = GgufFile::open(folder.tiny("f32.gguf", &Options::default())).unwrap();
    let values = |name: &str| file.host_tensor(file.tensor(name).unwrap()).unwrap().to_f32();
    let fb = values("preprocessor.featurizer.fb");
    assert!((fb.iter().copied().fold(0.0, f32::max) - 0.0264).abs() < 5e-4);
    assert!(values("preprocessor.featurizer.window")[200] > 0.99);
    // Nothing else is left at zero but the blank's embedding, a few biases and the joint's.
    for tensor in file.tensors().iter().filter(|tensor| tensor.name.ends_with(".weight")) {
        assert!(values(&tensor.name).iter().any(|&x| x != 0.0), "{}", tensor.name);
    }
}

#[test]
fn writing_a_type_equals_quantising_to_it() {
    let folder = Folder::new();
    let plain = folder.tiny("f32.gguf", &Options::default());
    for dtype in DType::ALL.into_iter().filter(|dtype| dtype.can_encode()) {
        let options = Options::to(dtype);
        let direct = folder.tiny("direct.gguf", &options);
        let output = folder.path("quantised.gguf");
        let report = quantize(&plain, &output, &options, &|_| {}).unwrap();
        assert!(std::fs::read(direct).unwrap() == std::fs::read(&output).unwrap(), "{dtype}");
        assert_eq!(report.tensors.len(), 105);
        assert_eq!(report.bytes_out, output.metadata().unwrap().len());
        let file = GgufFile::open(&output).unwrap();
        let of = |name: &str| {
            let tensor = file.tensor(name).unwrap();
            (tensor.dtype().unwrap(), tensor.shape)
        };
        let matrix = of("encoder.layers.1.self_attn.linear_q.weight");
        // Rows of 64 hold no block of 256.
        let expected = if dtype.block_len() == 256 { DType::Q8_0 } else { dtype };
        assert_eq!(matrix, (expected, Shape::from([64, 64])), "{dtype}");
        let wide = of("encoder.layers.1.feed_forward1.linear2.weight");
        assert_eq!(wide.0, dtype);
        let pointwise = of("encoder.layers.1.conv.pointwise_conv1.weight");
        let kernel = if dtype.is_quantized() { Shape::from([128, 64]) } else { Shape::from([128, 64, 1]) };
        assert_eq!(pointwise, (expected, kernel), "{dtype}");
        let fine = if dtype == DType::F32 { DType::F32 } else { DType::F16 };
        for name in [
            "joint.joint_net.2.weight",
            "decoder.prediction.embed.weight",
            "ctc_decoder.decoder_layers.0.weight",
        ] {
            assert_eq!(of(name).0, fine, "{dtype} {name}");
        }
        for name in ["encoder.layers.0.norm_out.weight", "preprocessor.featurizer.fb", "joint.enc.bias"] {
            assert_eq!(of(name).0, DType::F32, "{dtype} {name}");
        }
    }
}

#[test]
fn reported_errors_are_those_of_the_file() {
    let folder = Folder::new();
    let plain = GgufFile::open(folder.tiny("f32.gguf", &Options::default())).unwrap();
    let output = folder.path("q.gguf");
    for (dtype, bound) in [(DType::F16, 4e-4), (DType::Q8_0, 8e-3), (DType::Q5_0, 0.06), (DType::Q4_0, 0.12)]
    {
        let report = quantize(&folder.path("f32.gguf"), &output, &Options::to(dtype), &|_| {}).unwrap();
        let file = GgufFile::open(&output).unwrap();
        for tensor in &report.tensors {
            let read =
                |file: &GgufFile| file.host_tensor(file.tensor(&tensor.name).unwrap()).unwrap().to_f32();
            let squared: f64 =
                read(&plain).iter().zip(read(&file)).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            assert!((squared - tensor.squared_error).abs() <= 1e-9 * (1.0 + squared), "{}", tensor.name);
            assert!(tensor.relative_error() < bound, "{dtype} {}: {}", tensor.name, tensor.relative_error());
        }
        let text = report.to_string();
        assert!(text.contains(dtype.name()) && text.contains("norm, bias"), "{text}");
    }
}

#[test]
fn progress_reaches_the_end() {
    let folder = Folder::new();
    let (last, total) = (std::sync::atomic::AtomicU64::new(0), std::sync::atomic::AtomicU64::new(0));
    let order = std::sync::atomic::Ordering::Relaxed;
    let progress = |p: mynah_convert::Progress| {
        assert!(p.done >= last.swap(p.done, order) && p.done <= p.total);
        total.store(p.total, order);
    };
    random_model("tiny", &folder.path("a.gguf"), 1, &Options::to(DType::Q8_0), &progress).unwrap();
    assert!(total.load(order) > 100_000);
    assert_eq!(last.load(order), total.load(order));
}

#[test]
fn patterns_and_layouts() {
    let folder = Folder::new();
    let plain = folder.tiny("f32.gguf", &Options::default());
    let output = folder.path("q.gguf");
    let types = |rules: Rules, dtype| {
        let options = Options { rules, ..Options::to(dtype) };
        quantize(&plain, &output, &options, &|_| {}).unwrap();
        let file = GgufFile::open(&output).unwrap();
        move |name: &str| file.tensor(name).unwrap().dtype().unwrap()
    };
    let only = types(Rules { only: vec!["joint.*".into()], ..Rules::default() }, DType::Q8_0);
    assert_eq!(only("joint.enc.weight"), DType::Q8_0);
    assert_eq!(only("encoder.layers.0.self_attn.linear_q.weight"), DType::F32);
    let keep = types(Rules { keep: vec!["encoder.layers.0.*".into()], ..Rules::default() }, DType::Q8_0);
    assert_eq!(keep("encoder.layers.0.self_attn.linear_q.weight"), DType::F32);
    assert_eq!(keep("encoder.layers.1.self_attn.linear_q.weight"), DType::Q8_0);
    let cpp = types(Rules { layout: Layout::ParakeetCpp, ..Rules::default() }, DType::Q8_0);
    assert_eq!(cpp("encoder.layers.1.conv.pointwise_conv1.weight"), DType::F32);
    assert_eq!(cpp("joint.enc.weight"), DType::Q8_0);
    assert_eq!(cpp("joint.joint_net.2.weight"), DType::F32);
    // Nothing fits: a copy, and the report says so.
    let options = Options {
        rules: Rules { only: vec!["nothing".into()], ..Rules::default() },
        ..Options::to(DType::Q8_0)
    };
    let report = quantize(&plain, &output, &options, &|_| {}).unwrap();
    assert!(report.warnings.iter().any(|warning| warning.contains("no tensor changed")), "{report}");
    assert!(std::fs::read(&plain).unwrap() == std::fs::read(&output).unwrap());
}

#[test]
fn quantising_again_warns_and_may_replace_its_input() {
    let folder = Folder::new();
    let path = folder.tiny("q8.gguf", &Options::to(DType::Q8_0));
    let report = quantize(&path, &path, &Options::to(DType::Q4_0), &|_| {}).unwrap();
    assert!(report.to_string().contains("quantised before"), "{report}");
    let file = GgufFile::open(&path).unwrap();
    assert_eq!(
        file.tensor("encoder.layers.0.self_attn.linear_q.weight").unwrap().dtype().unwrap(),
        DType::Q4_0
    );
    // And back to plain floats.
    quantize(&path, &path, &Options::default(), &|_| {}).unwrap();
    let file = GgufFile::open(&path).unwrap();
    assert!(file.tensors().iter().all(|tensor| tensor.dtype().unwrap() == DType::F32));
}

#[test]
fn any_family_can_be_quantised() {
    let folder = Folder::new();
    let (input, output) = (folder.path("in.gguf"), folder.path("out.gguf"));
    let mut values = vec![0.0f32; 512 * 256];
    Rng::new(1).fill_normal(&mut values, 1.0);
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "llama").set("general.file_type", 0u32);
    writer.tensor_bytes("token_embd.weight", DType::F32, &[512, 256], &bytes).unwrap();
    writer.tensor_bytes("blk.0.ffn_up.weight", DType::F32, &[512, 256], &bytes).unwrap();
    writer.tensor_bytes("blk.0.attn_norm.weight", DType::F32, &[256], &bytes[..1024]).unwrap();
    writer.tensor_bytes("places", DType::I32, &[4], &[0; 16]).unwrap();
    writer.write_file(&input).unwrap();
    quantize(&input, &output, &Options::to(DType::Q4K), &|_| {}).unwrap();
    let file = GgufFile::open(&output).unwrap();
    let types: Vec<DType> = file.tensors().iter().map(|tensor| tensor.dtype().unwrap()).collect();
    assert_eq!(types, [DType::Q8_0, DType::Q4K, DType::F32, DType::I32]);
    assert!(file.metadata().get("general.file_type").is_none());
    assert_eq!(file.get_u32("general.quantization_version").unwrap(), Some(2));
}

#[test]
fn bad_requests_name_the_thing() {
    let folder = Folder::new();
    let (input, output) = (folder.tiny("f32.gguf", &Options::default()), folder.path("out.gguf"));
    let error = quantize(&input, &output, &Options::to(DType::Q2K), &|_| {}).unwrap_err();
    assert!(matches!(error, ConvertError::Encoder { dtype: DType::Q2K }), "{error}");
    let error = random_model("parakeet-7b", &output, 0, &Options::default(), &|_| {}).unwrap_err();
    assert!(matches!(error, ConvertError::Shape(_)), "{error}");
    for (name, content, word) in [
        ("a.bin", &b"hello"[..], "neither"),
        ("b.ckpt", b"PK\x03\x04rest", "zip"),
        ("c.safetensors", b"\x08\0\0\0\0\0\0\0{}      ", "folder"),
    ] {
        std::fs::write(folder.path(name), content).unwrap();
        let error =
            convert(&folder.path(name), &output, &Options::default(), &|_| {}).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(word), "{error}");
    }
    let error = convert(folder.0.path(), &output, &Options::default(), &|_| {}).unwrap_err().to_string();
    assert!(error.contains("config.json"), "{error}");
    assert!(convert(&folder.path("nothing"), &output, &Options::default(), &|_| {}).is_err());
    assert!(!output.exists(), "failures leave nothing behind");
    assert_eq!(sniff(&input).unwrap(), InputKind::Gguf);
    // A value that the format cannot hold names its tensor.
    let bytes: Vec<u8> = [1.0f32, f32::NAN].repeat(1024).iter().flat_map(|v| v.to_le_bytes()).collect();
    let bad = folder.path("nan.gguf");
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "other");
    writer.tensor_bytes("blk.0.weight", DType::F32, &[32, 64], &bytes).unwrap();
    writer.write_file(&bad).unwrap();
    let error = quantize(&bad, &output, &Options::to(DType::Q8_0), &|_| {}).unwrap_err();
    assert!(error.to_string().contains("blk.0.weight"), "{error}");
}
