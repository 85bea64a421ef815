//! Matrix products at the shapes of the models: every weight type at the numbers of rows where kernels change, and the
//! widths of the four families.
//!
//! Rows of a weight are left out where the reference would take too long; inner dimensions never are, because they
//! decide the rounding, and numbers of rows of `x` never are, because they decide the kernel.

use super::product::Product;
use super::{Cases, WEIGHT_TYPES};
use crate::case::Fill;
use mynah_graph::{Activation, Epilogue};
use mynah_tensor::DType;

/// One decode step, two, a small batch, one more than that, a tile, an encoder's frames.
pub(super) const ROWS: [usize; 6] = [1, 2, 8, 9, 64, 512];

/// Terms, columns, rows, batch, bias and activation of the products in Chatterbox's flow transformer, whose weights are
/// Q4_0.
const CHATTERBOX: [([usize; 4], bool, Option<Activation>); 8] = [
    ([256, 256, 87, 2], true, None),
    ([256, 512, 87, 2], true, None),
    ([1024, 256, 87, 2], true, None),
    ([256, 512, 87, 1], true, None),
    ([256, 1024, 87, 2], true, None),
    ([256, 1024, 87, 2], true, Some(Activation::Gelu)),
    ([256, 320, 87, 2], true, None),
    ([256, 320, 87, 2], true, Some(Activation::Gelu)),
];

/// Widths of products of each family: name, terms, columns (all of them, or the slice that is tested), type.
const WIDTHS: [(&str, usize, usize, DType); 18] = [
    ("parakeet-0.6b-qkv", 1024, 192, DType::Q8_0),
    ("parakeet-0.6b-ff2", 4096, 48, DType::Q8_0),
    ("parakeet-1.1b-pointwise", 1024, 192, DType::F16),
    ("parakeet-joint", 640, 1030, DType::F16),
    ("qwen3.5-0.8b-qkv", 1024, 256, DType::Q8_0),
    ("qwen3.5-0.8b-down", 3584, 48, DType::Q4K),
    ("qwen3.5-0.8b-out", 2048, 96, DType::Q5K),
    ("qwen3.5-4b-qkv", 2560, 64, DType::Q4K),
    ("qwen3.5-9b-down", 12288, 16, DType::Q6K),
    ("qwen3.5-alpha", 1024, 16, DType::F32),
    ("chatterbox-t3-qkv", 1024, 192, DType::Q4_0),
    ("chatterbox-t3-down", 4096, 48, DType::Q4_0),
    ("chatterbox-time", 320, 1024, DType::F32),
    ("chatterbox-resnet", 1024, 256, DType::F32),
    ("deepseek4-query-down", 4096, 64, DType::Q8_0),
    ("deepseek4-query-up", 1024, 256, DType::Q8_0),
    ("deepseek4-group-out", 8192, 24, DType::Q8_0),
    ("deepseek4-indexer", 1024, 256, DType::F16),
];

pub(super) fn cases() -> Cases {
    let normal = Fill::Normal(1.0);
    let plain = Epilogue::default();
    let mut all = Vec::new();
    for dtype in WEIGHT_TYPES {
        for rows in ROWS {
            all.push(
                Product { x: &[rows, 1024], rows: 40, dtype, epilogue: plain, fill: normal }.case("rows")?,
            );
        }
    }
    for ([terms, columns, rows, batch], bias, activation) in CHATTERBOX {
        let epilogue = Epilogue { bias, activation, ..plain };
        let product =
            Product { x: &[batch, rows, terms], rows: columns, dtype: DType::Q4_0, epilogue, fill: normal };
        all.push(product.case("chatterbox-flow")?);
    }
    for (name, terms, columns, dtype) in WIDTHS {
        for rows in [1, 7, 33] {
            let product = Product { x: &[rows, terms], rows: columns, dtype, epilogue: plain, fill: normal };
            all.push(product.case(name)?);
        }
    }
    Ok(all)
}
