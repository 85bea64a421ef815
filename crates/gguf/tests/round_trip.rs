//! What the writer writes, the reader reads; and no mutation of such a file brings the reader down.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use mynah_gguf::{Array, GgufError, GgufFile, GgufWriter, Value};
use mynah_tensor::DType;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

/// NaN is equal to nothing, and its bits are covered by the fixed files.
fn float() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("not a NaN", |x| !x.is_nan())
}

fn array() -> impl Strategy<Value = Array> {
    let flat = prop_oneof![
        vec(any::<u8>(), 0..5).prop_map(Array::from),
        vec(any::<i8>(), 0..5).prop_map(Array::from),
        vec(any::<u16>(), 0..5).prop_map(Array::from),
        vec(any::<i16>(), 0..5).prop_map(Array::from),
        vec(any::<u32>(), 0..5).prop_map(Array::from),
        vec(any::<i32>(), 0..5).prop_map(Array::from),
        vec(any::<u64>(), 0..5).prop_map(Array::from),
        vec(any::<i64>(), 0..5).prop_map(Array::from),
        vec(float().prop_map(|x| x as f32), 0..5).prop_map(Array::from),
        vec(float(), 0..5).prop_map(Array::from),
        vec(any::<bool>(), 0..5).prop_map(Array::from),
        vec(text(), 0..5).prop_map(Array::from),
    ];
    flat.prop_recursive(3, 16, 4, |inner| vec(inner, 0..4).prop_map(Array::from))
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        any::<u16>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        float().prop_map(|x| Value::F32(x as f32)),
        float().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        text().prop_map(Value::from),
        array().prop_map(Value::from),
    ]
}

#[derive(Debug, Clone)]
struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    data: Vec<u8>,
}

fn tensor() -> impl Strategy<Value = Tensor> {
    let parts = (prop::sample::select(DType::ALL.to_vec()), vec(1usize..4, 0..4), any::<u8>());
    parts.prop_map(|(dtype, mut shape, seed)| {
        match shape.last_mut() {
            Some(last) => *last *= dtype.block_len(),
            None if dtype.is_quantized() => shape.push(dtype.block_len()),
            None => {}
        }
        let nbytes = dtype.row_bytes(shape.iter().product()).unwrap();
        let data = (0..nbytes).map(|i| seed.wrapping_add(i as u8)).collect();
        Tensor { dtype, shape, data }
    })
}

#[derive(Debug, Clone)]
struct Content {
    alignment: u32,
    metadata: std::collections::BTreeMap<String, Value>,
    tensors: std::collections::BTreeMap<String, Tensor>,
}

fn content() -> impl Strategy<Value = Content> {
    let parts = (0u32..8, btree_map(text(), value(), 0..6), btree_map(text(), tensor(), 0..5));
    parts.prop_map(|(power, metadata, tensors)| Content { alignment: 1 << power, metadata, tensors })
}

fn write(content: &Content) -> Vec<u8> {
    let mut writer = GgufWriter::new();
    writer.set("general.alignment", content.alignment);
    for (key, value) in &content.metadata {
        writer.set(key, value.clone());
    }
    for (name, tensor) in &content.tensors {
        writer.tensor_bytes(name, tensor.dtype, &tensor.shape, &tensor.data).unwrap();
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    bytes
}

/// Everything a reader of a file does: all of it must return, whatever the bytes.
fn read_all(bytes: Vec<u8>) -> Result<(), GgufError> {
    let file = GgufFile::from_bytes(bytes)?;
    for tensor in file.tensors() {
        if let Ok(data) = file.data(tensor) {
            assert_eq!(data.len(), tensor.nbytes);
            file.host_tensor(tensor)?.to_f32();
        }
    }
    let inspection = mynah_gguf::inspect::Inspection::new(&file);
    assert!(!inspection.to_string().is_empty() && inspection.to_json().is_ok());
    Ok(())
}

proptest! {
    #[test]
    fn files_survive(content in content()) {
        let file = GgufFile::from_bytes(write(&content)).unwrap();
        prop_assert_eq!(file.alignment(), u64::from(content.alignment));
        for (key, value) in &content.metadata {
            prop_assert_eq!(file.metadata().get(key), Some(value));
        }
        prop_assert_eq!(file.metadata().len(), content.metadata.len() + 1);
        prop_assert_eq!(file.tensors().len(), content.tensors.len());
        for (name, tensor) in &content.tensors {
            let found = file.tensor(name).unwrap();
            prop_assert_eq!(found.dtype().unwrap(), tensor.dtype);
            prop_assert_eq!(found.shape.dims(), tensor.shape.as_slice());
            prop_assert_eq!(file.data(found).unwrap(), tensor.data.as_slice());
        }
    }

    #[test]
    fn mutated_files_never_panic(
        content in content(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = write(&content);
        for (index, value) in edits {
            let at = index.index(bytes.len());
            bytes[at] = value;
            drop(read_all(bytes.clone()));
        }
        bytes.truncate(cut.index(bytes.len()));
        drop(read_all(bytes));
    }
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let write = |value: u8, result: std::io::Result<()>| {
        let mut writer = GgufWriter::new();
        writer
            .tensor("w", DType::I8, &[4], |out| {
                out.write_all(&[value; 4])?;
                result
            })
            .unwrap();
        writer.write_file(&path)
    };
    write(1, Ok(())).unwrap();
    let error = write(2, Err(std::io::Error::other("the source went away"))).unwrap_err();
    assert!(error.to_string().contains("\"w\"") && error.to_string().contains("went away"), "{error}");
    let file = GgufFile::open(&path).unwrap();
    assert_eq!(file.data(file.require("w", [4]).unwrap()).unwrap(), [1; 4]);
    // A mapped file can be replaced; the mapping keeps the old content.
    write(3, Ok(())).unwrap();
    assert_eq!(file.data(file.tensor("w").unwrap()).unwrap(), [1; 4]);
    assert_eq!(GgufFile::open(&path).unwrap().file_bytes(), file.file_bytes());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let fill = |n: usize| move |out: &mut dyn Write| out.write_all(&vec![0; n]);
    let mut writer = GgufWriter::new();
    assert!(matches!(
        writer.tensor("w", DType::Q4K, &[2, 640], fill(0)).map(|_| ()),
        Err(GgufError::PartialBlock { len: 640, .. })
    ));
    assert!(matches!(
        writer.tensor("w", DType::F32, &[1; 5], fill(0)).map(|_| ()),
        Err(GgufError::TooManyDimensions { .. })
    ));
    assert!(matches!(
        writer.tensor("w", DType::F32, &[0], fill(0)).map(|_| ()),
        Err(GgufError::ZeroDimension { .. })
    ));
    writer.tensor("w", DType::F32, &[2], fill(7)).unwrap();
    let error = writer.write_to(&mut Vec::new()).unwrap_err();
    assert!(matches!(error, GgufError::DataLength { expected: 8, found: 7, .. }), "{error:?}");

    let mut writer = GgufWriter::new();
    writer.tensor("w", DType::F32, &[1], fill(4)).unwrap().tensor("w", DType::F32, &[1], fill(4)).unwrap();
    assert!(matches!(writer.write_to(&mut Vec::new()), Err(GgufError::DuplicateTensor { .. })));

    let mut writer = GgufWriter::new();
    writer.set("general.alignment", 24u32);
    assert!(matches!(writer.write_to(&mut Vec::new()), Err(GgufError::BadAlignment { alignment: 24 })));
}
