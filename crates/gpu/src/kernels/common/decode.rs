//! Weights in kernels: binds the planes of a matrix and declares what [`DECODE`]'s functions need to know of its type.

use crate::caps::Capabilities;
use crate::program::{Kernel, Matrix, Operand};
use crate::weights::{MatrixType, element_planes, has_factors};
use mynah_tensor::LevelFormat;
use std::ops::Range;

const DECODE: &str = include_str!("decode.wgsl");
const SCALES: &str = include_str!("decode_scales.wgsl");
const SCALE: &str = include_str!("decode_scale.wgsl");
const QUAD: &str = include_str!("decode_quad.wgsl");

/// The matrix that a kernel reads: a weight in planes, or rows of f32 that were computed.
#[derive(Clone, Debug)]
pub(crate) enum Factor {
    /// A weight.
    Weight(Matrix),
    /// `[n, k]` in the arena.
    Computed {
        /// Its memory.
        operand: Operand,
        /// Elements of a row.
        k: usize,
    },
}

/// How a kernel reads the low plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loads {
    /// `decode_quad(row, quad)`: four elements at a time; `p.low_stride` counts what four elements or a word take.
    Quads,
    /// Vectors of one, two or four words, which the kernel takes apart itself; `p.low_stride` counts them.
    Vectors(usize),
}

impl Factor {
    /// How its elements are stored.
    pub(crate) fn stored(&self) -> MatrixType {
        match self {
            Self::Weight(matrix) => matrix.stored,
            Self::Computed { .. } => MatrixType::F32,
        }
    }

    /// The levels of quantised blocks.
    pub(crate) fn format(&self) -> Option<LevelFormat> {
        match self.stored() {
            MatrixType::Blocks(dtype) => LevelFormat::of(dtype),
            _ => None,
        }
    }

    /// The type's name, for kernel names.
    pub(crate) fn name(&self) -> String {
        match self.stored() {
            MatrixType::F32 => "f32".into(),
            MatrixType::F16 => "f16".into(),
            MatrixType::Bf16 => "bf16".into(),
            MatrixType::Blocks(dtype) => dtype.to_string().to_lowercase(),
        }
    }

    /// Whether rows of 16-byte vectors can be loaded.
    pub(crate) fn aligned(&self) -> bool {
        !matches!(self, Self::Computed { k, .. } if !k.is_multiple_of(4))
    }

    /// A power of two for each row that brings its elements into the range of f16; `None` for types within it, and for what was
    /// computed.
    pub(crate) fn factors(&self) -> Option<Operand> {
        let Self::Weight(matrix) = self else { return None };
        has_factors(matrix.stored).then(|| matrix.factors())
    }

    /// The rows cut into parts that a binding of an adapter can hold, one part where all fit.
    pub(crate) fn parts(&self, rows: usize, caps: &Capabilities) -> Vec<(Range<usize>, Self)> {
        let whole = || vec![(0..rows, self.clone())];
        let Self::Weight(matrix) = self else { return whole() };
        let most = usize::try_from(caps.max_binding).unwrap_or(usize::MAX) / matrix.row_bytes();
        let step = most / Matrix::STEP * Matrix::STEP;
        if rows <= most || step == 0 {
            return whole();
        }
        let starts = (0..rows).step_by(step);
        let parts = starts.map(|start| start..rows.min(start + step));
        parts.map(|part| (part.clone(), Self::Weight(matrix.part(part)))).collect()
    }

    /// Bindings that its planes take.
    pub(crate) fn bindings(&self) -> usize {
        match self {
            Self::Weight(matrix) => element_planes(matrix.strides),
            Self::Computed { .. } => 1,
        }
    }

    /// The type of an element of the low plane.
    fn element(&self, loads: Loads) -> &'static str {
        match (loads, self.stored()) {
            _ if !self.aligned() => "f32",
            (_, MatrixType::F32) => "vec4<f32>",
            (Loads::Vectors(1), _) => "u32",
            (Loads::Vectors(2), _) => "vec2<u32>",
            (Loads::Vectors(_), _) => "vec4<u32>",
            (Loads::Quads, MatrixType::Blocks(_)) => "u32",
            (Loads::Quads, _) => "vec2<u32>",
        }
    }

    /// Binds a second matrix of the type and row length of one that was declared: its planes are `low_b`, `high_b` and `scales_b`, and
    /// `scale_words_b` reads these.
    pub(crate) fn declare_second(&self, kernel: &mut Kernel<'_, '_>, loads: Loads) {
        let element = self.element(loads);
        match self {
            Self::Computed { operand, .. } => {
                kernel.bind("low_b", element, operand);
            }
            Self::Weight(matrix) => {
                kernel.bind("low_b", element, &matrix.low());
                if let Some(high) = matrix.high() {
                    kernel.bind("high_b", "u32", &high);
                }
                if let Some(scale) = matrix.scale() {
                    kernel.bind("scales_b", "u32", &scale);
                }
            }
        }
        if self.format().is_some() {
            let second = SCALES.replace("scales[", "scales_b[").replace("scale_words(", "scale_words_b(");
            kernel.source().include(second);
        }
    }

    /// Declares planes, strides and the flags of the type.
    pub(crate) fn declare(&self, kernel: &mut Kernel<'_, '_>, loads: Loads) {
        let format = self.format();
        let stored = self.stored();
        let element = self.element(loads);
        let words = match element {
            "f32" | "u32" => 1,
            "vec2<u32>" => 2,
            _ => 4,
        };
        match self {
            Self::Computed { operand, k } => {
                kernel.bind("low", element, operand).param("low_stride", k / words);
            }
            Self::Weight(matrix) => {
                kernel.bind("low", element, &matrix.low()).param("low_stride", matrix.strides.low / words);
                if let Some(high) = matrix.high() {
                    kernel.bind("high", "u32", &high).param("high_stride", matrix.strides.high);
                }
                if let Some(scale) = matrix.scale() {
                    kernel.bind("scales", "u32", &scale).param("scale_stride", matrix.strides.scale);
                }
            }
        }
        let source = kernel.source();
        source.flag("UNPADDED", !self.aligned());
        source.flag("F32", self.aligned() && stored == MatrixType::F32);
        source.flag("F16", stored == MatrixType::F16);
        source.flag("BF16", stored == MatrixType::Bf16);
        source.flag("BLOCKS", format.is_some());
        let magic = match format {
            // Signed levels get their zero back.
            Some(f) if f.bits == 8 => (1 << 23) + 128,
            Some(f) => (1 << 23) + usize::from(f.zero),
            None => 1 << 23,
        };
        source.define("MAGIC", format!("{magic}.0"));
        if let Some(f) = format {
            let signed_subs = f.has_subscales() && !f.mins;
            source.flag("SIGNED", f.bits == 8);
            source.flag("BITS8", f.bits == 8);
            source.flag("BITS5", f.bits == 5);
            source.flag("BITS6", f.bits == 6);
            source.flag("MINS", f.mins);
            source.flag("PAIRED", !f.has_subscales() && !f.mins);
            source.flag("SCALE_AND_MIN", !f.has_subscales() && f.mins);
            source.flag("SUB_MIN", f.has_subscales() && f.mins);
            source.flag("SUB_SIGNED", signed_subs);
            source.define("GROUP_QUADS", (f.group / 4).to_string());
        }
        source.include(DECODE);
        if format.is_some() {
            source.include(SCALES);
            source.include(SCALE);
        }
        if loads == Loads::Quads {
            source.include(QUAD);
        }
    }
}
