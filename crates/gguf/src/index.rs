//! Finding entries by name without keeping the names twice.

/// Positions of a list's entries, sorted by their names.
#[derive(Debug, Clone, Default)]
pub(crate) struct NameIndex {
    order: Vec<u32>,
}

impl NameIndex {
    /// Indexes entries `0..count`.
    ///
    /// # Errors
    /// The position of an entry whose name another has too. (More than 2^32 entries take a file of over 50 GB of names
    /// alone; the first entry is blamed.)
    pub(crate) fn new<'a>(count: usize, name: impl Fn(usize) -> &'a str) -> Result<NameIndex, usize> {
        let count = u32::try_from(count).map_err(|_| 0usize)?;
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_by_key(|&i| name(i as usize));
        match order.windows(2).find(|pair| name(pair[0] as usize) == name(pair[1] as usize)) {
            Some(pair) => Err(pair[1] as usize),
            None => Ok(NameIndex { order }),
        }
    }

    /// The position of the entry of this name.
    pub(crate) fn find<'a>(&self, wanted: &str, name: impl Fn(usize) -> &'a str) -> Option<usize> {
        let found = self.order.binary_search_by(|&i| name(i as usize).cmp(wanted)).ok()?;
        Some(self.order[found] as usize)
    }
}
