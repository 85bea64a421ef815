//! What the runtime needs of a language model, whatever its family: states by row and page, a step, and numbers to plan with.
//!
//! A family implements [`LanguageModel`]; `mynah-runtime` decides who has which row and which pages, when a step is made and which
//! token follows. A new family is made known to [`open`] and [`estimate`].

use crate::error::ModelError;
use crate::qwen35;
use mynah_device::{Device, Policy};
use mynah_gguf::GgufFile;
use mynah_plan::{Executor, Options};
use std::sync::Arc;

/// Whose logits a piece wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nobody's: more of the prompt follows.
    None,
    /// The last token's.
    Last,
    /// Every token's.
    All,
}

/// Some tokens of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The sequence's row of the recurrent states, [`LanguageModel::reset`] before its first piece.
    pub row: usize,
    /// Its pages in order, enough for `past` and the new tokens.
    pub pages: &'a [u32],
    /// Tokens it has already.
    pub past: usize,
    /// The snapshot it goes on from: how many of the tokens it had are taken back, which `past` doesn't count.
    pub snapshot: usize,
    /// What follows.
    pub tokens: &'a [u32],
    /// Which logits are wanted.
    pub wanted: Wanted,
}

/// Entries to draft from: each is a token and the hidden state of the one before it.
#[derive(Clone, Copy, Debug)]
pub struct Continuation<'a> {
    /// The sequence's pages, those of its [`Piece`]s.
    pub pages: &'a [u32],
    /// Entries the layer has already. Entries from here on are written anew, so those of tokens that were taken back go by going on
    /// from before them.
    pub past: usize,
    /// Tokens.
    pub tokens: &'a [u32],
    /// `[tokens, hidden]`: of the token before each, from the step that had it, or from the draft it came of.
    pub hidden: &'a [f32],
    /// Which logits are wanted: what comes after each token.
    pub wanted: Wanted,
}

/// What a step or a draft gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WithHidden {
    /// `[n, vocabulary]` of the tokens wanted, those of the first piece first.
    pub logits: Vec<f32>,
    /// `[tokens, hidden]`, normed, of every token of every piece.
    pub hidden: Vec<f32>,
}

/// What sequences cost, in bytes of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateBytes {
    /// A row: all recurrent states of one sequence, whatever its length, in as many snapshots as are kept. A checkpoint costs the same.
    pub row: usize,
    /// What [`LanguageModel::read_row`] gives of a row: one snapshot, as f32.
    pub saved_row: usize,
    /// A page: keys and values of [`LanguageModel::page`] tokens.
    pub page: usize,
    /// What [`LanguageModel::read_page`] gives of a page, as f32 however keys and values are stored.
    pub saved_page: usize,
}

/// A language model on a device, with the states of its sequences.
///
/// Rows and pages are numbered from 0 and exist once [`LanguageModel::reserve`] has made them. What a sequence computes may depend
/// neither on the others in a step nor on how its tokens are cut into pieces.
pub trait LanguageModel: Send {
    /// What the file calls it.
    fn name(&self) -> &str;

    /// Tokens of the vocabulary; logits are as many.
    fn vocabulary(&self) -> usize;

    /// Tokens of the longest sequence it was made for.
    fn context(&self) -> usize;

    /// Tokens of a page.
    fn page(&self) -> usize;

    /// What rows and pages cost.
    fn state_bytes(&self) -> StateBytes;

    /// Tells this model from others: states saved under another number must not be restored.
    fn identity(&self) -> u64;

    /// Bytes held on the device: weights, arenas and states.
    fn memory(&self) -> usize;

    /// Makes room for so many rows and pages, keeping the contents of those there are. Never gives room back.
    ///
    /// # Errors
    /// When the device has no memory for it; everything is then as it was.
    fn reserve(&mut self, rows: usize, pages: usize) -> Result<(), ModelError>;

    /// Empties the states of a row for a sequence that begins.
    ///
    /// # Errors
    /// A row that isn't there, or what running the graph reports.
    fn reset(&mut self, row: usize) -> Result<(), ModelError>;

    /// Copies the states of a row to another, on the device.
    ///
    /// # Errors
    /// As [`LanguageModel::reset`].
    fn copy_row(&mut self, from: usize, to: usize) -> Result<(), ModelError>;

    /// Copies the keys and values of a page to another, on the device.
    ///
    /// # Errors
    /// A page that isn't there, or what running the graph reports.
    fn copy_page(&mut self, from: u32, to: u32) -> Result<(), ModelError>;

    /// The states of a row as they were `snapshot` tokens before its last, `saved_row` bytes of [`StateBytes`], in a layout that
    /// doesn't depend on how many snapshots are kept.
    ///
    /// # Errors
    /// A snapshot that isn't kept; as [`LanguageModel::reset`].
    fn read_row(&mut self, row: usize, snapshot: usize) -> Result<Vec<f32>, ModelError>;

    /// Puts states back that [`LanguageModel::read_row`] gave, as those after the last token.
    ///
    /// # Errors
    /// A row that isn't there, another number of elements, or what running the graph reports.
    fn write_row(&mut self, row: usize, contents: &[f32]) -> Result<(), ModelError>;

    /// The keys and values of a page, `saved_page` bytes of [`StateBytes`].
    ///
    /// # Errors
    /// As [`LanguageModel::copy_page`].
    fn read_page(&mut self, page: u32) -> Result<Vec<f32>, ModelError>;

    /// Puts keys and values back that [`LanguageModel::read_page`] gave, rounded to what they are stored as here.
    ///
    /// # Errors
    /// A page that isn't there, another number of elements, or what running the graph reports.
    fn write_page(&mut self, page: u32, contents: &[f32]) -> Result<(), ModelError>;

    /// Takes a step and gives the logits wanted, `[n, vocabulary]`, those of the first piece first. Pieces are padded to the longest,
    /// so a long prompt and single tokens are better two steps.
    ///
    /// # Errors
    /// A token, row or page that isn't there, a page that two sequences write, too few pages, or what running the graph reports;
    /// the states of the pieces' rows may then hold a part of the step.
    fn step(&mut self, pieces: &[Piece<'_>]) -> Result<&[f32], ModelError>;

    /// Tokens that can be drafted and taken back again: one less than the snapshots kept, 0 if nothing drafts.
    fn drafts(&self) -> usize {
        0
    }

    /// Width of the hidden states that drafts go on from.
    fn hidden(&self) -> usize {
        0
    }

    /// [`LanguageModel::step`] that gives the hidden states as well.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] where nothing drafts; as [`LanguageModel::step`].
    fn step_with_hidden(&mut self, pieces: &[Piece<'_>]) -> Result<WithHidden, ModelError> {
        let _ = pieces;
        Err(no_drafts())
    }

    /// Predicts what comes after the tokens of these entries.
    ///
    /// After a step of tokens 1 to n and their hidden states, entries 1 to n − 1 are tokens 2 to n with the hidden states 1 to n − 1,
    /// and entry n is the token that was sampled with the hidden state n. What it gives is a guess at the token after, and, as the
    /// hidden state of the next entry, more guesses.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] where nothing drafts, or for another number of hidden states than tokens; as
    /// [`LanguageModel::step`].
    fn draft(&mut self, pieces: &[Continuation<'_>]) -> Result<WithHidden, ModelError> {
        let _ = pieces;
        Err(no_drafts())
    }

    /// What runs its graphs, for profiles and dumps; a model without graphs has none.
    fn executor(&mut self) -> Option<&mut Executor> {
        None
    }
}

/// What a step may be as large as, for [`estimate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Sequences that run at a time.
    pub sequences: usize,
    /// Tokens of a prompt that a step takes.
    pub chunk: usize,
    /// Tokens of the longest sequence.
    pub context: usize,
    /// Tokens that are drafted for each sequence in a step.
    pub drafts: usize,
}

/// Most tokens that may be drafted at a time: every one more keeps another snapshot of all recurrent states.
pub const MAX_DRAFTS: usize = 16;

/// There is no layer that drafts.
pub(crate) fn no_drafts() -> ModelError {
    ModelError::Unsupported { what: "drafting with a file that has no layer for it".to_owned() }
}

/// Memory a language model will need, in bytes, known before anything is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// The weights as the file has them, an embedding that is also the head twice: about what a device keeps.
    pub weights: u64,
    /// Recurrent states of each sequence.
    pub sequence: u64,
    /// Keys and values of each token.
    pub token: u64,
    /// Tokens of a page, by which keys and values grow.
    pub page: usize,
    /// Values of the largest step on their way, logits among them.
    pub activations: u64,
}

impl MemoryEstimate {
    /// Everything for so many sequences, their tokens together rounded up to pages for each.
    pub fn total(&self, sequences: usize, tokens_each: usize) -> u64 {
        let tokens = (tokens_each.next_multiple_of(self.page.max(1)) as u64).saturating_mul(self.token);
        let each = self.sequence.saturating_add(tokens);
        let all = (sequences as u64).saturating_mul(each);
        self.weights.saturating_add(self.activations).saturating_add(all)
    }
}

/// Opens a language model of any family that is known, with states that let `drafts` tokens be taken back; 0 for no drafting.
///
/// # Errors
/// [`ModelError::Family`] for another one, [`ModelError::Unsupported`] for drafts of a file that has no layer for them or more than
/// [`MAX_DRAFTS`]; else what is wrong with the file or the device.
pub fn open(
    file: Arc<GgufFile>,
    device: Arc<dyn Device>,
    fallback: Option<Arc<dyn Device>>,
    options: Options,
    drafts: usize,
) -> Result<Box<dyn LanguageModel>, ModelError> {
    let layout = layout(drafts)?;
    let options = qwen35::LoadOptions { executor: options, layout, sequences: 0, pages: 0 };
    let model = qwen35::Qwen35::load(file, device, fallback, options)?;
    if drafts > 0 && !model.can_draft() {
        return Err(no_drafts());
    }
    Ok(Box::new(model))
}

fn layout(drafts: usize) -> Result<qwen35::StateLayout, ModelError> {
    if drafts > MAX_DRAFTS {
        let what = format!("drafting {drafts} tokens at a time; {MAX_DRAFTS} are the most");
        return Err(ModelError::Unsupported { what });
    }
    Ok(qwen35::StateLayout { snapshots: 1 + drafts, ..qwen35::StateLayout::default() })
}

/// The memory a file's model will need on a device under a policy.
///
/// # Errors
/// [`ModelError::Family`] for a file of no known family; a tensor that is missing or has the wrong shape.
pub fn estimate(
    file: &GgufFile,
    device: &dyn Device,
    policy: &Policy,
    workload: &Workload,
) -> Result<MemoryEstimate, ModelError> {
    qwen35::Qwen35::estimate(file, device, policy, layout(workload.drafts)?, workload)
}

/// A number that tells a file's model, laid out by these `sizes`, from others: of its architecture and every tensor's name, shape, type
/// and beginning. FNV-1a, since the standard library's hash may change with its version.
pub(crate) fn fingerprint(file: &GgufFile, sizes: &[usize]) -> u64 {
    const BEGINNING: usize = 256;
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut add = |bytes: &[u8]| {
        for &byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    };
    add(file.get_str("general.architecture").ok().flatten().unwrap_or_default().as_bytes());
    let mut numbers = |numbers: &[usize]| numbers.iter().for_each(|&n| add(&(n as u64).to_le_bytes()));
    numbers(sizes);
    for tensor in file.tensors() {
        numbers(tensor.shape.dims());
        numbers(&[tensor.name.len(), tensor.nbytes]);
    }
    for tensor in file.tensors() {
        add(tensor.name.as_bytes());
        // A tensor that can't be read is refused when the model is loaded.
        let data = file.data(tensor).unwrap_or_default();
        add(&data[..data.len().min(BEGINNING)]);
    }
    hash
}
