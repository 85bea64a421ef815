//! Matrix products: every weight type, the shapes of linear layers, and every epilogue.

use super::{Cases, WEIGHT_TYPES, by};
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{Activation, Epilogue, Op};
use mynah_tensor::DType;

/// `x` dimensions, rows of the weight, weight type and epilogue of one case.
pub(super) struct Product<'a> {
    pub(super) x: &'a [usize],
    pub(super) rows: usize,
    pub(super) dtype: DType,
    pub(super) epilogue: Epilogue,
    pub(super) fill: Fill,
}

impl Product<'_> {
    pub(super) fn case(&self, tag: &str) -> Result<OpCase, LabError> {
        let inner = self.x.last().copied().unwrap_or(1);
        let e = &self.epilogue;
        let detail = format!("{tag}/{}*{}/{}{}", by(self.x), self.rows, self.dtype, describe(e));
        let mut b = CaseBuilder::new("matmul", &detail);
        let x = b.input("x", self.x, self.fill);
        // Products of deviation near 1 whatever the inner dimension.
        let deviation = 1.0 / (inner as f32).sqrt();
        let w = b.weight("w", &[self.rows, inner], self.dtype, Fill::Normal(deviation));
        let mut operands = vec![x, w];
        if e.bias {
            operands.push(b.weight("bias", &[self.rows], DType::F32, Fill::Normal(1.0)));
        }
        if e.residual {
            let mut dims = self.x.to_vec();
            dims.pop();
            dims.push(self.rows);
            operands.push(b.input("residual", &dims, Fill::Normal(1.0)));
        }
        let y = b.op(Op::MatMul(*e), &operands);
        b.finish(&[y], Bounds::product(self.dtype))
    }
}

/// An epilogue as it stands in a case's name.
pub(super) fn describe(e: &Epilogue) -> String {
    let mut text = String::new();
    if e.bias {
        text.push_str("+bias");
    }
    if let Some(f) = e.activation {
        text.push('+');
        text.push_str(f.name());
    }
    if e.scale != 1.0 {
        text.push_str(&format!("*{}", e.scale));
    }
    if e.residual {
        text.push_str("+residual");
    }
    text
}

pub(super) fn cases() -> Cases {
    let normal = Fill::Normal(1.0);
    let plain = Epilogue::default();
    let mut all = Vec::new();
    let mut add = |tag: &str, x: &[usize], rows, dtype, epilogue, fill| -> Result<(), LabError> {
        all.push(Product { x, rows, dtype, epilogue, fill }.case(tag)?);
        Ok(())
    };
    for dtype in WEIGHT_TYPES {
        // Rows of a batch, one decode step, an inner dimension of 4096, and sizes off every tile.
        add("0.6b-ff-slice", &[1, 33, 1024], 256, dtype, plain, normal)?;
        add("110m-step", &[1, 512], 1030, dtype, plain, normal)?;
        add("0.6b-ff2-slice", &[17, 4096], 64, dtype, plain, normal)?;
        add("odd", &[3, 256], 17, dtype, plain, normal)?;
        add("one-row-weight", &[5, 256], 1, dtype, plain, normal)?;
        add("outliers", &[7, 512], 48, dtype, plain, Fill::Normal(1e4))?;
        add("equal-rows", &[4, 512], 40, dtype, plain, Fill::EqualRows)?;
    }
    // The joint network and the LSTM have rows of 640, which K-quants can't store.
    for dtype in [DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q5_0] {
        add("joint-batch", &[6, 640], 1030, dtype, plain, normal)?;
        add("lstm", &[1, 640], 2560, dtype, Epilogue { bias: true, ..plain }, normal)?;
        add("short-inner", &[9, 32], 33, dtype, plain, normal)?;
    }
    for dtype in [DType::F32, DType::F16, DType::Q8_0] {
        add("joint", &[1, 640], 8198, dtype, plain, normal)?;
    }
    for inner in [1, 3, 17, 31, 33] {
        add("odd-inner", &[5, inner], 19, DType::F32, plain, normal)?;
        add("odd-inner", &[5, inner], 19, DType::F16, plain, normal)?;
        add("odd-inner", &[5, inner], 19, DType::BF16, plain, normal)?;
    }
    for dtype in [DType::F32, DType::Q8_0] {
        for bits in 0..16u8 {
            let epilogue = Epilogue {
                bias: bits & 1 != 0,
                activation: (bits & 2 != 0).then_some(Activation::Silu),
                scale: if bits & 4 != 0 { 0.5 } else { 1.0 },
                residual: bits & 8 != 0,
            };
            add("epilogue", &[2, 11, 96], 37, dtype, epilogue, normal)?;
        }
        for activation in [Activation::Relu, Activation::Gelu, Activation::Tanh, Activation::Sigmoid] {
            let epilogue = Epilogue { bias: true, activation: Some(activation), ..plain };
            add("epilogue", &[2, 11, 96], 37, dtype, epilogue, normal)?;
        }
    }
    add("vector", &[640], 33, DType::F32, plain, normal)?;
    add("rank4", &[2, 3, 4, 64], 20, DType::F32, plain, normal)?;
    add("0.6b-attention", &[1, 138, 1024], 128, DType::F32, plain, normal)?;
    add("0.6b-attention", &[1, 138, 1024], 128, DType::Q8_0, plain, normal)?;
    add("subsampling-out-slice", &[1, 17, 4096], 64, DType::F32, Epilogue { bias: true, ..plain }, normal)?;
    all.push(computed_weight()?);
    Ok(all)
}

/// The right factor is an activation, as in attention written out.
fn computed_weight() -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("matmul", "computed-weight/17x64*23");
    let x = b.input("x", &[17, 64], Fill::Normal(1.0));
    let w = b.input("w", &[23, 64], Fill::Normal(0.125));
    let y = b.op(Op::MatMul(Epilogue::default()), &[x, w]);
    b.finish(&[y], Bounds::PRODUCT)
}
