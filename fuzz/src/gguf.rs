//! GGUF files: open, read everything, print, write again, read that.

use mynah_gguf::inspect::Inspection;
use mynah_gguf::{GgufError, GgufFile, GgufWriter};
use mynah_tensor::{DType, Rng};

use crate::{Target, kind_of};

/// The target.
pub const TARGET: Target = Target { name: "gguf", run, seeds, dictionary: DICTIONARY };

/// Opens the bytes as a file and does with it what every command does.
///
/// # Panics
/// When the reader accepts what it should not, or the writer does not write what the reader read.
pub fn run(bytes: &[u8]) -> u64 {
    match examine(bytes) {
        Ok(answer) => answer,
        Err(error) => kind_of(&error.to_string()),
    }
}

fn examine(bytes: &[u8]) -> Result<u64, GgufError> {
    let file = GgufFile::from_bytes(bytes.to_vec())?;
    let (mut unreadable, mut data_bytes) = (0, 0);
    for tensor in file.tensors() {
        assert_eq!(file.tensor(&tensor.name), Some(tensor), "the index does not find the tensor");
        match file.data(tensor) {
            Ok(data) => {
                assert_eq!(data.len(), tensor.nbytes);
                data_bytes += data.len();
                let values = file.host_tensor(tensor)?.to_f32();
                assert_eq!(values.len(), tensor.shape.numel());
            }
            Err(GgufError::UnknownTensorType { .. }) => unreadable += 1,
            Err(other) => panic!("a tensor that was checked cannot be read: {other}"),
        }
    }
    assert!(data_bytes <= bytes.len(), "tensors overlap");
    for (key, value) in file.metadata().iter() {
        assert_eq!(file.get_u32(key).is_ok(), value.as_integer().is_some_and(|v| u32::try_from(v).is_ok()));
        drop((file.get_str_array(key), file.get_i32_array(key), file.get_f32_array(key), file.get_f32(key)));
    }
    let inspection = Inspection::new(&file);
    assert!(inspection.to_json().is_ok_and(|json| json.len() > 2));
    assert!(inspection.to_string().lines().count() >= 5 + file.metadata().len() + file.tensors().len());
    if unreadable == 0 {
        rewrite(&file)?;
    }
    Ok(file.metadata().len() as u64 * 1000 + file.tensors().len() as u64 * 2 + u64::from(unreadable > 0))
}

/// Copies the file through the writer and compares.
fn rewrite(file: &GgufFile) -> Result<(), GgufError> {
    let mut writer = GgufWriter::new();
    for (key, value) in file.metadata().iter() {
        writer.set(key, value.clone());
    }
    for tensor in file.tensors() {
        writer.tensor_bytes(&tensor.name, tensor.dtype()?, tensor.shape.dims(), file.data(tensor)?)?;
    }
    // Alignment multiplies: a thousand bytes of table may ask for a gigabyte of padding after every tensor.
    if file.alignment() > 4096 {
        return Ok(());
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes)?;
    let copy = match GgufFile::from_bytes(bytes) {
        Ok(copy) => copy,
        Err(error) => panic!("the writer's file does not open: {error}"),
    };
    // By their debug form, because NaN is not equal to itself.
    assert_eq!(format!("{:?}", copy.metadata()), format!("{:?}", file.metadata()));
    assert_eq!(copy.tensors().len(), file.tensors().len());
    for (copied, tensor) in copy.tensors().iter().zip(file.tensors()) {
        assert_eq!((&copied.name, copied.shape), (&tensor.name, tensor.shape));
        assert_eq!(copy.data(copied)?, file.data(tensor)?);
    }
    Ok(())
}

/// The Python package's file with every metadata type, and a file shaped like a small model.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![include_bytes!("../../fixtures/gguf/types.gguf").to_vec()];
    let mut rng = Rng::new(1);
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "parakeet").set("parakeet.encoder.d_model", 64u32);
    writer.set("parakeet.tokenizer.pieces", (0..64).map(|i| format!("\u{2581}{i}")).collect::<Vec<_>>());
    writer.set("parakeet.tdt.durations", vec![0i32, 1, 2, 3, 4]);
    for dtype in DType::ALL {
        let shape = [2, dtype.block_len() * 2];
        let nbytes = 4 * dtype.block_bytes();
        let data: Vec<u8> = (0..nbytes).map(|_| rng.next_u64() as u8).collect();
        let added =
            writer.tensor(format!("layers.{dtype}.weight"), dtype, &shape, move |out| out.write_all(&data));
        drop(added);
    }
    let mut bytes = Vec::new();
    if writer.write_to(&mut bytes).is_ok() {
        seeds.push(bytes);
    }
    seeds
}

const DICTIONARY: &[&[u8]] = &[
    b"GGUF",
    b"general.alignment",
    b"general.architecture",
    b"\x11\0\0\0\0\0\0\0general.alignment\x04\0\0\0\x01\0\0\0",
    b"\x04\0\0\0",
    b"\x08\0\0\0",
    b"\x09\0\0\0",
    b"\x09\0\0\0\x01\0\0\0\0\0\0\0",
    b"\x09\0\0\0\x08\0\0\0",
    b"\x0c\0\0\0",
    b"\x27\0\0\0",
    b"\0\0\0\0\0\0\0\x80",
    b"\0\0\0\0\0\0\0\x10",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\0\0\0\0\0\0\0\0",
];
