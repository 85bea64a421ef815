//! `.nemo` archives made by hand: good ones convert to the bit, hostile ones give an error that names the thing.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;

use mynah_convert::nemo::{NemoError, PickleError, TarError, TorchError, ZipError, read_bytes};
use mynah_convert::parakeet::CheckError;
use mynah_convert::{ConfigError, InputKind, Options, convert, sniff};
use mynah_gguf::{GgufFile, Value};
use support::{
    Pickle, YAML, archive, archive_of, config, seal, spm, state_dict, tar, tar_header, torch, weights,
};

fn error(bytes: Vec<u8>) -> NemoError {
    read_bytes(bytes, "test").expect_err("this must not be read")
}

fn weights_error(checkpoint: &[u8]) -> TorchError {
    match error(archive_of(checkpoint)) {
        NemoError::Weights(error) => error,
        other => panic!("{other}"),
    }
}

/// An error of a checkpoint with this one entry in its state dict.
fn pickle_error(entry: &Pickle, storages: &[(String, Vec<f32>)]) -> TorchError {
    let pickle = Pickle::new().op(b"}").text("weight").op(&entry.0).op(b"s").stop();
    weights_error(&torch(pickle, storages))
}

#[test]
fn a_whole_archive_converts_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("tiny-model.nemo"), folder.path().join("out.gguf"));
    let plain = archive();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&plain).unwrap();
    for bytes in [plain, packed.finish().unwrap()] {
        std::fs::write(&input, bytes).unwrap();
        assert_eq!(sniff(&input).unwrap(), InputKind::Nemo);
        let report = convert(&input, &output, &Options::default(), &|_| {}).unwrap();
        assert_eq!(report.arch, Some("hybrid_tdt_ctc"));
        assert!(report.ignored.is_empty() && report.unknown.is_empty());
        let file = GgufFile::open(&output).unwrap();
        assert_eq!(file.get_str("general.name").unwrap(), Some("tiny-model"));
        assert_eq!(file.get_u32("parakeet.blank_id").unwrap(), Some(16));
        assert_eq!(file.get_str_array("parakeet.tokenizer.pieces").unwrap().unwrap(), config().pieces);
        assert_eq!(file.get_i32_array("parakeet.tdt.durations").unwrap(), Some(vec![0, 1, 2, 3, 4]));
        let weights = weights(&config());
        assert_eq!(file.tensors().len(), weights.len());
        for (expected, values) in weights {
            let tensor = file.require(&expected.name, expected.shape).unwrap();
            assert_eq!(file.host_tensor(tensor).unwrap().to_f32(), values, "{}", expected.name);
        }
    }
}

#[test]
fn strides_and_shared_storages_are_followed() {
    let config = config();
    let mut weights = weights(&config);
    let (pickle, storages) = {
        let (mut pickle, mut storages) = (Pickle::new().op(b"}("), Vec::new());
        for (i, (expected, values)) in weights.iter_mut().enumerate() {
            let dims: Vec<i32> = expected.shape.dims().iter().map(|&d| d as i32).collect();
            let count = values.len() as i32;
            pickle = pickle.text(&expected.name);
            if let [rows, columns] = dims[..] {
                // Stored transposed, behind five elements of something else.
                let mut stored = vec![9.0; 5];
                for c in 0..columns {
                    stored.extend((0..rows).map(|r| values[(r * columns + c) as usize]));
                }
                pickle = pickle.tensor(&i.to_string(), count + 5, 5, &dims, &[1, rows]);
                storages.push((i.to_string(), stored));
            } else {
                let mut stride = vec![1; dims.len()];
                for i in (1..dims.len()).rev() {
                    stride[i - 1] = stride[i] * dims[i];
                }
                pickle = pickle.tensor(&i.to_string(), count, 0, &dims, &stride);
                storages.push((i.to_string(), values.clone()));
            }
        }
        // A counter that inference never reads shares a storage with the first tensor.
        let name = "encoder.layers.0.conv.batch_norm.num_batches_tracked";
        pickle = pickle.text(name).tensor("0", 400, 7, &[], &[]).text("epoch").int(3);
        (pickle.op(b"u").stop(), storages)
    };
    let model = spm(&config.pieces);
    let checkpoint = torch(pickle, &storages);
    let bytes = tar(&[
        ("model_config.yaml", YAML.as_bytes()),
        ("w/model_weights.ckpt", &checkpoint),
        ("t.model", &model),
    ]);
    let read = read_bytes(bytes, "test").unwrap();
    assert_eq!(read.ignored.len(), 1);
    for (tensor, (expected, values)) in read.tensors.iter().zip(&weights) {
        assert_eq!(tensor.name, expected.name);
        let mut found = vec![0.0; values.len()];
        tensor.source.read(0, &mut found).unwrap();
        assert_eq!(&found, values, "{}", tensor.name);
        let middle = values.len() / 3;
        let mut part = vec![0.0; (values.len() - middle).min(7)];
        tensor.source.read(middle, &mut part).unwrap();
        assert_eq!(part, values[middle..middle + part.len()], "{}", tensor.name);
    }
}

#[test]
fn no_code_is_run_and_the_culprit_is_named() {
    let call = Pickle::default().global("os", "system").op(b"(").text("touch owned").op(b"tR");
    match pickle_error(&call, &[]) {
        TorchError::Pickle(PickleError::Global { module, name }) => {
            assert_eq!((module.as_str(), name.as_str()), ("os", "system"));
        }
        other => panic!("{other}"),
    }
    let stacked = Pickle::default().op(b"\x8c\x08builtins\x8c\x04eval\x93");
    assert!(matches!(pickle_error(&stacked, &[]), TorchError::Pickle(PickleError::Global { .. })));
    // INST and OBJ call by other ways, and are no opcodes here.
    let inst = Pickle::default().op(b"(ios\nsystem\n");
    assert!(matches!(pickle_error(&inst, &[]), TorchError::Pickle(PickleError::Opcode { opcode: b'i', .. })));
    // Calling a storage type or an integer.
    let odd = Pickle::default().global("torch", "FloatStorage").op(b")R");
    assert!(matches!(pickle_error(&odd, &[]), TorchError::Pickle(PickleError::Malformed { .. })));
}

#[test]
fn hostile_pickles() {
    let malformed = |body: &[u8]| {
        let error = pickle_error(&Pickle::default().op(body), &[]);
        assert!(matches!(error, TorchError::Pickle(PickleError::Malformed { .. })), "{body:?}: {error}");
    };
    malformed(b"h\x07");
    malformed(b"t");
    malformed(b"0000000000");
    malformed(b"Na");
    malformed(b"}(NNNu");
    malformed(b"\x8a\x09123456789");
    malformed(b"U\x02\xff\xfe");
    malformed(b"Nb0");
    // A text longer than the pickle, and one that just ends.
    let long = Pickle::default().op(b"X\xff\xff\xff\xff");
    assert!(matches!(pickle_error(&long, &[]), TorchError::Pickle(PickleError::Truncated { .. })));
    let ended = weights_error(&torch(vec![0x80, 2, b'}'], &[]));
    assert!(matches!(ended, TorchError::Pickle(PickleError::Truncated { .. })), "{ended}");
    // A million nested tuples cost no stack, neither to build nor to drop.
    let nested = Pickle::default().op(b")").op(&vec![0x85; 1 << 20]);
    assert!(matches!(
        error_or_missing(&nested),
        NemoError::Weights(_) | NemoError::Check(_) | NemoError::NoVocabulary
    ));
    // Dicts copied from one list again and again must not multiply memory.
    let mut bomb = Pickle::default().op(b"](");
    for _ in 0..50_000 {
        bomb = bomb.op(b"NN\x86");
    }
    bomb = bomb.op(b"eq\x01").global("collections", "OrderedDict").op(b"q\x02");
    for _ in 0..50_000 {
        bomb = bomb.op(b"h\x02h\x01\x85R0");
    }
    let error = pickle_error(&bomb, &[]);
    assert!(matches!(error, TorchError::Pickle(PickleError::TooLarge { .. })), "{error}");
}

/// Reading a checkpoint of one entry that may be fine as a pickle.
fn error_or_missing(entry: &Pickle) -> NemoError {
    let pickle = Pickle::new().op(b"}").text("weight").op(&entry.0).op(b"s").stop();
    error(archive_of(&torch(pickle, &[])))
}

#[test]
fn tensors_must_lie_in_their_storage() {
    let storage = [("0".to_owned(), vec![1.0f32; 12])];
    let wrong = |pickle: &Pickle| match pickle_error(pickle, &storage) {
        TorchError::Tensor { name, what } => {
            assert_eq!(name, "weight");
            what
        }
        other => panic!("{other}"),
    };
    let tensor = |held, offset, size: &[i32], stride: &[i32]| {
        wrong(&Pickle::default().tensor("0", held, offset, size, stride))
    };
    assert!(tensor(12, 0, &[3, 4], &[5, 1]).contains("beyond its storage"));
    assert!(tensor(12, 1, &[3, 4], &[4, 1]).contains("beyond its storage"));
    assert!(tensor(12, 0, &[13], &[1]).contains("13 elements"));
    assert!(tensor(12, 0, &[i32::MAX, i32::MAX], &[0, 0]).contains("elements"));
    assert!(tensor(12, 0, &[3, 4], &[1]).contains("beyond its storage"));
    assert!(tensor(12, 0, &[-3, 4], &[4, 1]).contains("negative"));
    assert!(tensor(12, 0, &[3, 4], &[-4, 1]).contains("negative"));
    assert!(tensor(12, -1, &[3], &[1]).contains("negative"));
    assert!(tensor(12, 0, &[1, 1, 1, 1, 1], &[1; 5]).contains("dimensions"));
    assert!(tensor(13, 0, &[3], &[1]).contains("48 of 52 bytes"));
    assert!(wrong(&Pickle::default().tensor("7", 12, 0, &[3], &[1])).contains("archive/data/7"));
}

#[test]
fn hostile_zips() {
    let (pickle, storages) = state_dict(&weights(&config()));
    let good = torch(pickle, &storages);
    for length in [0, 21, good.len() / 2, good.len() - 1] {
        let error = weights_error(&good[..length]);
        assert!(matches!(error, TorchError::Zip(ZipError::NoDirectory)), "{length}: {error}");
    }
    let directory = u32::from_le_bytes(good[good.len() - 6..good.len() - 2].try_into().unwrap()) as usize;
    let with = |at: usize, bytes: &[u8]| {
        let mut broken = good.clone();
        broken[at..at + bytes.len()].copy_from_slice(bytes);
        match weights_error(&broken) {
            TorchError::Zip(error) => error,
            other => panic!("{other}"),
        }
    };
    assert!(matches!(with(directory + 10, &[8]), ZipError::Compressed { method: 8, .. }));
    assert!(matches!(with(directory + 8, &[1]), ZipError::Encrypted { .. }));
    let huge = [0xff, 0xff, 0xff, 0x7f].repeat(2);
    assert!(matches!(with(directory + 20, &huge), ZipError::OutOfRange { .. }));
    assert!(matches!(with(directory + 42, &[1]), ZipError::Record { .. }));
    assert!(matches!(with(good.len() - 12, &[0xfe, 0xff]), ZipError::Record { .. }));
    let twice = [("archive/data.pkl".to_owned(), Vec::new()), ("archive/data.pkl".to_owned(), Vec::new())];
    let error = weights_error(&support::zip(&twice));
    assert!(matches!(error, TorchError::Zip(ZipError::Duplicate { .. })), "{error}");
    let empty = weights_error(&support::zip(&[("archive/other".to_owned(), Vec::new())]));
    assert!(matches!(empty, TorchError::Missing { .. }), "{empty}");
    assert!(matches!(weights_error(&[0x80, 2, 0x8a]), TorchError::Legacy));
    let big = vec![("a/data.pkl".to_owned(), vec![b'}', b'.']), ("a/byteorder".to_owned(), b"big".to_vec())];
    assert!(matches!(weights_error(&support::zip(&big)), TorchError::BigEndian));
}

#[test]
fn hostile_tars() {
    for name in ["../evil.yaml", "/etc/passwd", "a/../../b", "a\\b"] {
        match error(tar(&[(name, b"x")])) {
            NemoError::Tar(TarError::UnsafeName { name: found }) => assert_eq!(found, name),
            other => panic!("{other}"),
        }
    }
    let good = archive();
    let truncated = error(good[..good.len() / 2].to_vec());
    assert!(matches!(truncated, NemoError::Tar(TarError::Truncated { .. })), "{truncated}");
    let mut broken = good.clone();
    broken[0] ^= 1;
    assert!(matches!(error(broken), NemoError::Tar(TarError::Checksum { offset: 0 })));
    let mut huge = tar_header(b"model_config.yaml", 0, b'0');
    huge[124..136].copy_from_slice(&[0xff; 12]);
    seal(&mut huge);
    assert!(matches!(error(huge.to_vec()), NemoError::Tar(TarError::Size { .. })));
    let sparse = tar_header(b"model_config.yaml", 0, b'S');
    assert!(matches!(error(sparse.to_vec()), NemoError::Tar(TarError::Sparse { .. })));
    let twice = error(tar(&[("a", b"1"), ("./a", b"2")]));
    assert!(matches!(twice, NemoError::Tar(TarError::Duplicate { .. })), "{twice}");
    let many: Vec<u8> = (0..5000).flat_map(|i| tar_header(format!("f{i}").as_bytes(), 0, b'0')).collect();
    assert!(matches!(error(many), NemoError::Tar(TarError::TooMany)));
    let mut record = tar_header(b"pax", 1 << 20, b'x').to_vec();
    record.resize(512 + (1 << 20), b'9');
    assert!(matches!(error(record), NemoError::Tar(TarError::LongRecord { .. })));
    assert!(matches!(error(Vec::new()), NemoError::MissingMember { .. }));
    let missing = error(tar(&[("model_config.yaml", YAML.as_bytes())]));
    assert!(missing.to_string().contains("model_weights.ckpt"), "{missing}");
}

#[test]
fn a_gzip_bomb_stops_early() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        packed.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let error = error(packed.finish().unwrap());
    assert!(error.to_string().contains("bomb"), "{error}");
}

#[test]
fn configuration_and_weights_must_fit() {
    let config = config();
    let (pickle, storages) = state_dict(&weights(&config));
    let checkpoint = torch(pickle, &storages);
    let model = spm(&config.pieces);
    let read = |yaml: &str, model: &[u8]| {
        read_bytes(
            tar(&[
                ("model_config.yaml", yaml.as_bytes()),
                ("model_weights.ckpt", &checkpoint),
                ("t.model", model),
            ]),
            "t",
        )
    };
    let wrong = |from: &str, to: &str| read(&YAML.replace(from, to), &model).unwrap_err();
    assert!(read(YAML, &model).is_ok());
    let error = wrong("n_layers: 2", "n_layers: 3");
    assert!(
        matches!(&error, NemoError::Check(CheckError::Missing { name, .. }) if name.contains("layers.2")),
        "{error}"
    );
    let error = wrong("ff_expansion_factor: 4", "ff_expansion_factor: 8");
    assert!(matches!(&error, NemoError::Check(CheckError::WrongShape { .. })), "{error}");
    let error = read(YAML, &spm(&config.pieces[..15])).unwrap_err();
    assert!(matches!(&error, NemoError::Check(CheckError::WrongShape { .. })), "{error}");
    for (from, to, key) in [
        ("dw_striding", "striding", "encoder.subsampling"),
        ("rel_pos", "abs_pos", "encoder.self_attention_model"),
        ("ConformerEncoder", "ConvASREncoder", "encoder._target_"),
        ("d_model: 8", "d_model: banana", "encoder.d_model"),
        ("d_model: 8", "d_model: 99999999999", "encoder.d_model"),
        ("n_heads: 2", "n_heads: 5", "encoder.n_heads"),
        ("n_layers: 2", "other: 2", "encoder.n_layers"),
        ("features: 80", "features: 64", "encoder.feat_in"),
        ("[-1, -1]", "[5, -1, 2]", "encoder.att_context_size"),
        ("[-1, -1]", "[[5], 3]", "encoder.att_context_size"),
        ("xscaling", "att_context_style: chunked_limited_with_rc\n  xscaling", "encoder.att_context_style"),
        ("xscaling", "global_tokens: 2\n  xscaling", "encoder.global_tokens"),
        ("xscaling", "conv_context_size: causal\n  xscaling", "encoder.conv_context_size"),
        ("durations:", "no_durations:", "decoding.durations"),
        ("n_fft: 512", "n_fft: 1000000000", "preprocessor.n_fft"),
    ] {
        let error = wrong(from, to);
        assert!(matches!(error, NemoError::Config(_)), "{from} → {to}: {error}");
        assert!(error.to_string().contains(key), "{from} → {to}: {error}");
    }
    let aliases = wrong("sample_rate: 16000", "sample_rate: &a 16000\n  x: *a");
    assert!(matches!(aliases, NemoError::Config(ConfigError::Alias { .. })), "{aliases}");
    let error = read(YAML, b"").unwrap_err();
    assert!(matches!(error, NemoError::Tokenizer { .. }), "{error}");
}

/// Reads the good weights under another configuration and returns the keys of the file it would become.
fn keys_under(yaml: &str) -> impl Fn(&str) -> Option<Value> + use<> {
    let config = config();
    let (pickle, storages) = state_dict(&weights(&config));
    let (checkpoint, model) = (torch(pickle, &storages), spm(&config.pieces));
    let members: [(&str, &[u8]); 3] =
        [("model_config.yaml", yaml.as_bytes()), ("model_weights.ckpt", &checkpoint), ("t.model", &model)];
    let read = read_bytes(tar(&members), "t").unwrap();
    let keys = mynah_convert::parakeet::keys(&read.config);
    move |key| keys.iter().find(|(k, _)| *k == format!("parakeet.{key}")).map(|(_, v)| v.clone())
}

#[test]
fn windows_of_local_attention_are_kept() {
    let of = keys_under(&YAML.replace("rel_pos", "rel_pos_local_attn").replace("[-1, -1]", "[128, 100]"));
    assert_eq!(of("encoder.self_attention_model"), Some("rel_pos_local_attn".into()));
    assert_eq!(of("encoder.att_context_left"), Some(128.into()));
    assert_eq!(of("encoder.att_context_right"), Some(100.into()));
    assert_eq!(of("encoder.att_context_style"), None);
    // Plain relative attention with a finite context is masked to the same band.
    let of = keys_under(&YAML.replace("[-1, -1]", "[-1, 0]"));
    assert_eq!(of("encoder.self_attention_model"), Some("rel_pos_local_attn".into()));
    assert_eq!(of("encoder.att_context_left"), Some((-1).into()));
    assert_eq!(keys_under(YAML)("encoder.self_attention_model"), None);
}

#[test]
fn streaming_contexts_are_kept() {
    let yaml = YAML.replace("[-1, -1]", "[[70, 13], [70, 1]]").replace(
        "  xscaling: false",
        "  xscaling: false\n  att_context_style: chunked_limited\n  conv_context_size: causal",
    );
    let of = keys_under(&yaml);
    assert_eq!(of("encoder.att_context_presets"), Some(vec![70, 13, 70, 1].into()));
    assert_eq!(of("encoder.att_context_right"), Some(13.into()));
    assert_eq!(of("encoder.conv_causal"), Some(true.into()));
    assert_eq!(of("streaming.chunk_size"), Some(vec![105, 112].into()));
    assert_eq!(of("streaming.valid_out_len"), Some(14.into()));
}
