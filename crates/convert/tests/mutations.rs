//! Damaged archives and folders: whatever is changed, reading ends in a checkpoint or an error, never in a panic.

mod support;

use std::sync::LazyLock;

use mynah_convert::{hf, nemo};
use proptest::prelude::*;
use support::{Pickle, archive_of, small_archive, torch};

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(small_archive);

/// Reads every tensor of what was read.
fn exhaust(result: Result<mynah_convert::parakeet::Checkpoint, nemo::NemoError>) {
    if let Ok(checkpoint) = result {
        for tensor in &checkpoint.tensors {
            let mut values = vec![0.0; tensor.shape.numel().min(1 << 16)];
            let _ = tensor.source.read(0, &mut values);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn changed_bytes(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..8)) {
        let mut bytes = GOOD.clone();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        exhaust(nemo::read_bytes(bytes, "x"));
    }

    #[test]
    fn cut_short(length in any::<usize>()) {
        let length = length % GOOD.len();
        exhaust(nemo::read_bytes(GOOD[..length].to_vec(), "x"));
    }

    #[test]
    fn arbitrary_pickles(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let storages = [("0".to_owned(), vec![0.5f32; 8])];
        let pickle = Pickle::new().op(b"}").text("w").op(&body).op(b"s").stop();
        exhaust(nemo::read_bytes(archive_of(&torch(pickle, &storages)), "x"));
    }

    #[test]
    fn likely_pickles(ops in prop::collection::vec(prop::sample::select(
        b"(.012GJKMNQRTUX]abceh}jqrstu)\x80\x81\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95\x00\x01\x02".to_vec()), 0..120)) {
        let pickle = Pickle::new().global("collections", "OrderedDict").op(b"q\x00")
            .global("torch._utils", "_rebuild_tensor_v2").op(b"q\x01").op(&ops).op(b".").0;
        exhaust(nemo::read_bytes(archive_of(&torch(pickle, &[])), "x"));
    }

    #[test]
    fn arbitrary_yaml(text in "[-a-z0-9:&*\\[\\]{},'\"|>#%!? \n]{0,200}") {
        let members: [(&str, &[u8]); 2] = [("model_config.yaml", text.as_bytes()), ("model_weights.ckpt", b"PK")];
        exhaust(nemo::read_bytes(support::tar(&members), "x"));
    }

    #[test]
    fn damaged_folders(changes in prop::collection::vec((0usize..3, any::<usize>(), any::<u8>()), 1..4)) {
        let folder = tempfile::tempdir().unwrap();
        let header = br#"{"encoder.subsampling.linear.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
        let mut weights = (header.len() as u64).to_le_bytes().to_vec();
        weights.extend(header);
        weights.extend([0; 16]);
        let config = br#"{"model_type":"parakeet_ctc","vocab_size":3,"pad_token_id":2,"encoder_config":{"hidden_size":4,
            "num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":8,"conv_kernel_size":3,"num_mel_bins":8,
            "subsampling_factor":2,"subsampling_conv_channels":2}}"#;
        let mut files = [weights, config.to_vec(), br#"{"model":{"vocab":{"a":0,"b":1}}}"#.to_vec()];
        for (file, at, value) in changes {
            let at = at % files[file].len();
            files[file][at] = value;
        }
        for (name, bytes) in ["model.safetensors", "config.json", "tokenizer.json"].iter().zip(&files) {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        prop_assert!(hf::read(folder.path()).is_err(), "most tensors are missing");
    }
}
