//! A norm or a gated unit before products of few rows, op by op as models write them: what a planner may make part of the products.

use super::Cases;
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{Activation, BinaryOp, Epilogue, Op};
use mynah_tensor::DType;

/// A norm and a product add their errors.
const BOTH: Bounds = Bounds { exact: 1e-10, fast: 1e-3 };
/// Far from zero the mean is off by its own rounding, which not every device takes out again.
const FAR: Bounds = Bounds { exact: 1e-8, fast: 1e-3 };

/// What comes before.
#[derive(Clone, Copy)]
enum Before {
    RmsNorm,
    /// Of rows this far from zero, where the mean is not exact.
    LayerNorm(f32),
    Gated(Activation),
}

impl Before {
    fn name(self) -> String {
        match self {
            Self::RmsNorm => "rms-norm".to_owned(),
            Self::LayerNorm(0.0) => "layer-norm".to_owned(),
            Self::LayerNorm(offset) => format!("layer-norm-offset{offset}"),
            Self::Gated(f) => format!("gated-{}", f.name()),
        }
    }

    fn case(self, rows: usize, width: usize, types: [DType; 2]) -> Result<OpCase, LabError> {
        let [first, second] = types;
        let name = format!("prologue/{}/{rows}x{width}/{first}/{second}", self.name());
        let mut b = CaseBuilder::new("composite", &name);
        let fill = match self {
            Self::LayerNorm(offset) => Fill::Within(offset - 1.0, offset + 1.0),
            _ => Fill::Normal(2.0),
        };
        let x = b.input("x", &[rows, width], fill);
        let mut elements = |name: &str, fill| b.weight(name, &[width], DType::F32, fill);
        let value = match self {
            Self::RmsNorm => {
                let gain = elements("gain", Fill::Around(1.0));
                b.op(Op::RmsNorm { eps: 1e-6 }, &[x, gain])
            }
            Self::LayerNorm(_) => {
                let (gain, bias) = (elements("gain", Fill::Around(1.0)), elements("bias", Fill::Normal(0.5)));
                b.op(Op::LayerNorm { eps: 1e-5 }, &[x, gain, bias])
            }
            Self::Gated(f) => {
                let gate = b.input("gate", &[rows, width], Fill::Normal(2.0));
                b.op(Op::Gated(f), &[x, gate])
            }
        };
        let deviation = Fill::Normal(1.0 / (width as f32).sqrt());
        let residual = b.input("residual", &[rows, 40], Fill::Normal(1.0));
        let w = b.weight("w0", &[40, width], first, deviation);
        let y0 = b.op(Op::MatMul(Epilogue::default()), &[value, w]);
        let y0 = b.op(Op::Binary(BinaryOp::Add), &[y0, residual]);
        let (w, bias) = (
            b.weight("w1", &[129, width], second, deviation),
            b.weight("bias1", &[129], DType::F32, Fill::Normal(1.0)),
        );
        let y1 = b.op(Op::MatMul(Epilogue::default()), &[value, w]);
        let y1 = b.op(Op::Binary(BinaryOp::Add), &[y1, bias]);
        let y1 = b.op(Op::Unary(Activation::GeluTanh), &[y1]);
        let far = matches!(self, Self::LayerNorm(offset) if offset > 1.0);
        b.finish(&[y0, y1], if far { FAR } else { BOTH })
    }
}

pub(super) fn cases() -> Cases {
    use DType::{BF16, F16, F32, Q4_0, Q4K, Q5_0, Q5K, Q6K, Q8_0};
    let all = [
        Before::RmsNorm,
        Before::LayerNorm(0.0),
        Before::LayerNorm(300.0),
        Before::Gated(Activation::Silu),
        Before::Gated(Activation::Sigmoid),
    ];
    let mut cases = Vec::new();
    for before in all {
        for (rows, types) in
            [(1, [Q8_0, Q4K]), (2, [F16, Q5_0]), (3, [F32, Q6K]), (8, [BF16, Q5K]), (9, [Q8_0, Q4_0])]
        {
            cases.push(before.case(rows, 256, types)?);
        }
        // The widths of real feed-forward layers, and one that is shorter than a workgroup.
        cases.push(before.case(1, 3584, [Q8_0, F16])?);
        cases.push(before.case(1, 32, [Q8_0, F32])?);
    }
    Ok(cases)
}
