//! Ops that move elements without changing them.

use super::{Tensor64, index};
use crate::error::GraphError;
use mynah_tensor::Shape;

pub(super) fn gather(node: &str, table: &Tensor64, ids: &Tensor64) -> Result<Vec<f64>, GraphError> {
    let &[entries, width] = table.shape.dims() else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for &id in &ids.data {
        let row = index(node, "id", id, entries)?;
        out.extend_from_slice(&table.data[row * width..(row + 1) * width]);
    }
    Ok(out)
}

pub(super) fn permute(perm: &[usize], x: &Tensor64, out: Shape) -> Vec<f64> {
    let dims = x.shape.dims();
    let stride = |axis: usize| dims[axis + 1..].iter().product::<usize>();
    let element = |i: usize| {
        let (mut rest, mut from) = (i, 0);
        for (&extent, &axis) in out.dims().iter().zip(perm).rev() {
            from += rest % extent * stride(axis);
            rest /= extent;
        }
        x.data[from]
    };
    (0..out.numel()).map(element).collect()
}

pub(super) fn slice(
    node: &str,
    axis: usize,
    first: f64,
    len: usize,
    x: &Tensor64,
) -> Result<Vec<f64>, GraphError> {
    let dims = x.shape.dims();
    let first = index(node, "start", first, dims[axis] - len + 1)?;
    let inner: usize = dims[axis + 1..].iter().product();
    let outer = x.data.chunks_exact((dims[axis] * inner).max(1));
    Ok(outer.flat_map(|block| &block[first * inner..(first + len) * inner]).copied().collect())
}

pub(super) fn concat(axis: usize, operands: &[&Tensor64]) -> Vec<f64> {
    let outer: usize = operands[0].shape.dims()[..axis].iter().product();
    let block = |x: &Tensor64| x.shape.dims()[axis..].iter().product::<usize>();
    let piece = |o: usize, x: &Tensor64| x.data[o * block(x)..(o + 1) * block(x)].to_vec();
    (0..outer).flat_map(|o| operands.iter().flat_map(move |x| piece(o, x))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, normal, t};
    use super::*;
    use crate::op::{Op, Start};

    fn cut(axis: usize, start: usize, len: usize) -> Op {
        Op::Slice { axis, start: Start::Fixed(start), len }
    }

    #[test]
    fn gather_reads_rows() {
        let table = t([3, 2], &[1., 2., 3., 4., 5., 6.]);
        let y = evaluate(Op::Gather, &[&table, &t([2, 2], &[2., 0., 0., 1.])]).unwrap();
        assert_eq!(y, t([2, 2, 2], &[5., 6., 1., 2., 1., 2., 3., 4.]));
    }

    #[test]
    fn ids_outside_the_table_are_refused() {
        let table = t([3, 2], &[0.; 6]);
        for bad in [3.0, -1.0, -2_147_483_648.0, 2_147_483_647.0] {
            let error = evaluate(Op::Gather, &[&table, &t([1], &[bad])]).unwrap_err();
            assert_eq!(
                error,
                GraphError::OutOfRange { what: "'gather': id".into(), found: bad as i64, limit: 3 }
            );
        }
        let error = evaluate(Op::Gather, &[&table, &t([1], &[0.5])]).unwrap_err();
        assert!(error.to_string().contains("0.5"), "{error}");
        assert!(evaluate(Op::Gather, &[&table, &t([1], &[f64::NAN])]).is_err());
    }

    #[test]
    fn permute_by_hand_and_back() {
        let x = t([2, 3], &[1., 2., 3., 4., 5., 6.]);
        let y = evaluate(Op::Permute(vec![1, 0]), &[&x]).unwrap();
        assert_eq!(y, t([3, 2], &[1., 4., 2., 5., 3., 6.]));
        // Output dimension i is input dimension perm[i]: [2, 3, 5] by [2, 0, 1] is [5, 2, 3].
        let x = normal([2, 3, 5], 1);
        let y = evaluate(Op::Permute(vec![2, 0, 1]), &[&x]).unwrap();
        assert_eq!(y.shape.dims(), [5, 2, 3]);
        assert_eq!(y.data[4 * 6 + 3 + 2], x.data[15 + 2 * 5 + 4]);
        assert_eq!(evaluate(Op::Permute(vec![1, 2, 0]), &[&y]).unwrap(), x);
    }

    #[test]
    fn reshape_keeps_the_elements() {
        let x = normal([2, 6], 2);
        let y = evaluate(Op::Reshape(vec![3, 4]), &[&x]).unwrap();
        assert_eq!((y.shape.dims(), &y.data), (&[3, 4][..], &x.data));
    }

    #[test]
    fn slice_cuts_one_axis() {
        let x = t([2, 3], &[1., 2., 3., 4., 5., 6.]);
        assert_eq!(evaluate(cut(1, 1, 2), &[&x]).unwrap(), t([2, 2], &[2., 3., 5., 6.]));
        assert_eq!(evaluate(cut(0, 1, 1), &[&x]).unwrap(), t([1, 3], &[4., 5., 6.]));
        assert_eq!(evaluate(cut(1, 3, 0), &[&x]).unwrap(), t([2, 0], &[]));
    }

    #[test]
    fn concat_joins_what_slice_cut() {
        let x = normal([3, 5, 2], 3);
        for axis in 0..3 {
            let split = x.shape.dims()[axis] / 2;
            let a = evaluate(cut(axis, 0, split), &[&x]).unwrap();
            let b = evaluate(cut(axis, split, x.shape.dims()[axis] - split), &[&x]).unwrap();
            assert_eq!(evaluate(Op::Concat { axis }, &[&a, &b]).unwrap(), x);
        }
        let (a, b) = (t([2, 1], &[1., 2.]), t([2, 2], &[3., 4., 5., 6.]));
        let y = evaluate(Op::Concat { axis: 1 }, &[&a, &b, &a]).unwrap();
        assert_eq!(y, t([2, 4], &[1., 3., 4., 1., 2., 5., 6., 2.]));
    }
}
