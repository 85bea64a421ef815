//! A file that the Python package wrote (`oracles/gguf_types.py`), read back value by value.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use mynah_gguf::{Array, GgufError, GgufFile, Value};
use mynah_tensor::{DType, Shape};

fn open() -> GgufFile {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gguf/types.gguf");
    GgufFile::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_metadata_type_reads_back() {
    let file = open();
    let expected: [(&str, Value); 15] = [
        ("general.architecture", "types".into()),
        ("scalar.u8", 255u8.into()),
        ("scalar.i8", (-128i8).into()),
        ("scalar.u16", 65535u16.into()),
        ("scalar.i16", (-32768i16).into()),
        ("scalar.u32", u32::MAX.into()),
        ("scalar.i32", i32::MIN.into()),
        ("scalar.u64", u64::MAX.into()),
        ("scalar.i64", i64::MIN.into()),
        ("scalar.f32", 0.97f32.into()),
        ("scalar.f64", 2f64.powi(-24).into()),
        ("scalar.true", true.into()),
        ("scalar.false", false.into()),
        ("scalar.string", "\u{2581}naïve \u{1f426}".into()),
        ("scalar.empty", "".into()),
    ];
    for (key, value) in expected {
        assert_eq!(file.metadata().get(key), Some(&value), "{key}");
    }
    let expected: [(&str, Array); 12] = [
        ("array.u8", vec![0u8, 255].into()),
        ("array.i8", vec![-128i8, 127].into()),
        ("array.u16", vec![0u16, 65535].into()),
        ("array.i16", vec![-32768i16, 32767].into()),
        ("array.u32", vec![0, u32::MAX].into()),
        ("array.i32", vec![0i32, 1, 2, 3, 4].into()),
        ("array.u64", vec![0, u64::MAX].into()),
        ("array.i64", vec![i64::MIN, i64::MAX].into()),
        ("array.f32", vec![0.5f32, -0.25].into()),
        ("array.f64", vec![0.1f64, -1e300].into()),
        ("array.bool", vec![true, false, true].into()),
        ("array.string", vec!["<unk>".to_owned(), "\u{2581}the".to_owned(), String::new()].into()),
    ];
    for (key, array) in expected {
        assert_eq!(file.metadata().get(key), Some(&Value::Array(array)), "{key}");
    }
    let nested = file.metadata().get("array.nested").unwrap();
    let Value::Array(Array::Array(rows)) = nested else { panic!("{nested:?}") };
    assert_eq!(rows.iter().map(Array::len).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(rows[1].get(0).and_then(|v| v.as_integer()), Some(3));
    // architecture, name, alignment, 14 scalars, 12 arrays, one nested.
    assert_eq!(file.metadata().len(), 30);
}

#[test]
fn tensors_lie_where_the_table_says() {
    let file = open();
    assert_eq!((file.version(), file.alignment(), file.tensors().len()), (3, 64, 5));
    let names: Vec<&str> = file.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["f32", "f16", "i32", "q8_0", "four"]);
    let values = |name: &str, shape: &[usize]| {
        let tensor = file.require(name, Shape::new(shape).unwrap()).unwrap();
        file.host_tensor(tensor).unwrap().to_f32()
    };
    assert_eq!(values("f32", &[2, 3]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(values("f16", &[4]), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(values("i32", &[3]), [-1.0, 0.0, 1.0]);
    assert_eq!(values("four", &[2, 1, 3, 1]), [1.0; 6]);
    let line = values("q8_0", &[2, 64]);
    for (i, x) in line.iter().enumerate() {
        let expected = -1.0 + 2.0 * i as f32 / 127.0;
        assert!((x - expected).abs() < 0.5 / 127.0, "element {i}: {x} for {expected}");
    }
    assert_eq!(file.tensor("q8_0").unwrap().dtype().unwrap(), DType::Q8_0);
    // A dropped page comes back with the same content.
    file.release_pages(file.tensor("f32").unwrap());
    assert_eq!(values("f32", &[2, 3])[5], 5.0);
}

#[test]
fn getters_convert_what_fits_and_name_what_does_not() {
    let file = open();
    assert_eq!(file.get_u32("scalar.u8").unwrap(), Some(255));
    assert_eq!(file.get_i32("scalar.i16").unwrap(), Some(-32768));
    assert_eq!(file.get_u64("scalar.u64").unwrap(), Some(u64::MAX));
    assert_eq!(file.get_f32("scalar.f64").unwrap(), Some(2f32.powi(-24)));
    assert_eq!(file.get_bool("scalar.true").unwrap(), Some(true));
    assert_eq!(file.get_str("general.name").unwrap(), Some("Every type"));
    assert_eq!(file.get_i32_array("array.u16").unwrap(), Some(vec![0, 65535]));
    assert_eq!(file.get_str_array("array.string").unwrap().map(<[String]>::len), Some(3));
    assert_eq!(file.get_f32_array("array.f64").unwrap().map(|v| v[0]), Some(0.1));
    assert_eq!(file.get_u32("no such key").unwrap(), None);

    let message = |result: Result<_, GgufError>| result.map(|_: Option<u32>| ()).unwrap_err().to_string();
    let error = message(file.get_u32("scalar.i8"));
    assert_eq!(error, r#"key "scalar.i8" is -128, which does not fit u32"#);
    let error = message(file.get_u32("scalar.string"));
    assert_eq!(error, r#"key "scalar.string" should be an integer, but is string"#);
    assert!(matches!(file.get_i32_array("array.u32"), Err(GgufError::ValueOutOfRange { .. })));
    assert!(matches!(file.get_i32_array("array.string"), Err(GgufError::WrongType { .. })));
    assert!(matches!(file.get_bool("scalar.u8"), Err(GgufError::WrongType { .. })));
    assert!(matches!(file.get_f32("scalar.u8"), Err(GgufError::WrongType { .. })));
    let error = file.require("f32", [3, 2]).unwrap_err().to_string();
    assert_eq!(error, r#"tensor "f32" should have the shape [3, 2], but has [2, 3]"#);
    assert!(matches!(file.require("f33", [1]), Err(GgufError::MissingTensor { .. })));
}
