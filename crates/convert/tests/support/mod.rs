//! Writers for hand-made archives: tar, zip and pickle as Python and torch write them, small enough to break on
//! purpose.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use mynah_convert::parakeet::{Config, Expected, tensors};
use mynah_convert::random::shape;
use mynah_tensor::Rng;

/// A tar archive of regular files with the names as given.
pub fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, data) in members {
        out.extend(tar_header(name.as_bytes(), data.len(), b'0'));
        out.extend(*data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.extend([0; 1024]);
    out
}

/// One ustar header with a right checksum.
pub fn tar_header(name: &[u8], size: usize, kind: u8) -> [u8; 512] {
    let mut header = [0; 512];
    header[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut header);
    header
}

/// Writes the checksum of a tar header.
pub fn seal(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A zip archive of stored members.
pub fn zip(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let header = out.len() as u32;
        let size = data.len() as u32;
        out.extend(0x0403_4b50u32.to_le_bytes());
        out.extend([0; 14]);
        out.extend([size, size].map(u32::to_le_bytes).concat());
        out.extend((name.len() as u16).to_le_bytes());
        out.extend([0; 2]);
        out.extend(name.as_bytes());
        out.extend(data);
        directory.extend(0x0201_4b50u32.to_le_bytes());
        directory.extend([0; 16]);
        directory.extend([size, size].map(u32::to_le_bytes).concat());
        directory.extend((name.len() as u16).to_le_bytes());
        directory.extend([0; 12]);
        directory.extend(header.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(0x0605_4b50u32.to_le_bytes());
    out.extend([0; 4]);
    out.extend([members.len() as u16; 2].map(u16::to_le_bytes).concat());
    out.extend([directory.len() as u32, start].map(u32::to_le_bytes).concat());
    out.extend([0; 2]);
    out
}

/// A pickle under construction; methods are opcodes.
#[derive(Clone, Default)]
pub struct Pickle(pub Vec<u8>);

impl Pickle {
    pub fn new() -> Pickle {
        Pickle(vec![0x80, 2])
    }

    pub fn op(mut self, bytes: &[u8]) -> Pickle {
        self.0.extend(bytes);
        self
    }

    pub fn global(self, module: &str, name: &str) -> Pickle {
        self.op(format!("c{module}\n{name}\n").as_bytes())
    }

    pub fn text(self, text: &str) -> Pickle {
        self.op(b"X").op(&(text.len() as u32).to_le_bytes()).op(text.as_bytes())
    }

    pub fn int(self, value: i32) -> Pickle {
        self.op(b"J").op(&value.to_le_bytes())
    }

    pub fn tuple(self, values: &[i32]) -> Pickle {
        values.iter().fold(self.op(b"("), |pickle, &value| pickle.int(value)).op(b"t")
    }

    /// A tensor of a `FloatStorage` of `held` elements.
    pub fn tensor(self, key: &str, held: i32, offset: i32, size: &[i32], stride: &[i32]) -> Pickle {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .op(b"((")
            .text("storage")
            .global("torch", "FloatStorage")
            .text(key)
            .text("cpu")
            .int(held)
            .op(b"tQ")
            .int(offset)
            .tuple(size)
            .tuple(stride)
            .op(b"\x89")
            .global("collections", "OrderedDict")
            .op(b")RtR")
    }

    pub fn stop(self) -> Vec<u8> {
        self.op(b".").0
    }
}

/// A torch checkpoint around a pickle and storages of floats.
pub fn torch(pickle: Vec<u8>, storages: &[(String, Vec<f32>)]) -> Vec<u8> {
    let mut members = vec![("archive/data.pkl".to_owned(), pickle)];
    for (key, values) in storages {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        members.push((format!("archive/data/{key}"), bytes));
    }
    members.push(("archive/byteorder".to_owned(), b"little".to_vec()));
    zip(&members)
}

pub const YAML: &str = "\
preprocessor:
  sample_rate: 16000
  normalize: per_feature
  window_size: 0.025
  window_stride: 0.01
  features: 80
  n_fft: 512
encoder:
  _target_: nemo.collections.asr.modules.ConformerEncoder
  feat_in: 80
  n_layers: 2
  d_model: 8
  subsampling: dw_striding
  subsampling_factor: 8
  subsampling_conv_channels: 4
  ff_expansion_factor: 4
  self_attention_model: rel_pos
  n_heads: 2
  att_context_size: [-1, -1]
  xscaling: false
  conv_kernel_size: 9
decoder:
  prednet: {pred_hidden: 8, pred_rnn_layers: 1}
joint:
  num_extra_outputs: 5
  jointnet: {joint_hidden: 12, activation: relu}
decoding:
  durations: [0, 1, 2, 3, 4]
";

/// The configuration that [`YAML`] and [`spm`] describe.
pub fn config() -> Config {
    let mut config = shape("tiny").unwrap().config();
    let encoder = &mut config.encoder;
    (encoder.d_model, encoder.ff_dim, encoder.heads, encoder.subsampling_channels) = (8, 32, 2, 4);
    if let Some(transducer) = &mut config.transducer {
        (transducer.pred_hidden, transducer.joint_hidden) = (8, 12);
    }
    config.pieces.truncate(16);
    config
}

/// A SentencePiece model of these pieces.
pub fn spm(pieces: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        out.extend([0x0a, piece.len() as u8 + 2, 0x0a, piece.len() as u8]);
        out.extend(piece.as_bytes());
    }
    out
}

/// Values of every tensor of a configuration.
pub fn weights(config: &Config) -> Vec<(Expected, Vec<f32>)> {
    let mut rng = Rng::new(11);
    let fill = |expected: Expected| {
        let mut values = vec![0.0; expected.shape.numel()];
        rng.fill_normal(&mut values, 0.3);
        (expected, values)
    };
    tensors(config).into_iter().map(fill).collect()
}

/// The pickle and storages of a state dict.
pub fn state_dict(weights: &[(Expected, Vec<f32>)]) -> (Vec<u8>, Vec<(String, Vec<f32>)>) {
    let mut pickle = Pickle::new().global("collections", "OrderedDict").op(b")R(");
    let mut storages = Vec::new();
    for (i, (expected, values)) in weights.iter().enumerate() {
        let size: Vec<i32> = expected.shape.dims().iter().map(|&d| d as i32).collect();
        let mut stride = vec![1; size.len()];
        for i in (1..size.len()).rev() {
            stride[i - 1] = stride[i] * size[i];
        }
        pickle = pickle.text(&expected.name).tensor(&i.to_string(), values.len() as i32, 0, &size, &stride);
        storages.push((i.to_string(), values.clone()));
    }
    (pickle.op(b"u").stop(), storages)
}

/// A whole archive that converts.
pub fn archive() -> Vec<u8> {
    archive_with(&weights(&config()))
}

/// One without window and mel filters, which are most of its bytes.
pub fn small_archive() -> Vec<u8> {
    let mut weights = weights(&config());
    weights.retain(|(expected, _)| !expected.name.starts_with("preprocessor."));
    archive_with(&weights)
}

fn archive_with(weights: &[(Expected, Vec<f32>)]) -> Vec<u8> {
    let config = config();
    let (pickle, storages) = state_dict(weights);
    let checkpoint = torch(pickle, &storages);
    let spm = spm(&config.pieces);
    tar(&[
        ("./model_config.yaml", YAML.as_bytes()),
        ("./model_weights.ckpt", &checkpoint),
        ("./0123_tokenizer.model", &spm),
    ])
}

/// An archive with a checkpoint of one's own.
pub fn archive_of(checkpoint: &[u8]) -> Vec<u8> {
    tar(&[("model_config.yaml", YAML.as_bytes()), ("model_weights.ckpt", checkpoint)])
}
