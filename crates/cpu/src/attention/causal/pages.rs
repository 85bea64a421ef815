//! Which pages hold a sequence's tokens, checked, and how new tokens get there.

use super::Sizes;
use super::element::Element;
use crate::memory::Output;
use crate::program::Fault;

/// A sequence of a step.
pub(super) struct Sequence<'a> {
    /// Tokens that the cache holds before the step.
    pub(super) past: usize,
    /// New tokens.
    pub(super) length: usize,
    /// Pages in use after the step, each a row of the cache.
    pub(super) pages: &'a [i32],
}

/// The two state tensors.
pub(super) struct Cache<'a, E> {
    pub(super) sizes: Sizes,
    pub(super) keys: Output<'a, E>,
    pub(super) values: Output<'a, E>,
}

/// The sequences of a step. Everything is checked before anything is written.
pub(super) fn read<'a>(
    numbers: &[i32],
    pages: &'a [i32],
    s: &Sizes,
    rows: usize,
) -> Result<Vec<Sequence<'a>>, Fault> {
    let (capacity, mut uses) = (s.listed * s.places, vec![0u32; rows]);
    let mut sequences = Vec::with_capacity(s.batch);
    for (b, &[past, length]) in numbers.as_chunks::<2>().0.iter().enumerate() {
        let past = Fault::check("tokens before", i64::from(past), capacity + 1)?;
        let length = Fault::check("length", i64::from(length), s.time + 1)?;
        Fault::check("tokens in all", (past + length) as i64, capacity + 1)?;
        let used = if length == 0 { 0 } else { (past + length).div_ceil(s.places) };
        let pages = &pages[b * s.listed..b * s.listed + used];
        for &page in pages {
            uses[Fault::check("page", i64::from(page), rows)?] += 1;
        }
        sequences.push(Sequence { past, length, pages });
    }
    for sequence in sequences.iter().filter(|q| q.length > 0) {
        let written = &sequence.pages[sequence.past / s.places..];
        if let Some(&page) = written.iter().find(|&&page| uses[page as usize] > 1) {
            return Err(Fault::Twice { what: "page", found: i64::from(page) });
        }
    }
    Ok(sequences)
}

impl<E: Element> Cache<'_, E> {
    /// Where a token's key, and likewise its value, begins, and how many tokens follow each other from there on.
    #[inline(always)]
    pub(super) fn place(&self, sequence: &Sequence<'_>, token: usize, key_head: usize) -> (usize, usize) {
        let Sizes { key_heads, places, width, .. } = self.sizes;
        let (page, place) = (sequence.pages[token / places] as usize, token % places);
        (((page * key_heads + key_head) * places + place) * width, places - place)
    }

    /// Writes one head of a sequence's new tokens.
    ///
    /// # Safety
    /// Nobody else may touch that head of those pages meanwhile.
    pub(super) unsafe fn append(
        &self,
        sequence: &Sequence<'_>,
        batch: usize,
        key_head: usize,
        k: &[f32],
        v: &[f32],
    ) {
        let Sizes { time, key_heads, width, .. } = self.sizes;
        for t in 0..sequence.length {
            let from = ((batch * time + t) * key_heads + key_head) * width;
            let (to, _) = self.place(sequence, sequence.past + t, key_head);
            // SAFETY: passed on to the caller.
            unsafe {
                E::store(&k[from..from + width], self.keys.slice(to..to + width));
                E::store(&v[from..from + width], self.values.slice(to..to + width));
            }
        }
    }
}
