//! `.nemo` archives: read, look at every tensor.
//!
//! Formats lie in formats here (tar, zip, pickle, YAML, protobuf), and a change to an inner one hardly ever gets past
//! the checksums and lengths of the outer ones. So the first byte says which layer the rest of the input is, and the
//! layers around it are made to fit.

use mynah_convert::nemo::read_bytes;

use crate::{Target, kind_of};

#[path = "../../crates/convert/tests/support/mod.rs"]
mod support;

/// The target.
pub const TARGET: Target = Target { name: "nemo", run, seeds, dictionary: DICTIONARY };

const ARCHIVE: u8 = 0;
const CHECKPOINT: u8 = 1;
const PICKLE: u8 = 2;
const YAML: u8 = 3;
const TOKENIZER: u8 = 4;

/// Reads an archive and a few values of every tensor in it.
///
/// # Panics
/// When the reader does.
pub fn run(bytes: &[u8]) -> u64 {
    let Some((&layer, body)) = bytes.split_first() else { return 0 };
    let checkpoint = match read_bytes(wrapped(layer, body), "fuzz") {
        Ok(checkpoint) => checkpoint,
        Err(error) => return kind_of(&error.to_string()) ^ u64::from(layer),
    };
    let mut values = [0.0; 64];
    for tensor in &checkpoint.tensors {
        let count = tensor.shape.numel();
        for start in [0, count / 2, count.saturating_sub(values.len())] {
            let part = &mut values[..(count - start).min(64)];
            assert!(tensor.source.read(start, part).is_ok(), "{tensor:?} was accepted and cannot be read");
        }
    }
    let keys = mynah_convert::parakeet::keys(&checkpoint.config);
    checkpoint.tensors.len() as u64 + 1000 * keys.len() as u64
}

/// An archive with `body` as one of its layers and good ones around it.
fn wrapped(layer: u8, body: &[u8]) -> Vec<u8> {
    if layer == ARCHIVE {
        return body.to_vec();
    }
    let config = support::config();
    let (good_pickle, storages) = support::state_dict(&weights());
    let pickle = if layer == PICKLE { body.to_vec() } else { good_pickle };
    let good_checkpoint = support::torch(pickle, &storages);
    let checkpoint = if layer == CHECKPOINT { body } else { &good_checkpoint };
    let yaml = if layer == YAML { body } else { support::YAML.as_bytes() };
    let good_tokenizer = support::spm(&config.pieces);
    let tokenizer = if layer == TOKENIZER { body } else { &good_tokenizer };
    support::tar(&[
        ("model_config.yaml", yaml),
        ("model_weights.ckpt", checkpoint),
        ("tokenizer.model", tokenizer),
    ])
}

/// Tensors without window and mel filters, which are most of the bytes.
fn weights() -> Vec<(mynah_convert::parakeet::Expected, Vec<f32>)> {
    let mut weights = support::weights(&support::config());
    weights.retain(|(expected, _)| !expected.name.starts_with("preprocessor."));
    weights
}

fn seeds() -> Vec<Vec<u8>> {
    let (pickle, storages) = support::state_dict(&weights());
    let layers = [
        (ARCHIVE, support::small_archive()),
        (CHECKPOINT, support::torch(pickle.clone(), &storages)),
        (PICKLE, pickle),
        (YAML, support::YAML.as_bytes().to_vec()),
        (TOKENIZER, support::spm(&support::config().pieces)),
    ];
    let mut seeds: Vec<Vec<u8>> = layers.map(|(layer, body)| [&[layer], &body[..]].concat()).into();
    // A short pickle, whose every byte matters.
    let short = support::Pickle::new().op(b"}").text("w").tensor("0", 4, 0, &[2, 2], &[2, 1]).op(b"s").stop();
    seeds.push([&[PICKLE], &short[..]].concat());
    seeds
}

const DICTIONARY: &[&[u8]] = &[
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n",
    b"ctorch\nBFloat16Storage\n",
    b"cos\nsystem\n",
    b"(X\x07\0\0\0storage",
    b"\x85R",
    b"\x86",
    b"q\x01h\x01",
    b"r\xff\xff\xff\xff",
    b"J\xff\xff\xff\x7f",
    b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"\x01\0\x18\0",
    b"../",
    b"ustar\0",
    b"\x1f\x8b\x08",
    b": &a ",
    b": *a",
    b"${encoder.d_model}",
    b"[[[[[[[[",
    b"rel_pos_local_attn",
    b"chunked_limited",
    b"1000000000000",
];
