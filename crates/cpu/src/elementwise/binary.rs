//! Arithmetic of two operands, the second broadcast to the first by NumPy's rules.

use super::{GRAIN, rows_per_task};
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::{Isa, Simd, dispatch};
use mynah_device::DeviceError;
use mynah_graph::BinaryOp;
use mynah_tensor::{MAX_RANK, Shape};
use std::ops::Range;

struct Binary {
    a: Operand,
    b: Operand,
    out: Target,
    op: BinaryOp,
    /// `None` when both operands have one shape.
    walk: Option<Walk>,
    isa: Isa,
}

/// How `b` is read while `a` is walked in rows.
#[derive(Clone, Copy, Debug)]
struct Walk {
    /// Elements of a row of `a`.
    row: usize,
    /// Whether `b` gives a whole row or one element for it.
    whole: bool,
    /// Extent of each outer dimension of `a`, innermost last, and the step of `b` along it.
    outer: [(usize, usize); MAX_RANK],
}

/// Compiles an arithmetic op.
pub(crate) fn compile(bind: &Bind<'_>, op: BinaryOp) -> Result<Box<dyn Kernel>, DeviceError> {
    Ok(Box::new(Binary {
        a: bind.operand_in_place(0)?,
        // Writing over `a` spoils `b` where both are one value, unless both are read element by element.
        b: if bind.shape(0) == bind.shape(1) { bind.operand_in_place(1)? } else { bind.operand(1)? },
        out: bind.target()?,
        op,
        walk: (bind.shape(0) != bind.shape(1)).then(|| Walk::new(bind.shape(0), bind.shape(1))),
        isa: bind.isa(),
    }))
}

impl Walk {
    fn new(a: Shape, b: Shape) -> Self {
        let whole = b.last() == a.last();
        let mut outer = [(1, 0); MAX_RANK];
        let a_outer = &a.dims()[..a.rank().saturating_sub(1)];
        let b_outer = &b.dims()[..b.rank().saturating_sub(1)];
        let mut step = if b.rank() == 0 { 0 } else { b.last() };
        for (i, &extent) in a_outer.iter().rev().enumerate() {
            let own = b_outer.len().checked_sub(i + 1).map_or(1, |at| b_outer[at]);
            outer[MAX_RANK - 1 - i] = (extent, if own == 1 { 0 } else { step });
            step *= own;
        }
        Self { row: a.last(), whole, outer }
    }

    /// Where `b`'s part for row `row` of `a` begins.
    fn start(&self, row: usize) -> usize {
        let mut rest = row;
        let along = |&(extent, step): &(usize, usize)| {
            let index = rest % extent.max(1);
            rest /= extent.max(1);
            index * step
        };
        self.outer.iter().rev().map(along).sum()
    }
}

impl Kernel for Binary {
    fn name(&self) -> String {
        let op = match self.op {
            BinaryOp::Add => "add",
            BinaryOp::Sub => "sub",
            BinaryOp::Mul => "mul",
            BinaryOp::Div => "div",
        };
        format!("{op}/{}", self.isa.name())
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (a, b, out) = (launch.view(&self.a), launch.view(&self.b), launch.output(&self.out));
        let piece = |first: usize, second: usize, whole: bool, len: usize| {
            a.at(first + len);
            b.at(second + if whole { len } else { 1 });
            out.at(first + len);
            // SAFETY: pieces are disjoint and were just checked against all views.
            unsafe { combine(self.isa, self.op, a.at(first), b.at(second), whole, out.at(first), len) };
        };
        let Some(walk) = self.walk else {
            let whole = |range: Range<usize>| piece(range.start, range.start, true, range.len());
            return Ok(launch.pool().run_chunks(out.len(), GRAIN, &whole)?);
        };
        let rows = out.len().checked_div(walk.row).unwrap_or(0);
        launch.pool().run_chunks(rows, rows_per_task(walk.row), &|range| {
            range.for_each(|row| piece(row * walk.row, walk.start(row), walk.whole, walk.row));
        })?;
        Ok(())
    }
}

dispatch! {
    /// Combines `n` elements of `a` with as many of `b`, or with its first one; `y` may be `a` or `b`.
    fn combine(op: BinaryOp, a: *const f32, b: *const f32, whole: bool, y: *mut f32, n: usize) = combine_body;
}

#[inline(always)]
fn of<S: Simd>(s: S, op: BinaryOp, a: S::F, b: S::F) -> S::F {
    match op {
        BinaryOp::Add => s.add(a, b),
        BinaryOp::Sub => s.sub(a, b),
        BinaryOp::Mul => s.mul(a, b),
        BinaryOp::Div => s.div(a, b),
    }
}

#[inline(always)]
unsafe fn combine_body<S: Simd>(
    s: S,
    op: BinaryOp,
    a: *const f32,
    b: *const f32,
    whole: bool,
    y: *mut f32,
    n: usize,
) {
    // SAFETY: the caller's pointers cover n elements, or one of `b`.
    unsafe {
        let single = if n > 0 { s.splat(*b) } else { s.zero() };
        let mut i = 0;
        while i + S::LANES <= n {
            let b = if whole { s.load(b.add(i)) } else { single };
            s.store(y.add(i), of(s, op, s.load(a.add(i)), b));
            i += S::LANES;
        }
        let rest = n - i;
        if rest > 0 {
            let b = if whole { s.load_some(b.add(i), rest) } else { single };
            s.store_some(y.add(i), of(s, op, s.load_some(a.add(i), rest), b), rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcast_starts_follow_numpy() {
        let walk = |a: &[usize], b: &[usize]| Walk::new(Shape::new(a).unwrap(), Shape::new(b).unwrap());
        let starts = |w: Walk, rows: usize| (0..rows).map(|r| w.start(r)).collect::<Vec<_>>();
        assert_eq!(starts(walk(&[2, 3, 4], &[4]), 6), [0; 6]);
        assert_eq!(starts(walk(&[2, 3, 4], &[3, 4]), 6), [0, 4, 8, 0, 4, 8]);
        assert_eq!(starts(walk(&[2, 3, 4], &[2, 1, 4]), 6), [0, 0, 0, 4, 4, 4]);
        assert_eq!(starts(walk(&[2, 3, 4], &[2, 3, 1]), 6), [0, 1, 2, 3, 4, 5]);
        assert_eq!(starts(walk(&[2, 3, 4], &[]), 6), [0; 6]);
        assert_eq!(starts(walk(&[2, 3, 4], &[2, 3, 4]), 6), [0, 4, 8, 12, 16, 20]);
        assert_eq!(starts(walk(&[3, 1], &[1]), 3), [0; 3]);
    }
}
