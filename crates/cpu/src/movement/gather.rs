//! Looks up rows of a table.

use crate::elementwise::rows_per_task;
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::weights::Table;
use mynah_device::DeviceError;
use std::sync::Arc;

struct Gather {
    table: Rows,
    ids: Operand,
    out: Target,
    rows: usize,
    width: usize,
}

enum Rows {
    Stored(Arc<Table>),
    Computed(Operand),
}

/// Compiles a lookup.
pub(crate) fn compile(bind: &Bind<'_>) -> Result<Box<dyn Kernel>, DeviceError> {
    let shape = bind.shape(0);
    let table = if bind.is_weight(0) {
        let table = bind.table(0)?;
        if table.rows() != shape.rows() {
            return Err(bind.misplaced("the prepared table has another shape"));
        }
        Rows::Stored(table)
    } else {
        Rows::Computed(bind.operand(0)?)
    };
    let (ids, out) = (bind.operand(1)?, bind.target()?);
    Ok(Box::new(Gather { table, ids, out, rows: shape.rows(), width: shape.last() }))
}

impl Kernel for Gather {
    fn name(&self) -> String {
        "gather".to_owned()
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (ids, out, width) = (launch.read_i32(&self.ids), launch.output(&self.out), self.width);
        for &id in ids {
            Fault::check("id", i64::from(id), self.rows)?;
        }
        launch.pool().run_chunks(ids.len(), rows_per_task(width), &|range| {
            for index in range {
                let id = ids[index] as usize;
                // SAFETY: rows are disjoint.
                let out = unsafe { out.slice(index * width..(index + 1) * width) };
                match &self.table {
                    Rows::Stored(table) => {
                        // Sizes were checked when the table was prepared.
                        let decoded = table.row(id, out);
                        debug_assert_eq!(decoded, Ok(()));
                    }
                    Rows::Computed(x) => out.copy_from_slice(&launch.read(x)[id * width..(id + 1) * width]),
                }
            }
        })?;
        Ok(())
    }
}
