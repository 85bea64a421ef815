//! What `mynah inspect` shows of a file.
#![allow(clippy::unwrap_used)]

use mynah_gguf::inspect::{Inspection, TypeTotal};
use mynah_gguf::{GgufFile, GgufWriter};
use mynah_tensor::DType;

fn inspection() -> Inspection {
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "parakeet").set("general.name", "tiny\x1b[2J");
    writer.set("parakeet.preprocessor.preemph", 0.97f32).set("odd", f32::NAN);
    writer.set("tdt.durations", vec![0i32, 1, 2, 3, 4]);
    let pieces: Vec<String> = (0..1024).map(|i| format!("p{i}")).collect();
    writer.set("parakeet.tokenizer.pieces", pieces);
    writer.tensor("norm", DType::F32, &[64], |out| out.write_all(&[0; 256])).unwrap();
    writer.tensor("linear", DType::Q8_0, &[640, 64], |out| out.write_all(&[0; 640 * 68])).unwrap();
    writer.tensor("bias", DType::F32, &[640], |out| out.write_all(&[0; 2560])).unwrap();
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    Inspection::new(&GgufFile::from_bytes(bytes).unwrap())
}

#[test]
fn sums_are_per_type() {
    let found = inspection();
    let total = |dtype: &str, tensors, elements, bytes| TypeTotal {
        dtype: dtype.to_owned(),
        tensors,
        elements,
        bytes,
    };
    assert_eq!(found.totals, [total("Q8_0", 1, 40960, 43520), total("F32", 2, 704, 2816)]);
    assert_eq!((found.elements, found.tensor_bytes), (41664, 46336));
    assert_eq!(found.architecture.as_deref(), Some("parakeet"));
}

#[test]
fn the_table_fits_a_terminal_and_does_not_command_it() {
    let table = inspection().to_string();
    assert!(!table.contains('\x1b') && table.contains("tiny\\u{1b}[2J"), "{table}");
    for line in [
        "architecture  parakeet",
        "  tdt.durations                  i32[5]        [0, 1, 2, 3, 4]",
        "  parakeet.preprocessor.preemph  f32           0.97",
        "\"p7\", ...]",
        "  Q8_0             1 tensors     41.0 k elements  42.5 KiB",
        "  linear  Q8_0  [640, 64]    42.5 KiB",
    ] {
        assert!(table.contains(line), "{table}\nlacks {line:?}");
    }
    assert!(!table.contains("p8"), "{table}");
}

#[test]
fn json_says_the_same() {
    let json: serde_json::Value = serde_json::from_str(&inspection().to_json().unwrap()).unwrap();
    assert_eq!(json["version"], 3);
    assert_eq!(json["architecture"], "parakeet");
    assert_eq!(json["totals"][0]["type"], "Q8_0");
    assert_eq!(json["tensors"][1]["shape"], serde_json::json!([640, 64]));
    assert_eq!(json["metadata"][2]["value"], 0.97);
    assert_eq!(json["metadata"][3]["value"], "NaN");
    assert_eq!(json["metadata"][5]["type"], "string[1024]");
    assert_eq!(json["metadata"][5]["value"].as_array().unwrap().len(), 8);
}
