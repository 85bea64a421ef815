//! How keys and values are laid out in pages, and which of these are free.

use mynah_graph::StateElem;

/// How keys and values are laid out; all graphs of one model must use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CacheLayout {
    /// Tokens of a page.
    pub(super) page: usize,
    /// How elements are stored.
    pub(super) elem: StateElem,
}

/// Pages of a model; they grow with what sequences need, and are given back when these end.
#[derive(Debug, Default)]
pub(super) struct Pages {
    free: Vec<i32>,
    made: usize,
}

impl Pages {
    /// How many pages there must be for `wanted` free ones, if there are too few: half as many again at least, so that a sequence that
    /// grows page by page moves its cache only a few times.
    pub(super) fn short_of(&self, wanted: usize) -> Option<usize> {
        let missing = wanted.saturating_sub(self.free.len());
        (missing > 0).then(|| self.made.saturating_add(missing.max(self.made / 2)))
    }

    /// There are `count` pages now.
    pub(super) fn made(&mut self, count: usize) {
        self.free.extend((self.made..count).rev().filter_map(|page| i32::try_from(page).ok()));
        self.made = self.made.max(count);
    }

    /// A page that nobody has.
    pub(super) fn take(&mut self) -> Option<i32> {
        self.free.pop()
    }

    /// Gives pages back.
    pub(super) fn put(&mut self, pages: impl IntoIterator<Item = i32>) {
        self.free.extend(pages);
    }

    /// Pages that are in use.
    pub(super) fn used(&self) -> usize {
        self.made - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Pages;

    #[test]
    fn pages_are_had_once_and_come_back() {
        let mut pages = Pages::default();
        assert_eq!(pages.short_of(0), None);
        assert_eq!(pages.short_of(3), Some(3));
        pages.made(3);
        assert_eq!(pages.short_of(3), None);
        let taken: Vec<i32> = (0..3).filter_map(|_| pages.take()).collect();
        assert_eq!(taken, [0, 1, 2]);
        assert_eq!((pages.take(), pages.used()), (None, 3));
        // Half as many again, or what is missing.
        assert_eq!(pages.short_of(1), Some(4));
        assert_eq!(pages.short_of(5), Some(8));
        pages.made(8);
        pages.put([1]);
        assert_eq!((pages.take(), pages.take(), pages.used()), (Some(1), Some(3), 4));
    }
}
