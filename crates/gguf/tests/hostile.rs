//! Files that lie: one test per way, each with the error that names the lie.
#![allow(clippy::unwrap_used)]

mod raw;

use mynah_gguf::{GgufError as E, GgufFile};
use raw::Raw;

const F32: u32 = 0;
const Q8_0: u32 = 8;
const U32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// Asserts the variant of an error and that its message contains each of these texts.
macro_rules! assert_error {
    ($error:expr, $variant:pat, $($text:expr),+) => {{
        let error = $error;
        assert!(matches!(error, $variant), "{error:?}");
        let message = error.to_string();
        $(assert!(message.contains($text), "{message:?} lacks {:?}", $text);)+
    }};
}

/// A valid file of one key and two tensors.
fn valid() -> Raw {
    Raw::new(2, 1)
        .string("general.name")
        .u32(STRING)
        .string("x")
        .tensor("a", &[32, 2], Q8_0, 0)
        .tensor("b", &[3], F32, 96)
        .data(96 + 12)
}

#[test]
fn the_base_of_these_tests_is_valid() {
    let file = valid().open().unwrap();
    assert_eq!(file.tensors().len(), 2);
    assert_eq!(file.data(&file.tensors()[1]).unwrap(), [7; 12]);
}

#[test]
fn every_truncation_is_an_error() {
    let whole = valid().0;
    for length in 0..whole.len() {
        let error = GgufFile::from_bytes(whole[..length].to_vec()).unwrap_err();
        let known = matches!(
            error,
            E::Truncated { .. } | E::AbsurdCount { .. } | E::StringTooLong { .. } | E::OutOfRange { .. }
        );
        assert!(known, "{length} bytes: {error:?}");
    }
    assert_error!(Raw(whole[..30].to_vec()).error(), E::Truncated { .. } | E::AbsurdCount { .. }, "24");
}

#[test]
fn other_files() {
    assert_error!(Raw(b"RIFF....WAVE".to_vec()).error(), E::NotGguf { .. }, "RIFF");
    assert_error!(Raw(b"lmgg....".to_vec()).error(), E::LegacyGgml { .. }, "lmgg");
    assert_error!(Raw(Vec::new()).error(), E::Truncated { .. }, "header");
    assert_error!(Raw(b"GGUF\0\0\0\x03".to_vec()).error(), E::BigEndian { version: 3 }, "big-endian");
    assert_error!(Raw(b"GGUF\x01\0\0\0".to_vec()).error(), E::UnsupportedVersion { version: 1 }, "1");
    assert_error!(Raw(b"GGUF\x04\0\0\0".to_vec()).error(), E::UnsupportedVersion { version: 4 }, "4");
    assert_error!(Raw(b"GGUF\0\0\0\0".to_vec()).error(), E::UnsupportedVersion { version: 0 }, "0");
}

#[test]
fn version_2_has_the_same_layout() {
    let mut raw = valid();
    raw.0[4] = 2;
    assert_eq!(raw.open().unwrap().version(), 2);
}

#[test]
fn absurd_counts() {
    assert_error!(Raw::new(1 << 60, 0).error(), E::AbsurdCount { .. }, "tensors", "1152921504606846976");
    assert_error!(Raw::new(0, u64::MAX).error(), E::AbsurdCount { .. }, "metadata keys");
    let raw = Raw::new(0, 1).string("list").u32(ARRAY).u32(STRING).u64(1 << 61).data(64);
    assert_error!(raw.error(), E::AbsurdCount { .. }, "list");
    let raw = Raw::new(0, 1).string("list").u32(ARRAY).u32(U32).u64(1 << 62).data(64);
    assert_error!(raw.error(), E::AbsurdCount { .. }, "list");
}

#[test]
fn strings() {
    let raw = Raw::new(0, 1).string("name").u32(STRING).u64(1 << 63).data(64);
    assert_error!(raw.error(), E::StringTooLong { .. }, "name", "9223372036854775808", "48");
    let raw = Raw::new(0, 1).u64(u64::MAX).data(64);
    assert_error!(raw.error(), E::StringTooLong { .. }, "key 0");
    let raw = Raw::new(0, 1).string("name").u32(STRING).string(b"\xff\xfe").data(64);
    assert_error!(raw.error(), E::NotUtf8 { .. }, "name");
    let raw = Raw::new(1, 0).string(b"\xc3").data(64);
    assert_error!(raw.error(), E::NotUtf8 { .. }, "tensor 0", "32");
    let raw = Raw::new(0, 1).string("list").u32(ARRAY).u32(STRING).u64(2).string("a").u64(1 << 40).data(64);
    assert_error!(raw.error(), E::StringTooLong { .. }, "list");
}

#[test]
fn values() {
    let raw = Raw::new(0, 1).string("odd").u32(13).data(64);
    assert_error!(raw.error(), E::UnknownValueType { found: 13, .. }, "odd");
    let raw = Raw::new(0, 1).string("odd").u32(ARRAY).u32(99).u64(0).data(64);
    assert_error!(raw.error(), E::UnknownValueType { found: 99, .. }, "odd");
    let mut raw = Raw::new(0, 1).string("deep").u32(ARRAY);
    for _ in 0..100_000 {
        raw = raw.u32(ARRAY).u64(1);
    }
    assert_error!(raw.error(), E::NestingTooDeep { .. }, "deep", "8");
    let twice = Raw::new(0, 2).string("same").u32(U32).u32(1).string("same").u32(U32).u32(2);
    assert_error!(twice.error(), E::DuplicateKey { .. }, "same");
}

#[test]
fn alignments() {
    let with = |alignment: u32| Raw::new(0, 1).string("general.alignment").u32(U32).u32(alignment);
    assert_error!(with(0).error(), E::BadAlignment { alignment: 0 }, "alignment is 0");
    assert_error!(with(48).error(), E::BadAlignment { alignment: 48 }, "48");
    assert_error!(with(1 << 31).error(), E::BadAlignment { .. }, "2147483648");
    assert_eq!(with(1).open().unwrap().alignment(), 1);
    let text = Raw::new(0, 1).string("general.alignment").u32(STRING).string("32");
    assert_error!(text.error(), E::WrongType { .. }, "general.alignment", "string");
}

#[test]
fn tensor_descriptions() {
    let one =
        |dims: &[u64], kind: u32, offset: u64| Raw::new(1, 0).tensor("w", dims, kind, offset).data(4096);
    let cases = one(&[1; 5], F32, 0);
    assert_error!(cases.error(), E::TooManyDimensions { rank: 5, .. }, "\"w\"");
    let mut many = Raw::new(1, 0).string("w").u32(u32::MAX).data(64);
    assert_error!(many.error(), E::TooManyDimensions { .. }, "4294967295");
    assert_error!(one(&[4, 0], F32, 0).error(), E::ZeroDimension { .. }, "\"w\"", "[0, 4]");
    assert_error!(one(&[1 << 33, 1 << 33], F32, 0).error(), E::SizeOverflow { .. }, "\"w\"");
    assert_error!(one(&[1 << 62], F32, 0).error(), E::SizeOverflow { .. }, "4611686018427387904");
    assert_error!(one(&[33], Q8_0, 0).error(), E::PartialBlock { len: 33, .. }, "\"w\"", "Q8_0");
    assert_error!(one(&[4], F32, 8).error(), E::Misaligned { offset: 8, .. }, "\"w\"", "32");
    assert_error!(one(&[1024], F32, 32).error(), E::OutOfRange { .. }, "\"w\"", "4096");
    assert_error!(one(&[1], F32, u64::MAX - 31).error(), E::OutOfRange { .. }, "\"w\"");
    many = Raw::new(2, 0).tensor("w", &[4], F32, 0).tensor("w", &[4], F32, 32).data(64);
    assert_error!(many.error(), E::DuplicateTensor { .. }, "\"w\"");
    many = Raw::new(2, 0).tensor("b", &[64], F32, 32).tensor("a", &[16], F32, 0).data(4096);
    assert_error!(many.error(), E::Overlap { offset: 32, .. }, "\"a\"", "\"b\"");
    many = Raw::new(2, 0).tensor("b", &[8], F32, 0).tensor("a", &[8], F32, 0).data(4096);
    assert_error!(many.error(), E::Overlap { offset: 0, .. }, "\"a\"", "\"b\"");
}

#[test]
fn unknown_tensor_types_can_be_listed_but_not_read() {
    let file = Raw::new(1, 0).tensor("odd", &[1 << 40, 7], 777, 0).data(32).open().unwrap();
    let tensor = &file.tensors()[0];
    assert_eq!(tensor.shape.dims(), [7, 1 << 40]);
    assert_error!(file.data(tensor).unwrap_err(), E::UnknownTensorType { ggml_id: 777, .. }, "odd", "777");
    file.release_pages(tensor);
}

#[test]
fn descriptions_of_other_files_do_not_reach_outside() {
    let (file, other) = (valid().open().unwrap(), Raw::new(1, 0).tensor("w", &[4096], F32, 0).data(1 << 14));
    let other = other.open().unwrap();
    assert_error!(file.data(&other.tensors()[0]).unwrap_err(), E::OutOfRange { .. }, "\"w\"", "16384");
    file.release_pages(&other.tensors()[0]);
}

#[test]
fn paths() {
    let folder = tempfile::tempdir().unwrap();
    assert_error!(GgufFile::open(folder.path().join("none.gguf")).unwrap_err(), E::Io { .. }, "none.gguf");
    assert_error!(GgufFile::open(folder.path()).unwrap_err(), E::Io { .. }, "directory");
    let empty = folder.path().join("empty.gguf");
    std::fs::write(&empty, "").unwrap();
    assert!(matches!(GgufFile::open(&empty), Err(E::Truncated { .. })));
}

/// Quarter of a million entries: quadratic work would take minutes.
#[test]
fn large_tables_open_quickly() {
    let mut raw = Raw::new(20_000, 1).string("tokens").u32(ARRAY).u32(STRING).u64(250_000);
    for i in 0..250_000 {
        raw = raw.string(format!("piece {i}"));
    }
    for i in 0..20_000u64 {
        raw = raw.tensor(&format!("tensor {i}"), &[8], F32, 32 * i);
    }
    let raw = raw.data(20_000 * 32);
    let start = std::time::Instant::now();
    let file = raw.open().unwrap();
    let tokens = file.get_str_array("tokens").unwrap().unwrap();
    assert_eq!(tokens[249_999], "piece 249999");
    for i in (0..20_000u64).step_by(7) {
        assert_eq!(file.tensor(&format!("tensor {i}")).unwrap().offset, 32 * i);
    }
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
