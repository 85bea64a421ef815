//! What greedy RNN-T and TDT decoding keeps of each clip when it runs on a device: one row of numbers, which the ops
//! `transducer_join` and `transducer_advance` share.
//!
//! The row is a **cursor** of [`cursor::LEN`] whole numbers, then a ring of **log entries** of [`entry::LEN`] numbers:
//! the tokens emitted, the oldest overwritten first. Whole numbers are below [`LIMIT`], so that f32 holds them exactly.

use crate::ir::StateId;

/// One past the largest whole number in a row.
pub const LIMIT: usize = 1 << 24;

/// Columns of the cursor.
pub mod cursor {
    /// The frame the joint looks at next, a row of the state of frames.
    pub const AT: usize = 0;
    /// One past the clip's last frame.
    pub const END: usize = 1;
    /// Symbols emitted at the frame so far.
    pub const SYMBOLS: usize = 2;
    /// The token emitted last; the blank before the first.
    pub const TOKEN: usize = 3;
    /// 1 while the prediction network has yet to read that token, otherwise 0.
    pub const PENDING: usize = 4;
    /// Tokens logged since the start; entry `n` of the log is at `n mod capacity` of the ring.
    pub const LOGGED: usize = 5;
    /// Numbers of a cursor.
    pub const LEN: usize = 6;
}

/// Columns of a log entry.
pub mod entry {
    /// The token.
    pub const TOKEN: usize = 0;
    /// The frame it was emitted at, a row of the state of frames.
    pub const FRAME: usize = 1;
    /// Frames it lasts: what a TDT head says, 1 for RNN-T.
    pub const DURATION: usize = 2;
    /// NeMo's `max_prob`: `(N·p − 1) / (N − 1)` within 0 and 1, `p` the token's softmax probability among `N` labels.
    pub const CONFIDENCE: usize = 3;
    /// Numbers of an entry.
    pub const LEN: usize = 4;
}

/// The hidden layer of an RNN-T joint (Graves 2012) for the next frames of each clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransducerJoin {
    /// Encoder frames through the joint's encoder projection, a row each, all clips one after the other.
    pub frames: StateId,
    /// The cursors.
    pub cursors: StateId,
    /// Frames looked at, from the cursor's on.
    pub ahead: usize,
}

/// A round of greedy label looping (Bataev et al. 2024; durations: Xu et al. 2023): each clip moves along its window of
/// frames up to the first token, which is logged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TransducerAdvance {
    /// The cursors and logs.
    pub cursors: StateId,
    /// The blank, which is the last label.
    pub blank: usize,
    /// Frames that each duration output stands for; empty for RNN-T.
    pub durations: Vec<usize>,
    /// Symbols after which a frame is left even if a duration of 0 says to stay.
    pub max_symbols: usize,
}

impl TransducerAdvance {
    /// Numbers of a row with a log of `capacity` entries.
    pub fn row(capacity: usize) -> usize {
        cursor::LEN + capacity * entry::LEN
    }

    /// Log entries of a row of `row` numbers, `None` if there is no whole number of them, or none.
    pub fn capacity(row: usize) -> Option<usize> {
        let ring = row.checked_sub(cursor::LEN).filter(|n| n.is_multiple_of(entry::LEN))?;
        Some(ring / entry::LEN).filter(|&n| n > 0)
    }

    /// Labels, the blank among them.
    pub fn labels(&self) -> usize {
        self.blank + 1
    }
}
