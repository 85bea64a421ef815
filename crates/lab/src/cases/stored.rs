//! Products and tables whose weights have a type that files hold and Mynah doesn't write: their blocks are drawn bit by bit, so
//! that every level, scale and sign occurs.

use super::families::ROWS;
use super::{Cases, by};
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{Epilogue, Op, ValueId};
use mynah_tensor::{DType, HostTensor, Rng, Shape, encode_row};

/// A part of a block that is not drawn bit by bit.
#[derive(Clone, Copy)]
pub(super) enum Field {
    /// A half-precision number at this byte, in this range.
    Half(usize, f32, f32),
    /// A byte that is an exponent with this range.
    Exponent(usize, u8, u8),
}

use Field::{Exponent, Half};

/// The types that are read and never written, with the parts that say how large a block's values are.
pub(super) const TYPES: [(DType, &[Field]); 7] = [
    (DType::Q4_1, &[Half(0, 0.002, 0.01), Half(2, -0.1, 0.02)]),
    (DType::Q5_1, &[Half(0, 0.001, 0.005), Half(2, -0.1, 0.02)]),
    (DType::Q2K, &[Half(80, 0.001, 0.005), Half(82, 0.001, 0.005)]),
    (DType::Q3K, &[Half(108, 0.0002, 0.001)]),
    (DType::Iq2Xxs, &[Half(0, 0.001, 0.01)]),
    (DType::Iq4Nl, &[Half(0, 0.0002, 0.001)]),
    (DType::Mxfp4, &[Exponent(0, 117, 123)]),
];

/// A tensor of random blocks.
fn blocks(rng: &mut Rng, dtype: DType, fields: &[Field], shape: Shape) -> Result<HostTensor, LabError> {
    let mut data: Vec<u8> = (0..HostTensor::bytes_of(dtype, shape)?).map(|_| rng.below(256) as u8).collect();
    for block in data.chunks_exact_mut(dtype.block_bytes()) {
        for field in fields {
            match *field {
                Half(at, low, high) => {
                    encode_row(DType::F16, &[rng.range(low, high)], &mut block[at..at + 2])?;
                }
                Exponent(at, low, high) => block[at] = low + rng.below(usize::from(high - low)) as u8,
            }
        }
    }
    Ok(HostTensor::new(dtype, shape, data)?)
}

/// A weight of random blocks.
pub(super) fn weight(
    b: &mut CaseBuilder,
    name: &str,
    shape: Shape,
    dtype: DType,
    fields: &[Field],
) -> Result<ValueId, LabError> {
    let tensor = blocks(&mut b.rng, dtype, fields, shape)?;
    Ok(b.stored(name, tensor))
}

fn product(x: &[usize], columns: usize, dtype: DType, fields: &[Field]) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("matmul", &format!("stored/{}*{columns}/{dtype}", by(x)));
    let terms = x.last().copied().unwrap_or(1);
    let left = b.input("x", x, Fill::Normal(1.0));
    let right = weight(&mut b, "w", Shape::from([columns, terms]), dtype, fields)?;
    let y = b.op(Op::MatMul(Epilogue::default()), &[left, right]);
    b.finish(&[y], Bounds::product(dtype))
}

fn table(rows: usize, dtype: DType, fields: &[Field]) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("gather", &format!("stored/{rows}x512/{dtype}"));
    let ids = b.ints("ids", &[3], &[0, rows as i32 - 1, rows as i32 / 2]);
    let right = weight(&mut b, "w", Shape::from([rows, 512]), dtype, fields)?;
    let y = b.op(Op::Gather, &[right, ids]);
    b.finish(&[y], Bounds::MOVED)
}

pub(super) fn cases() -> Cases {
    let mut all = Vec::new();
    for (dtype, fields) in TYPES {
        for rows in ROWS {
            all.push(product(&[rows, 512], 33, dtype, fields)?);
        }
        all.push(product(&[3, 256], 1, dtype, fields)?);
        all.push(table(19, dtype, fields)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::WEIGHT_TYPES;

    #[test]
    fn every_type_of_a_weight_is_written_or_drawn() {
        let drawn = TYPES.map(|(dtype, _)| dtype);
        let whole = [DType::F64, DType::I8, DType::I16, DType::I32, DType::I64];
        for dtype in DType::ALL {
            let places = [WEIGHT_TYPES.contains(&dtype), drawn.contains(&dtype), whole.contains(&dtype)];
            assert_eq!(places.iter().filter(|there| **there).count(), 1, "{dtype}");
        }
    }

    #[test]
    fn drawn_values_are_finite_and_of_a_size() {
        for (dtype, fields) in TYPES {
            let tensor = blocks(&mut Rng::new(1), dtype, fields, Shape::from([8, 512])).unwrap();
            let values = tensor.to_f32();
            let rms = (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt();
            assert!((0.003..0.3).contains(&rms), "{dtype}: {rms}");
        }
    }
}
