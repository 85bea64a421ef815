//! The element types a tensor can have, by their GGUF number and name.

use std::fmt;
use std::str::FromStr;

/// How the elements of a tensor are stored. Block formats store a fixed number of consecutive elements of a row
/// together; for the plain types a block is one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // each variant is the GGUF name of the same spelling; the layouts are in `formats`
pub enum DType {
    F32,
    F16,
    BF16,
    F64,
    I8,
    I16,
    I32,
    I64,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    Iq2Xxs,
    Iq4Nl,
    Mxfp4,
}

/// One line of the table below.
struct Facts {
    name: &'static str,
    ggml_id: u32,
    block_len: usize,
    block_bytes: usize,
    encodes: bool,
}

const fn facts(
    name: &'static str,
    ggml_id: u32,
    block_len: usize,
    block_bytes: usize,
    encodes: bool,
) -> Facts {
    Facts { name, ggml_id, block_len, block_bytes, encodes }
}

impl DType {
    /// Every type, in the order of declaration.
    pub const ALL: [DType; 21] = [
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::F64,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::Q4_0,
        DType::Q4_1,
        DType::Q5_0,
        DType::Q5_1,
        DType::Q8_0,
        DType::Q2K,
        DType::Q3K,
        DType::Q4K,
        DType::Q5K,
        DType::Q6K,
        DType::Iq2Xxs,
        DType::Iq4Nl,
        DType::Mxfp4,
    ];

    const fn facts(self) -> Facts {
        match self {
            DType::F32 => facts("F32", 0, 1, 4, true),
            DType::F16 => facts("F16", 1, 1, 2, true),
            DType::BF16 => facts("BF16", 30, 1, 2, true),
            DType::F64 => facts("F64", 28, 1, 8, false),
            DType::I8 => facts("I8", 24, 1, 1, false),
            DType::I16 => facts("I16", 25, 1, 2, false),
            DType::I32 => facts("I32", 26, 1, 4, false),
            DType::I64 => facts("I64", 27, 1, 8, false),
            DType::Q4_0 => facts("Q4_0", 2, 32, 18, true),
            DType::Q4_1 => facts("Q4_1", 3, 32, 20, false),
            DType::Q5_0 => facts("Q5_0", 6, 32, 22, true),
            DType::Q5_1 => facts("Q5_1", 7, 32, 24, false),
            DType::Q8_0 => facts("Q8_0", 8, 32, 34, true),
            DType::Q2K => facts("Q2_K", 10, 256, 84, false),
            DType::Q3K => facts("Q3_K", 11, 256, 110, false),
            DType::Q4K => facts("Q4_K", 12, 256, 144, true),
            DType::Q5K => facts("Q5_K", 13, 256, 176, true),
            DType::Q6K => facts("Q6_K", 14, 256, 210, true),
            DType::Iq2Xxs => facts("IQ2_XXS", 16, 256, 66, false),
            DType::Iq4Nl => facts("IQ4_NL", 20, 32, 18, true),
            DType::Mxfp4 => facts("MXFP4", 39, 32, 17, true),
        }
    }

    /// The type with this number in a GGUF tensor table; `None` for retired numbers and formats unknown here.
    pub fn from_ggml_id(id: u32) -> Option<DType> {
        DType::ALL.into_iter().find(|dtype| dtype.ggml_id() == id)
    }

    /// The number of this type in a GGUF tensor table.
    pub const fn ggml_id(self) -> u32 {
        self.facts().ggml_id
    }

    /// The GGUF spelling, for example `Q4_K` or `IQ2_XXS`.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// Elements per block: 1, 32 or 256.
    pub const fn block_len(self) -> usize {
        self.facts().block_len
    }

    /// Bytes per block.
    pub const fn block_bytes(self) -> usize {
        self.facts().block_bytes
    }

    /// Bytes of a row of `n` elements; `None` when the row is no whole number of blocks or the size overflows.
    pub fn row_bytes(self, n: usize) -> Option<usize> {
        if !n.is_multiple_of(self.block_len()) {
            return None;
        }
        (n / self.block_len()).checked_mul(self.block_bytes())
    }

    /// Whether elements share scales in blocks, so that single elements have no address.
    pub const fn is_quantized(self) -> bool {
        self.facts().block_len > 1
    }

    /// Whether [`crate::encode_row`] writes this format.
    pub const fn can_encode(self) -> bool {
        self.facts().encodes
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A type name that is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown tensor type {0:?}; known: {known}", known = DType::ALL.map(DType::name).join(" "))]
pub struct ParseDTypeError(pub String);

impl FromStr for DType {
    type Err = ParseDTypeError;

    /// Reads the GGUF spelling in either case: `q4_k`, `Q4_K`, `f16`.
    fn from_str(text: &str) -> Result<DType, ParseDTypeError> {
        DType::ALL
            .into_iter()
            .find(|dtype| dtype.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| ParseDTypeError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_find_their_type_again() {
        for dtype in DType::ALL {
            assert_eq!(DType::from_ggml_id(dtype.ggml_id()), Some(dtype));
            assert_eq!(dtype.name().parse(), Ok(dtype));
            assert_eq!(dtype.name().to_lowercase().parse(), Ok(dtype));
        }
        for retired in [4, 5, 31, 32, 33, 36, 37, 38, 4096] {
            assert_eq!(DType::from_ggml_id(retired), None);
        }
        let error = "q9_z".parse::<DType>().unwrap_err().to_string();
        assert!(error.contains("q9_z") && error.contains("Q4_K"), "{error}");
    }

    #[test]
    fn rows_are_whole_blocks() {
        assert_eq!(DType::F32.row_bytes(3), Some(12));
        assert_eq!(DType::Q8_0.row_bytes(64), Some(68));
        assert_eq!(DType::Q8_0.row_bytes(33), None);
        assert_eq!(DType::Q4K.row_bytes(640), None);
        assert_eq!(DType::Q4K.row_bytes(1024), Some(576));
        assert_eq!(DType::F64.row_bytes(usize::MAX), None);
    }
}
