//! What the host checks before a run: numbers that index something, as far as the caller gives them.
//!
//! Kernels clamp every index, so a bad one never reaches foreign memory; here it becomes an error. Indices that a kernel
//! computed are checked on the device by a guard, see `kernels/guard`.

use mynah_device::{Data, DeviceError};

/// Where the numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// An input of the graph.
    Input(usize),
    /// A runtime scalar.
    Slot(u32),
}

/// One past the largest legal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Known beforehand.
    Fixed(usize),
    /// The rows of a state tensor, less those that must follow.
    Rows {
        /// The state tensor.
        state: u32,
        /// Rows from the number on, 1 for a single one.
        count: usize,
    },
}

/// Numbers that must be legal for a step.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    /// The step's value.
    pub(crate) node: String,
    /// What is indexed.
    pub(crate) what: &'static str,
    pub(crate) numbers: Numbers,
    pub(crate) limit: Limit,
    /// Whether each number may occur once only.
    pub(crate) distinct: bool,
    /// Which of how many columns the numbers are, `[0, 1]` for all.
    pub(crate) column: [usize; 2],
}

impl Check {
    /// The same for one of `columns` columns of the numbers.
    pub(crate) fn of_column(mut self, column: usize, columns: usize) -> Self {
        self.column = [column, columns];
        self
    }

    /// Looks at the numbers of a run. `rows` are those of the state tensors given.
    pub(crate) fn run(
        &self,
        graph: &str,
        inputs: &[Data<'_>],
        slots: &[i64],
        rows: &[usize],
    ) -> Result<(), DeviceError> {
        let limit = match self.limit {
            Limit::Fixed(limit) => limit,
            Limit::Rows { state, count } => {
                (rows.get(state as usize).copied().unwrap_or(0) + 1).saturating_sub(count)
            }
        };
        let one = |found: i64| {
            let legal = usize::try_from(found).is_ok_and(|i| i < limit);
            let (node, what) = (self.node.clone(), self.what);
            legal.then_some(()).ok_or(DeviceError::OutOfRange { node, what, found, limit })
        };
        match self.numbers {
            Numbers::Slot(slot) => one(slots.get(slot as usize).copied().unwrap_or(-1)),
            Numbers::Input(index) => {
                let Some(Data::I32(ids)) = inputs.get(index) else { return Ok(()) };
                let ids = ids.iter().skip(self.column[0]).step_by(self.column[1].max(1)).copied();
                ids.clone().try_for_each(|id| one(i64::from(id)))?;
                let mut sorted: Vec<i32> = if self.distinct { ids.collect() } else { Vec::new() };
                sorted.sort_unstable();
                match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                    None => Ok(()),
                    Some(pair) => Err(DeviceError::Arguments {
                        graph: graph.to_owned(),
                        reason: format!("'{}': {} {} is named twice", self.node, self.what, pair[0]),
                    }),
                }
            }
        }
    }
}
