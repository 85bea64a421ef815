//! What a run left, lent to callers word by word from where the backend has it.

use std::ops::Deref;

/// The outputs of a run one after the other, and what guards found.
pub(crate) enum Results<V> {
    /// The backend's own memory.
    Lent(V),
    /// A copy, of memory that doesn't begin at a word.
    Copied(Vec<u32>),
}

impl<V: Deref<Target = [u8]>> Results<V> {
    pub(crate) fn new(view: V) -> Self {
        if bytemuck::try_cast_slice::<u8, u32>(&view).is_ok() {
            Self::Lent(view)
        } else {
            Self::Copied(bytemuck::pod_collect_to_vec::<u8, u32>(&view))
        }
    }

    pub(crate) fn words(&self) -> &[u32] {
        match self {
            Self::Lent(view) => bytemuck::try_cast_slice::<u8, u32>(view).unwrap_or(&[]),
            Self::Copied(words) => words,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_from_any_address() {
        let aligned: Vec<u32> = vec![1, 2, 3, 4];
        let bytes: &[u8] = bytemuck::cast_slice(&aligned);
        let lent = Results::new(&bytes[4..12]);
        assert!(matches!(lent, Results::Lent(_)));
        assert_eq!(lent.words(), [2, 3]);
        let shifted = [&[0][..], bytes].concat();
        // One of two neighbouring addresses is no word's.
        for from in 0..2 {
            let results = Results::new(&shifted[from..from + 8]);
            let read = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|i| shifted[from + 4 * at + i]));
            assert_eq!(results.words(), [read(0), read(1)]);
        }
    }
}
