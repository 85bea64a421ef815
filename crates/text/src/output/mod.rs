//! Where files go and how they get there: [`Template`] names them, [`plan`] makes sure that no two are one,
//! [`is_done`] skips what an earlier run finished, [`write_atomic`] leaves nothing half written.

mod done;
mod error;
mod plan;
mod template;
mod write;

pub use done::{is_done, is_done_for};
pub use error::OutputError;
pub use plan::{Planned, plan};
pub use template::{Fields, Template};
pub use write::{write_atomic, write_atomic_with};
