//! What the host checks of a paged cache before a run: that every sequence has the pages it needs, and that none is written which
//! another use of it would see change.

use mynah_device::{Data, DeviceError};

/// Numbers of an attention over pages, all inputs of the graph.
#[derive(Clone, Debug)]
pub(crate) struct PageCheck {
    /// The step's value.
    pub(crate) node: String,
    /// The input with two numbers a sequence: tokens it had before, and new ones.
    pub(crate) sequences: usize,
    /// The input with the pages of each.
    pub(crate) pages: usize,
    /// The state tensors whose rows are the pages.
    pub(crate) states: [u32; 2],
    /// New tokens at most.
    pub(crate) time: usize,
    /// Tokens of a page.
    pub(crate) places: usize,
    /// Pages listed of each sequence.
    pub(crate) listed: usize,
}

impl PageCheck {
    /// Looks at the numbers of a run. `rows` are those of the state tensors given.
    pub(crate) fn run(&self, graph: &str, inputs: &[Data<'_>], rows: &[usize]) -> Result<(), DeviceError> {
        let (Some(Data::I32(sequences)), Some(Data::I32(pages))) =
            (inputs.get(self.sequences), inputs.get(self.pages))
        else {
            return Ok(());
        };
        let rows = self.states.map(|state| rows.get(state as usize).copied().unwrap_or(0));
        let rows = rows[0].min(rows[1]);
        let capacity = self.listed * self.places;
        let below = |what, found: i64, limit: usize| match usize::try_from(found) {
            Ok(n) if n < limit => Ok(n),
            _ => Err(DeviceError::OutOfRange { node: self.node.clone(), what, found, limit }),
        };
        let mut uses = vec![0u32; rows];
        let mut written = Vec::new();
        for (b, numbers) in sequences.as_chunks::<2>().0.iter().enumerate() {
            let past = below("tokens before", i64::from(numbers[0]), capacity + 1)?;
            let length = below("length", i64::from(numbers[1]), self.time + 1)?;
            below("tokens in all", (past + length) as i64, capacity + 1)?;
            if length == 0 {
                continue;
            }
            let used = (past + length).div_ceil(self.places);
            for i in 0..used {
                let page = pages.get(b * self.listed + i).copied().unwrap_or(-1);
                let page = below("page", i64::from(page), rows)?;
                uses[page] += 1;
                if i >= past / self.places {
                    written.push(page);
                }
            }
        }
        match written.into_iter().find(|&page| uses[page] > 1) {
            None => Ok(()),
            Some(page) => Err(DeviceError::Arguments {
                graph: graph.to_owned(),
                reason: format!("'{}': page {page} is written and in use twice", self.node),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(sequences: &[i32], pages: &[i32]) -> Result<(), DeviceError> {
        let check = PageCheck {
            node: "y".into(),
            sequences: 0,
            pages: 1,
            states: [0, 1],
            time: 2,
            places: 4,
            listed: 2,
        };
        check.run("g", &[Data::I32(sequences), Data::I32(pages)], &[5, 4])
    }

    #[test]
    fn full_pages_may_be_shared_and_written_ones_not() {
        assert!(run(&[4, 1, 4, 2], &[3, 1, 3, 2]).is_ok(), "both begin with page 3, which is full");
        assert!(matches!(run(&[3, 1, 4, 2], &[3, -1, 3, 2]), Err(DeviceError::Arguments { .. })));
        assert!(matches!(run(&[4, 1, 4, 2], &[3, 1, 0, 1]), Err(DeviceError::Arguments { .. })));
        assert!(run(&[3, 0, 4, 2], &[3, -1, 3, 2]).is_ok(), "without new tokens nothing is written");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let what = |sequences: &[i32], pages: &[i32]| match run(sequences, pages) {
            Err(DeviceError::OutOfRange { what, .. }) => what,
            other => panic!("{other:?}"),
        };
        // The values have a page less than the keys.
        assert_eq!(what(&[0, 1], &[4, -1]), "page");
        assert_eq!(what(&[4, 1], &[0, -1]), "page");
        assert_eq!(what(&[9, 0], &[0, 1]), "tokens before");
        assert_eq!(what(&[0, 3], &[0, 1]), "length");
        assert_eq!(what(&[7, 2], &[0, 1]), "tokens in all");
    }
}
