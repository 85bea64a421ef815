//! A model that computes nothing: each row remembers its tokens and each page its own, and a step checks that they fit together. The
//! next token follows from all before it.

use mynah_device::DeviceError;
use mynah_models::ModelError;
use mynah_models::language::{Continuation, LanguageModel, Piece, StateBytes, Wanted, WithHidden};
use mynah_plan::PlanError;

pub(crate) const VOCABULARY: usize = 97;
pub(crate) const PAGE: usize = 4;
pub(crate) const CONTEXT: usize = 60;

/// Tokens in a row or a page, as floats.
type Tokens = Vec<f32>;

/// Tokens, and entries of the layer that drafts: the token after, and the hidden state.
#[derive(Clone)]
struct Page {
    tokens: Tokens,
    entries: [[f32; 2]; PAGE],
}

/// What nobody wrote.
const NONE: [f32; 2] = [-1.0; 2];

pub(crate) struct Ledger {
    rows: Vec<Tokens>,
    /// Tokens of each row's last step.
    last: Vec<usize>,
    pages: Vec<Page>,
    /// What the device has memory for.
    most: [usize; 2],
    drafts: usize,
    logits: Vec<f32>,
    hidden: Vec<f32>,
}

impl Ledger {
    /// One with memory for so many rows and pages, that can draft so many tokens.
    pub(crate) fn new(rows: usize, pages: usize, drafts: usize) -> Self {
        let (most, nothing) = ([rows, pages], Vec::new);
        let (logits, hidden) = (nothing(), nothing());
        Self { rows: Vec::new(), last: Vec::new(), pages: Vec::new(), most, drafts, logits, hidden }
    }
}

fn hash(tokens: &[u32]) -> u64 {
    let mix = |h: u64, t: &u32| (h ^ u64::from(*t)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    tokens.iter().fold(7u64, mix)
}

/// The token that follows.
pub(crate) fn next(tokens: &[u32]) -> u32 {
    (hash(tokens) >> 20) as u32 % VOCABULARY as u32
}

/// The hidden state after tokens. Those of drafts are below zero.
fn hidden(tokens: &[u32]) -> f32 {
    (hash(tokens) >> 44) as f32
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
        StateBytes {
            row: 4 * CONTEXT * (1 + self.drafts),
            saved_row: 4 * CONTEXT,
            page: 12 * PAGE,
            saved_page: 12 * PAGE,
        }
    }

    fn identity(&self) -> u64 {
        1
    }

    fn memory(&self) -> usize {
        self.state_bytes().row * self.rows.len() + self.state_bytes().page * self.pages.len()
    }

    fn reserve(&mut self, rows: usize, pages: usize) -> Result<(), ModelError> {
        if rows > self.most[0] || pages > self.most[1] {
            let what = if rows > self.most[0] { format!("{rows} rows") } else { format!("{pages} pages") };
            let error =
                DeviceError::OutOfMemory { device: what, what: "a test".into(), wanted: rows + pages };
            return Err(PlanError::from(error).into());
        }
        self.rows.resize(self.rows.len().max(rows), vec![0.5]);
        self.last.resize(self.rows.len(), 0);
        let page = Page { tokens: vec![0.5], entries: [NONE; PAGE] };
        self.pages.resize(self.pages.len().max(pages), page);
        Ok(())
    }

    fn reset(&mut self, row: usize) -> Result<(), ModelError> {
        self.rows[row].clear();
        Ok(())
    }

    fn copy_row(&mut self, from: usize, to: usize) -> Result<(), ModelError> {
        assert_ne!(from, to);
        self.rows[to] = self.rows[from].clone();
        self.last[to] = self.last[from];
        Ok(())
    }

    fn copy_page(&mut self, from: u32, to: u32) -> Result<(), ModelError> {
        assert_ne!(from, to);
        self.pages[to as usize] = self.pages[from as usize].clone();
        Ok(())
    }

    fn read_row(&mut self, row: usize, snapshot: usize) -> Result<Vec<f32>, ModelError> {
        let tokens = &self.rows[row];
        Ok(padded(&tokens[..tokens.len() - snapshot], CONTEXT))
    }

    fn write_row(&mut self, row: usize, contents: &[f32]) -> Result<(), ModelError> {
        (self.rows[row], self.last[row]) = (known(contents), 1);
        Ok(())
    }

    fn read_page(&mut self, page: u32) -> Result<Vec<f32>, ModelError> {
        let page = &self.pages[page as usize];
        Ok([padded(&page.tokens, PAGE), page.entries.concat()].concat())
    }

    fn write_page(&mut self, page: u32, contents: &[f32]) -> Result<(), ModelError> {
        let (tokens, entries) = contents.split_at(PAGE);
        let entries = entries.as_chunks::<2>().0.try_into().unwrap();
        self.pages[page as usize] = Page { tokens: known(tokens), entries };
        Ok(())
    }

    fn step(&mut self, pieces: &[Piece<'_>]) -> Result<&[f32], ModelError> {
        self.logits.clear();
        self.hidden.clear();
        let mut written = Vec::new();
        for piece in pieces {
            assert!(!written.contains(&(piece.row, u32::MAX)), "row {} twice in a step", piece.row);
            written.push((piece.row, u32::MAX));
            let back = piece.snapshot;
            assert!(
                back == 0 || back < self.last[piece.row].min(1 + self.drafts),
                "{back} can't be taken back"
            );
            let kept = self.rows[piece.row].len() - back;
            self.rows[piece.row].truncate(kept);
            self.last[piece.row] = piece.tokens.len();
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
                let contents = &mut self.pages[page as usize].tokens;
                contents.truncate(past % PAGE);
                contents.push(token as f32);
                self.rows[piece.row].push(token as f32);
                let from = past / PAGE * PAGE;
                assert_eq!(self.rows[piece.row][from..], self.pages[page as usize].tokens[..], "page {page}");
                if !written.contains(&(piece.row, page)) {
                    assert!(written.iter().all(|w| w.1 != page), "page {page} is written by two");
                    written.push((piece.row, page));
                }
            }
            for (i, chunk) in self.rows[piece.row].chunks(PAGE).enumerate() {
                let held = &self.pages[piece.pages[i] as usize].tokens;
                assert_eq!(chunk, held, "page {i} of row {} is another's", piece.row);
            }
            let all: Vec<u32> = self.rows[piece.row].iter().map(|&t| t as u32).collect();
            self.hidden.extend((piece.past + 1..=all.len()).map(|end| hidden(&all[..end])));
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

    fn drafts(&self) -> usize {
        self.drafts
    }

    fn hidden(&self) -> usize {
        1
    }

    fn step_with_hidden(&mut self, pieces: &[Piece<'_>]) -> Result<WithHidden, ModelError> {
        let logits = self.step(pieces)?.to_vec();
        Ok(WithHidden { logits, hidden: self.hidden.clone() })
    }

    /// Guesses right two times of three, from what stands in the pages, which is checked: an entry for each token but the first, with
    /// the hidden state before it.
    fn draft(&mut self, pieces: &[Continuation<'_>]) -> Result<WithHidden, ModelError> {
        let mut found = WithHidden::default();
        let mut written = Vec::new();
        for piece in pieces {
            let place = |i: usize| (piece.pages[i / PAGE] as usize, i % PAGE);
            assert!(!piece.tokens.is_empty() && piece.tokens.len() == piece.hidden.len());
            // What the model has taken in, as far as it is known, and whether this goes on from drafts.
            let said = |pages: &[Page], i: usize| pages[place(i).0].tokens[place(i).1] as u32;
            let mut known = vec![said(&self.pages, 0)];
            let real = piece.hidden[0] >= 0.0;
            for i in 0..piece.past {
                let [token, state] = self.pages[place(i).0].entries[place(i).1];
                assert!(token >= 0.0, "entry {i} is missing");
                if real {
                    assert_eq!(state, hidden(&known), "entry {i} is another's");
                    assert_eq!(token as u32, said(&self.pages, i + 1), "entry {i} is of another token");
                }
                known.push(token as u32);
            }
            for (n, (&token, &state)) in piece.tokens.iter().zip(piece.hidden).enumerate() {
                let (page, at) = place(piece.past + n);
                assert!(!real || state == hidden(&known), "the hidden state of entry {n} is another's");
                let waits = n + 1 == piece.tokens.len();
                assert!(!real || waits || token == said(&self.pages, piece.past + n + 1));
                known.push(token);
                self.pages[page].entries[at] = [token as f32, state];
                self.pages[page].entries[at + 1..].fill(NONE);
                written.push((page, piece.pages.as_ptr()));
            }
            found.hidden.extend(piece.tokens.iter().map(|&token| -1.0 - token as f32));
            if piece.wanted == Wanted::Last {
                let right = next(&known) as usize;
                let guess = if hash(&known).is_multiple_of(3) { (right + 1) % VOCABULARY } else { right };
                found.logits.extend((0..VOCABULARY).map(|t| if t == guess { 1.0 } else { 0.0 }));
            }
        }
        for (page, owner) in &written {
            assert!(written.iter().all(|(p, o)| p != page || o == owner), "page {page} is written by two");
        }
        Ok(found)
    }
}
