//! Greedy transducer decoding on a device: single numbers out of a state, the masked LSTM step, the joint's window, and the
//! walk along it.

use super::{Cases, by};
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::error::LabError;
use mynah_graph::transducer::cursor;
use mynah_graph::{Op, TransducerAdvance, TransducerJoin};
use mynah_tensor::Rng;

pub(super) fn state_numbers(
    tag: &str,
    contents: &[f32],
    row: usize,
    rows: &[i32],
) -> Result<OpCase, LabError> {
    let count = contents.len() / row;
    let mut b = CaseBuilder::new("state_numbers", &format!("{tag}/{count}x{row}/{}", rows.len()));
    let state = b.state_of("state", &[row], contents.to_vec());
    let rows = b.ints("rows", &[rows.len()], rows);
    let y = b.op(Op::StateNumbers { state, column: row / 2 }, &[rows]);
    b.finish(&[y], Bounds::MOVED)
}

pub(super) fn lstm_step(
    tag: &str,
    count: usize,
    hidden: usize,
    steps: &[[i32; 2]],
) -> Result<OpCase, LabError> {
    let mut b = CaseBuilder::new("lstm_step", &format!("{tag}/{count}x{hidden}/{}", steps.len()));
    let (h, c) = (b.state("hidden", count, &[hidden]), b.state("cell", count, &[hidden]));
    let gates = b.input("gates", &[steps.len(), 4 * hidden], Fill::Normal(1.0));
    let [rows, active] = [0, 1].map(|i| steps.iter().map(|s| s[i]).collect::<Vec<_>>());
    let rows = b.ints("rows", &[steps.len()], &rows);
    let active = b.ints("active", &[steps.len()], &active);
    let y = b.op(Op::LstmStep { hidden: h, cell: c }, &[gates, rows, active]);
    b.finish(&[y], Bounds::EXPONENTIAL)
}

/// Where a clip is, what it has emitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clip {
    pub(super) at: f32,
    pub(super) end: f32,
    pub(super) symbols: f32,
    pub(super) logged: f32,
}

impl Clip {
    pub(super) fn new(at: usize, end: usize) -> Self {
        Self { at: at as f32, end: end as f32, symbols: 0.0, logged: 0.0 }
    }

    /// Its row with a log of `entries`, all of them made up.
    fn row(&self, rng: &mut Rng, entries: usize) -> Vec<f32> {
        let mut row = vec![0.0; TransducerAdvance::row(entries)];
        row[cursor::LEN..].iter_mut().for_each(|v| *v = rng.below(9) as f32);
        (row[cursor::AT], row[cursor::END]) = (self.at, self.end);
        (row[cursor::SYMBOLS], row[cursor::LOGGED]) = (self.symbols, self.logged);
        (row[cursor::TOKEN], row[cursor::PENDING]) = (1.0, 1.0);
        row
    }
}

/// The cursors of clips, the last clip in the first row, after a row that nobody uses; and the clips' row numbers.
fn cursors(b: &mut CaseBuilder, clips: &[Clip], entries: usize) -> (Vec<f32>, Vec<i32>) {
    let unused = Clip { at: -1.0, ..Clip::new(0, 0) }.row(&mut b.rng, entries);
    let rows = clips.iter().rev().flat_map(|clip| clip.row(&mut b.rng, entries));
    let all = unused.into_iter().chain(rows).collect();
    (all, (1..=clips.len() as i32).rev().collect())
}

/// The joint's window over `frames` frames.
pub(super) fn join(
    tag: &str,
    [frames, width, ahead]: [usize; 3],
    clips: &[Clip],
) -> Result<OpCase, LabError> {
    let sizes = by(&[clips.len(), ahead, width]);
    let mut b = CaseBuilder::new("transducer_join", &format!("{tag}/{frames}frames/{sizes}"));
    let frames = b.state("frames", frames, &[width]);
    let (contents, rows) = cursors(&mut b, clips, 1);
    let cursors = b.state_of("cursors", &[TransducerAdvance::row(1)], contents);
    let predicted = b.input("predicted", &[clips.len(), width], Fill::Normal(1.0));
    let rows = b.ints("rows", &[clips.len()], &rows);
    let y = b.op(Op::TransducerJoin(TransducerJoin { frames, cursors, ahead }), &[predicted, rows]);
    b.finish(&[y], Bounds::ROUNDED)
}

/// One walk along the window.
#[derive(Clone)]
pub(super) struct Walk<'a> {
    pub(super) clips: &'a [Clip],
    pub(super) ahead: usize,
    /// Labels without the blank.
    pub(super) blank: usize,
    pub(super) durations: &'a [usize],
    pub(super) entries: usize,
    /// Whether logits are rounded, so that many are the same.
    pub(super) ties: bool,
}

impl Walk<'_> {
    pub(super) fn case(&self, tag: &str) -> Result<OpCase, LabError> {
        let labels = self.blank + 1;
        let dims = [self.clips.len(), self.ahead, labels + self.durations.len()];
        let detail = format!("{tag}/{}/d{}/log{}", by(&dims), self.durations.len(), self.entries);
        let mut b = CaseBuilder::new("transducer_advance", &detail);
        let (contents, rows) = cursors(&mut b, self.clips, self.entries);
        let cursors = b.state_of("cursors", &[TransducerAdvance::row(self.entries)], contents);
        let mut logits: Vec<f32> = (0..dims.iter().product()).map(|_| b.rng.normal()).collect();
        for row in logits.chunks_exact_mut(dims[2]) {
            // Every other row or so is a blank.
            let raised = if b.rng.below(2) == 0 { self.blank } else { b.rng.below(labels) };
            row[raised] += 6.0;
            if self.ties {
                row.iter_mut().for_each(|v| *v = v.round().min(1.0));
            }
        }
        let logits = b.floats("logits", &dims, logits);
        let rows = b.ints("rows", &[self.clips.len()], &rows);
        let a = TransducerAdvance {
            cursors,
            blank: self.blank,
            durations: self.durations.to_vec(),
            max_symbols: 3,
        };
        let y = b.op(Op::TransducerAdvance(a), &[logits, rows]);
        b.finish(&[y], Bounds::EXPONENTIAL)
    }
}

/// Durations of the published TDT models.
pub(super) const TDT: [usize; 5] = [0, 1, 2, 3, 4];

pub(super) fn cases() -> Cases {
    let numbers: Vec<f32> = (0..24).map(|i| (i * 700_001 - 7_000_000) as f32).collect();
    let (start, late) = (Clip::new(0, 138), Clip::new(136, 138));
    let busy = Clip { symbols: 2.0, logged: 7.0, ..Clip::new(20, 138) };
    let clips = [start, late, busy, Clip::new(138, 138), Clip::new(141, 138), Clip::new(0, 0)];
    let tdt = Walk { clips: &[busy], ahead: 8, blank: 8192, durations: &TDT, entries: 64, ties: false };
    let small = Walk { clips: &clips, ahead: 4, blank: 16, entries: 3, ..tdt };
    let mut all = vec![
        state_numbers("token", &numbers, 6, &[2])?,
        state_numbers("batch", &numbers, 3, &[7, 0, 3, 1, 1])?,
        state_numbers("many", &[5.0; 300], 1, &(0..300).rev().collect::<Vec<_>>())?,
        lstm_step("0.6b", 4, 640, &[[2, 1]])?,
        lstm_step("batch", 7, 640, &[[2, 1], [0, 0], [6, -3], [3, 0]])?,
        lstm_step("odd", 3, 17, &[[2, 0], [1, 1], [0, 1]])?,
        lstm_step("one-unit", 2, 1, &[[1, 1], [0, 0]])?,
        join("0.6b", [138, 640, 8], &[start])?,
        join("batch", [138, 640, 4], &clips)?,
        join("odd", [138, 17, 3], &clips)?,
        join("one", [1, 1, 1], &[Clip::new(0, 1)])?,
        tdt.case("0.6b-large")?,
        Walk { durations: &[], ..tdt.clone() }.case("rnnt-large")?,
        Walk { clips: &clips, ahead: 4, blank: 1024, ..tdt.clone() }.case("110m-large")?,
        small.case("small")?,
        Walk { durations: &[], ..small.clone() }.case("small-rnnt")?,
        Walk { ties: true, ..small.clone() }.case("ties")?,
        Walk { ties: true, blank: 300, ahead: 7, ..small.clone() }.case("ties-wide")?,
        Walk { ahead: 1, ..small.clone() }.case("frame-by-frame")?,
        Walk { durations: &[0], blank: 1, ..small.clone() }.case("never-on")?,
    ];
    let least = Walk { clips: &[busy], ahead: 1, blank: 1, durations: &[], entries: 1, ..small };
    all.push(Walk { ties: true, ..least.clone() }.case("least-large")?);
    all.push(least.case("least-blank-large")?);
    let stays = Walk { clips: &[busy; 3], ..small };
    all.push(Walk { durations: &[0], blank: 40, ..stays.clone() }.case("too-many-symbols")?);
    // The ring has gone round often.
    let logged = Clip { logged: 1e6, ..busy };
    all.push(Walk { clips: &[logged; 2], entries: 1, ..stays }.case("one-entry-large")?);
    Ok(all)
}

/// A round of 0.6b on one clip and on 64 of them.
pub(super) fn real() -> Cases {
    let mut all = Vec::new();
    for (count, ahead) in [(1, 8), (64, 4)] {
        let steps: Vec<[i32; 2]> = (0..count).map(|row| [row, 1]).collect();
        let clips = vec![Clip::new(20, 138); steps.len()];
        all.push(lstm_step("0.6b", steps.len(), 640, &steps)?);
        all.push(join("0.6b", [138, 640, ahead], &clips)?);
        let walk = Walk { clips: &clips, ahead, blank: 8192, durations: &TDT, entries: 64, ties: false };
        all.push(walk.case("0.6b")?);
    }
    Ok(all)
}

/// A case whose state tensor has `value` in a column of a row.
pub(super) fn with_number(case: &OpCase, state: usize, at: [usize; 2], value: f32) -> OpCase {
    let mut arguments = case.arguments.clone();
    let row = case.graph.states()[state].row.numel();
    arguments.states[state][at[0] * row + at[1]] = value;
    case.with_arguments(arguments)
}
