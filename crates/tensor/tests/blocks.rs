//! The block formats against the reference bytes in `fixtures/blocks`, which `oracles/blocks.py` wrote with the Python
//! package `gguf` and ggml's own quantisers.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use mynah_tensor::{DType, TensorError, decode_row, dot_row, encode_row};
use proptest::prelude::*;
use serde_json::Value;

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/blocks").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn floats(name: &str) -> Vec<f32> {
    let bytes = fixture(name);
    bytes.as_chunks::<4>().0.iter().map(|&word| f32::from_le_bytes(word)).collect()
}

fn manifest() -> Value {
    serde_json::from_slice(&fixture("manifest.json")).unwrap()
}

fn decode(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    let mut out = vec![f32::NAN; bytes.len() / dtype.block_bytes() * dtype.block_len()];
    decode_row(dtype, bytes, &mut out).unwrap();
    out
}

fn encode(dtype: DType, values: &[f32]) -> Vec<u8> {
    let mut out = vec![0xa5; dtype.row_bytes(values.len()).unwrap()];
    encode_row(dtype, values, &mut out).unwrap();
    out
}

fn rmse(a: &[f32], b: &[f32]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    (sum / a.len() as f64).sqrt()
}

#[test]
fn decoders_give_the_bits_of_the_python_package() {
    let manifest = manifest();
    let table = manifest["decode"].as_object().unwrap();
    assert_eq!(table.len(), 15);
    for (name, facts) in table {
        let dtype: DType = name.parse().unwrap();
        assert_eq!(u64::from(dtype.ggml_id()), facts["ggml_type"].as_u64().unwrap(), "{name}");
        assert_eq!(dtype.block_len() as u64, facts["block_values"].as_u64().unwrap(), "{name}");
        assert_eq!(dtype.block_bytes() as u64, facts["block_bytes"].as_u64().unwrap(), "{name}");
        let expected = floats(&format!("{name}.f32"));
        let found = decode(dtype, &fixture(&format!("{name}.bin")));
        assert_eq!(found.len(), expected.len(), "{name}");
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found.to_bits(), expected.to_bits(), "{name} element {i}: {found} for {expected}");
        }
    }
}

#[test]
fn simple_encoders_give_the_bytes_of_the_references() {
    let input = floats("input.f32");
    for dtype in [DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q5_0] {
        let expected = fixture(&format!("input.{dtype}.ggml.bin"));
        assert!(encode(dtype, &input) == expected, "{dtype} differs from ggml's bytes");
    }
    let edges = floats("half_edges.f32");
    for dtype in [DType::F16, DType::BF16] {
        let expected = fixture(&format!("half_edges.{dtype}.bin"));
        for (i, (found, expected)) in encode(dtype, &edges).chunks(2).zip(expected.chunks(2)).enumerate() {
            assert_eq!(found, expected, "{dtype} of {:e}", edges[i]);
        }
    }
}

#[test]
fn searching_encoders_have_no_more_error_than_ggml() {
    let (input, manifest) = (floats("input.f32"), manifest());
    let columns = manifest["encode"]["columns"].as_u64().unwrap() as usize;
    for dtype in [DType::Q4K, DType::Q5K, DType::Q6K, DType::Iq4Nl, DType::Mxfp4] {
        let facts = &manifest["encode"]["types"][dtype.name()]["ggml"];
        let decoded = decode(dtype, &encode(dtype, &input));
        let (found, bound) = (rmse(&input, &decoded), facts["rmse"].as_f64().unwrap());
        assert!(found <= bound, "{dtype}: rmse {found:.4e}, ggml {bound:.4e}");
        let rows = input.chunks(columns).zip(decoded.chunks(columns));
        for (r, ((row, decoded), bound)) in rows.zip(facts["row_rmse"].as_array().unwrap()).enumerate() {
            // The manifest has seven digits.
            let (found, bound) = (rmse(row, decoded), bound.as_f64().unwrap() * (1.0 + 1e-6));
            assert!(found <= bound, "{dtype} row {r}: rmse {found:.6e}, ggml {bound:.6e}");
        }
    }
}

#[test]
fn a_dot_is_the_dot_of_the_decoded_row() {
    let manifest = manifest();
    for name in manifest["decode"].as_object().unwrap().keys() {
        let dtype: DType = name.parse().unwrap();
        // Past the edge cases at the start, which hold infinities; random BF16 reaches 1e38, hence the small factors.
        let bytes = fixture(&format!("{name}.bin"));
        let bytes = &bytes[bytes.len() / 2..];
        let x: Vec<f32> =
            decode(dtype, bytes).iter().enumerate().map(|(i, _)| (i % 7) as f32 * 0.01 - 0.03).collect();
        let exact: f64 =
            decode(dtype, bytes).iter().zip(&x).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum();
        let found = f64::from(dot_row(dtype, bytes, &x).unwrap());
        assert!((found - exact).abs() <= 1e-6 * exact.abs(), "{name}: {found} for {exact}");
    }
}

#[test]
fn sizes_and_values_that_do_not_fit_are_named() {
    let (mut bytes, mut values) = ([0; 34], [0.0; 32]);
    let error = decode_row(DType::Q8_0, &bytes[..33], &mut values).unwrap_err();
    assert!(matches!(error, TensorError::ByteLength { expected: 34, found: 33, .. }), "{error:?}");
    let error = decode_row(DType::Q8_0, &bytes, &mut values[..31]).unwrap_err();
    assert_eq!(error.to_string(), "a row of 31 elements is no multiple of the 32-element blocks of Q8_0");
    assert_eq!(
        encode_row(DType::Q4_1, &values, &mut bytes[..20]),
        Err(TensorError::NoEncoder { dtype: DType::Q4_1 })
    );
    for value in [f32::NAN, f32::NEG_INFINITY, 1e6] {
        values[5] = value;
        let error = encode_row(DType::Q8_0, &values, &mut bytes).unwrap_err();
        assert!(matches!(error, TensorError::Unrepresentable { index: 5, .. }), "{error:?}");
    }
}

/// A block of values of any magnitude that can be encoded, plain and odd ones mixed.
fn block() -> impl Strategy<Value = Vec<f32>> {
    let odd =
        prop_oneof![Just(0.0f32), Just(-0.0), Just(524_032.0), Just(-524_032.0), Just(1e-40), Just(1e-38)];
    let value = prop_oneof![8 => -1.0f32..1.0, 1 => odd];
    (prop::collection::vec(value, 256), -60i32..19).prop_map(|(values, power)| {
        values.iter().map(|x| (x * 2f32.powi(power)).clamp(-524_032.0, 524_032.0)).collect()
    })
}

proptest! {
    #[test]
    fn every_encodable_block_decodes_to_something_near(values in block()) {
        let low = values.iter().fold(0.0f32, |m, &x| m.min(x));
        let high = values.iter().fold(0.0f32, |m, &x| m.max(x));
        for (dtype, levels) in [
            (DType::Q8_0, 254.0), (DType::Q4_0, 15.0), (DType::Q5_0, 31.0),
            (DType::Q4K, 15.0), (DType::Q5K, 31.0), (DType::Q6K, 63.0), (DType::Iq4Nl, 15.0), (DType::Mxfp4, 6.0),
        ] {
            let decoded = decode(dtype, &encode(dtype, &values));
            // One step of the coarsest layout: twice the largest magnitude over the levels. Below that, the smallest
            // half-precision scale times the levels is all that a format can resolve.
            let step = 2.0 * f32::max(high, -low) / levels;
            let error = rmse(&values, &decoded);
            prop_assert!(error <= f64::from(step) + 32.0 * 6e-8, "{dtype}: rmse {error:e}, step {step:e}");
        }
    }
}
