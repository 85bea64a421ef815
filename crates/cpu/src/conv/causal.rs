//! Causal depthwise convolution that goes on from the inputs of earlier runs, kept in a state tensor.
//!
//! A task takes a stretch of channels of a sequence: their sums over all tokens, then their columns of the state. A tap's input is
//! read where it is, in the state or among the new ones; nothing is joined or moved.

use crate::memory::Output;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::recurrent::sequences;
use crate::simd::math::activate;
use crate::simd::{Isa, Simd, dispatch};
use crate::weights::ConvKernel;
use mynah_device::DeviceError;
use mynah_graph::{Activation, CausalConv1d};
use std::ops::Range;
use std::sync::Arc;

/// Channels of a task.
const STRETCH: usize = 256;

struct Causal {
    op: CausalConv1d,
    x: Operand,
    kernel: Arc<ConvKernel>,
    sequences: Operand,
    out: Target,
    time: usize,
    channels: usize,
    isa: Isa,
}

/// Compiles the convolution.
pub(crate) fn compile(bind: &Bind<'_>, op: CausalConv1d) -> Result<Box<dyn Kernel>, DeviceError> {
    let (shape, kernel) = (bind.shape(0), bind.conv_kernel(1)?);
    let [channels, taps] = [shape.last(), bind.shape(1).last()];
    if [kernel.channels, kernel.taps()] != [channels, taps] {
        return Err(bind.misplaced("the prepared kernel has another shape"));
    }
    let (x, sequences, out) = (bind.operand(0)?, bind.operand(2)?, bind.target()?);
    Ok(Box::new(Causal { op, x, kernel, sequences, out, time: shape.dims()[1], channels, isa: bind.isa() }))
}

impl Kernel for Causal {
    fn name(&self) -> String {
        let activation = self.op.activation.map(|f| format!("_{}", f.name())).unwrap_or_default();
        format!("causal_conv1d{activation}/{}", self.isa.name())
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let state = launch.state(self.op.state.0);
        let numbers = launch.read_i32(&self.sequences);
        let sequences = sequences(numbers, state.rows, self.time, self.op.snapshots)?;
        let (x, out, taps) = (launch.read(&self.x), launch.output(&self.out), self.kernel.taps());
        let kept = taps - 2 + self.op.snapshots;
        let stretches = self.channels.div_ceil(STRETCH);
        launch.pool().run(sequences.len() * stretches, &|task| {
            let (b, stretch) = (task.index / stretches, task.index % stretches);
            let [row, length, from] = sequences[b];
            let piece = Piece {
                channels: self.channels,
                lanes: stretch * STRETCH..self.channels.min((stretch + 1) * STRETCH),
                kept,
                past: kept - from,
                state: row * state.row,
                token: b * self.time,
                length,
                time: self.time,
                activation: self.op.activation,
            };
            // SAFETY: tasks have channels of their own, of rows that differ, in the state and in the output.
            unsafe { run_piece(self.isa, &piece, x, self.kernel.as_f32(), state.data, out) };
        })?;
        Ok(())
    }
}

/// Some channels of one sequence.
struct Piece {
    channels: usize,
    lanes: Range<usize>,
    /// Inputs in a row of the state, and those of them that the sequence goes on from.
    kept: usize,
    past: usize,
    /// Where the row of the state begins.
    state: usize,
    /// The sequence's first token among all.
    token: usize,
    length: usize,
    time: usize,
    activation: Option<Activation>,
}

impl Piece {
    /// A token's lanes, in the operand as in the output.
    #[inline(always)]
    fn token(&self, t: usize) -> Range<usize> {
        let at = (self.token + t) * self.channels;
        at + self.lanes.start..at + self.lanes.end
    }

    /// The lanes of an input of the state.
    #[inline(always)]
    fn kept(&self, i: usize) -> Range<usize> {
        let at = self.state + i * self.channels;
        at + self.lanes.start..at + self.lanes.end
    }
}

dispatch! {
    /// Computes all tokens of a stretch of channels, then brings its state up to date.
    fn run_piece(p: &Piece, x: &[f32], kernel: &[f32], state: Output<'_, f32>, out: Output<'_, f32>) = piece_body;
}

#[inline(always)]
unsafe fn piece_body<S: Simd>(
    s: S,
    p: &Piece,
    x: &[f32],
    kernel: &[f32],
    state: Output<'_, f32>,
    out: Output<'_, f32>,
) {
    let taps = kernel.len() / p.channels;
    // SAFETY: the caller owns these lanes of the state's row and of the output.
    unsafe {
        for t in 0..p.length {
            let y = out.slice(p.token(t));
            y.fill(0.0);
            // Input `i` of the stream is one of the past, or of the new ones behind it.
            for (tap, i) in (p.past + t + 1 - taps..).enumerate().take(taps) {
                let weights = &kernel[tap * p.channels..][p.lanes.clone()];
                let input = if i < p.past { &*state.slice(p.kept(i)) } else { &x[p.token(i - p.past)] };
                add_product(s, input, weights, y);
            }
            if let Some(f) = p.activation {
                apply(s, f, y);
            }
        }
        for t in p.length..p.time {
            out.slice(p.token(t)).fill(0.0);
        }
        if p.length > 0 {
            keep(p, x, state);
        }
    }
}

/// `y += x · w`.
#[inline(always)]
fn add_product<S: Simd>(s: S, x: &[f32], w: &[f32], y: &mut [f32]) {
    let n = y.len().min(x.len()).min(w.len());
    let (x, w, y) = (x.as_ptr(), w.as_ptr(), y.as_mut_ptr());
    let mut i = 0;
    // SAFETY: all three slices hold n elements.
    unsafe {
        while i + S::LANES <= n {
            s.store(y.add(i), s.fma(s.load(x.add(i)), s.load(w.add(i)), s.load(y.add(i))));
            i += S::LANES;
        }
        if i < n {
            let (x, w) = (s.load_some(x.add(i), n - i), s.load_some(w.add(i), n - i));
            s.store_some(y.add(i), s.fma(x, w, s.load_some(y.add(i), n - i)), n - i);
        }
    }
}

/// `y = f(y)`.
#[inline(always)]
fn apply<S: Simd>(s: S, f: Activation, y: &mut [f32]) {
    let (n, y) = (y.len(), y.as_mut_ptr());
    let mut i = 0;
    // SAFETY: the slice holds n elements.
    unsafe {
        while i + S::LANES <= n {
            s.store(y.add(i), activate(s, f, s.load(y.add(i))));
            i += S::LANES;
        }
        if i < n {
            s.store_some(y.add(i), activate(s, f, s.load_some(y.add(i), n - i)), n - i);
        }
    }
}

/// Leaves the last inputs in the state; zeros where they went with the snapshots left out.
///
/// # Safety
/// The caller owns these lanes of the state's row.
#[inline(always)]
unsafe fn keep(p: &Piece, x: &[f32], state: Output<'_, f32>) {
    let all = p.past + p.length;
    let place = |i: usize| {
        // SAFETY: passed on to the caller.
        let to = unsafe { state.slice(p.kept(i)) };
        match (i + all).checked_sub(p.kept) {
            None => to.fill(0.0),
            Some(from) if from >= p.past => to.copy_from_slice(&x[p.token(from - p.past)]),
            Some(from) if from == i => {}
            // SAFETY: another input of the same lanes.
            Some(from) => to.copy_from_slice(unsafe { state.slice(p.kept(from)) }),
        }
    };
    // Inputs move towards the beginning, or, where more were left out than came, towards the end.
    if all >= p.kept {
        (0..p.kept).for_each(place);
    } else {
        (0..p.kept).rev().for_each(place);
    }
}
