//! The block formats against the reference bytes in `fixtures/blocks`, which `oracles/blocks.py` wrote with the Python
//! package `gguf` and ggml's own quantisers.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use mynah_tensor::{DType, decode_row, dot_row, encode_row};
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
fn k_quant_encoders_have_no_more_error_than_ggml() {
    let (input, manifest) = (floats("input.f32"), manifest());
    let columns = manifest["encode"]["columns"].as_u64().unwrap() as usize;
    for dtype in [DType::Q4K, DType::Q5K, DType::Q6K] {
        let facts = &manifest["encode"]["types"][dtype.name()]["ggml"];
        let decoded = decode(dtype, &encode(dtype, &input));
        let (found, bound) = (rmse(&input, &decoded), facts["rmse"].as_f64().unwrap());
        println!("{dtype}: rmse {found:.3e}, ggml {bound:.3e}");
        assert!(found <= bound, "{dtype}: rmse {found:.4e}, ggml {bound:.4e}");
        let rows = input.chunks(columns).zip(decoded.chunks(columns));
        for (r, ((row, decoded), bound)) in rows.zip(facts["row_rmse"].as_array().unwrap()).enumerate() {
            let (found, bound) = (rmse(row, decoded), bound.as_f64().unwrap());
            println!("  row {r}: {found:.6e} {bound:.6e} {:.3}", found / bound);
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
