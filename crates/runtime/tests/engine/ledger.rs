//! A model that computes nothing: each row remembers its tokens and each page its own, and a step checks that they fit together. The
//! next token follows from all before it.

use mynah_device::DeviceError;
use mynah_models::ModelError;
use mynah_models::language::{LanguageModel, Piece, StateBytes, Wanted};
use mynah_plan::PlanError;

pub(crate) const VOCABULARY: usize = 97;
pub(crate) const PAGE: usize = 4;
pub(crate) const CONTEXT: usize = 60;

/// Tokens in a row or a page, as floats.
type Tokens = Vec<f32>;

pub(crate) struct Ledger {
    rows: Vec<Tokens>,
    pages: Vec<Tokens>,
    /// What the device has memory for.
    most: [usize; 2],
    logits: Vec<f32>,
}

impl Ledger {
    /// One with memory for so many rows and pages.
    pub(crate) fn new(rows: usize, pages: usize) -> Self {
        Self { rows: Vec::new(), pages: Vec::new(), most: [rows, pages], logits: Vec::new() }
    }
}

/// The token that follows.
pub(crate) fn next(tokens: &[u32]) -> u32 {
    let hash = tokens
        .iter()
        .fold(7u64, |h, &t| (h ^ u64::from(t)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23));
    (hash >> 20) as u32 % VOCABULARY as u32
}

/// A fixed number of places for tokens, those without one being below zero.
fn padded(tokens: &[f32], places: usize) -> Tokens {
    let mut all = tokens.to_vec();
    all.resize(places, -1.0);
    all
}

fn known(contents: &[f32]) -> Tokens {
    contents.iter().copied().filter(|&t| t >= 0.0).collect()
}

impl LanguageModel for Ledger {
    fn name(&self) -> &str {
        "ledger"
    }

    fn vocabulary(&self) -> usize {
        VOCABULARY
    }

    fn context(&self) -> usize {
        CONTEXT
    }

    fn page(&self) -> usize {
        PAGE
    }

    fn state_bytes(&self) -> StateBytes {
        StateBytes { row: 4 * CONTEXT, page: 4 * PAGE }
    }

    fn identity(&self) -> u64 {
        1
    }

    fn memory(&self) -> usize {
        4 * (CONTEXT * self.rows.len() + PAGE * self.pages.len())
    }

    fn reserve(&mut self, rows: usize, pages: usize) -> Result<(), ModelError> {
        if rows > self.most[0] || pages > self.most[1] {
            let what = if rows > self.most[0] { format!("{rows} rows") } else { format!("{pages} pages") };
            let error =
                DeviceError::OutOfMemory { device: what, what: "a test".into(), wanted: rows + pages };
            return Err(PlanError::from(error).into());
        }
        self.rows.resize(self.rows.len().max(rows), vec![0.5]);
        self.pages.resize(self.pages.len().max(pages), vec![0.5]);
        Ok(())
    }

    fn reset(&mut self, row: usize) -> Result<(), ModelError> {
        self.rows[row].clear();
        Ok(())
    }

    fn copy_row(&mut self, from: usize, to: usize) -> Result<(), ModelError> {
        assert_ne!(from, to);
        self.rows[to] = self.rows[from].clone();
        Ok(())
    }

    fn copy_page(&mut self, from: u32, to: u32) -> Result<(), ModelError> {
        assert_ne!(from, to);
        self.pages[to as usize] = self.pages[from as usize].clone();
        Ok(())
    }

    fn read_row(&mut self, row: usize) -> Result<Vec<f32>, ModelError> {
        Ok(padded(&self.rows[row], CONTEXT))
    }

    fn write_row(&mut self, row: usize, contents: &[f32]) -> Result<(), ModelError> {
        self.rows[row] = known(contents);
        Ok(())
    }

    fn read_page(&mut self, page: u32) -> Result<Vec<f32>, ModelError> {
        Ok(padded(&self.pages[page as usize], PAGE))
    }

    fn write_page(&mut self, page: u32, contents: &[f32]) -> Result<(), ModelError> {
        self.pages[page as usize] = known(contents);
        Ok(())
    }

    fn step(&mut self, pieces: &[Piece<'_>]) -> Result<&[f32], ModelError> {
        self.logits.clear();
        let mut written = Vec::new();
        for piece in pieces {
            assert!(!written.contains(&(piece.row, u32::MAX)), "row {} twice in a step", piece.row);
            written.push((piece.row, u32::MAX));
            assert_eq!(
                self.rows[piece.row].len(),
                piece.past,
                "the states of row {} are of others",
                piece.row
            );
            for &token in piece.tokens {
                let past = self.rows[piece.row].len();
                // What is in the pages is what is in the row.
                let page = piece.pages[past / PAGE];
                let contents = &mut self.pages[page as usize];
                contents.truncate(past % PAGE);
                contents.push(token as f32);
                self.rows[piece.row].push(token as f32);
                let from = past / PAGE * PAGE;
                assert_eq!(self.rows[piece.row][from..], self.pages[page as usize][..], "page {page}");
                if !written.contains(&(piece.row, page)) {
                    assert!(written.iter().all(|w| w.1 != page), "page {page} is written by two");
                    written.push((piece.row, page));
                }
            }
            for (i, chunk) in self.rows[piece.row].chunks(PAGE).enumerate() {
                let held = &self.pages[piece.pages[i] as usize];
                assert_eq!(chunk, held, "page {i} of row {} is another's", piece.row);
            }
            let all: Vec<u32> = self.rows[piece.row].iter().map(|&t| t as u32).collect();
            let from = match piece.wanted {
                Wanted::None => all.len(),
                Wanted::Last => all.len() - 1,
                Wanted::All => piece.past,
            };
            for end in from + 1..=all.len() {
                let token = next(&all[..end]) as usize;
                self.logits.extend((0..VOCABULARY).map(|t| if t == token { 1.0 } else { 0.0 }));
            }
        }
        Ok(&self.logits)
    }
}
