//! Normalisation of rows by their own statistics.

use super::rows::Rows;
use crate::kernels::common::bind_result;
use crate::program::{Bind, Compiled};
use mynah_device::DeviceError;

/// `(x − mean) / sqrt(variance + eps) · gain + bias`.
pub(in crate::kernels) fn compile_layer(bind: &Bind<'_>, eps: f32) -> Result<Compiled, DeviceError> {
    let norm = Norm {
        name: "layer_norm",
        code: include_str!("layer.wgsl"),
        operands: &["gain", "bias"],
        mean: true,
    };
    norm.compile(bind, eps)
}

/// `x / sqrt(mean of x² + eps) · gain`.
pub(in crate::kernels) fn compile_rms(bind: &Bind<'_>, eps: f32) -> Result<Compiled, DeviceError> {
    Norm { name: "rms_norm", code: include_str!("rms.wgsl"), operands: &["gain"], mean: true }
        .compile(bind, eps)
}

/// `x / sqrt(sum of x² + eps)`.
pub(in crate::kernels) fn compile_l2(bind: &Bind<'_>, eps: f32) -> Result<Compiled, DeviceError> {
    Norm { name: "l2_norm", code: include_str!("rms.wgsl"), operands: &[], mean: false }.compile(bind, eps)
}

/// What one norm has and another has not.
struct Norm {
    name: &'static str,
    code: &'static str,
    /// Operands after `x`, as wide as its rows.
    operands: &'static [&'static str],
    /// Whether sums are divided by the width.
    mean: bool,
}

impl Norm {
    fn compile(&self, bind: &Bind<'_>, eps: f32) -> Result<Compiled, DeviceError> {
        let shape = bind.out_shape();
        let rows = Rows::new(shape.numel() / shape.last(), shape.last(), bind.caps());
        let mut k = bind.kernel();
        k.bind("x", rows.element(), &bind.operand(0)?);
        for (i, name) in self.operands.iter().enumerate() {
            k.bind(name, rows.element(), &bind.operand(1 + i)?);
        }
        bind_result(&mut k, bind, rows.element())?;
        if self.mean {
            k.param_f32("width", rows.width as f32);
        }
        k.param_f32("eps", eps);
        k.source().flag("MEAN", self.mean);
        k.source().flag("GAIN", !self.operands.is_empty());
        let (workgroup, groups) = rows.declare(&mut k);
        Ok(Compiled::one(k.finish(self.name, self.code, workgroup, groups)?))
    }
}
