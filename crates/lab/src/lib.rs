//! Op cases, tolerances, drift measures and timing.
//!
//! Every device runs the same suite ([`cases`], [`generated`]) against the f64 reference of `mynah-graph`; its
//! conformance test is a few lines around [`run_case`] and [`invariance`]. `mynah ops` prints a [`Report`], `mynah
//! drift` what [`drift`] measures, `mynah bench` a [`timing::Timing`] against the [`Work`] done in
//! it.

mod agreement;
mod bisect;
mod bounds;
mod case;
pub mod cases;
pub mod drift;
mod elements;
mod error;
mod faulty;
mod guard;
pub mod invariance;
mod measure;
mod naive;
mod program;
mod reference;
mod report;
mod run;
pub mod timing;
pub mod wer;
mod work;

pub use agreement::{Agreement, agreement};
pub use bisect::{Bisection, Blame, Switch, bisect};
pub use bounds::Bounds;
pub use case::{Expect, OpCase};
pub use cases::{cases, generated, quick, real};
pub use elements::{Arguments, Elements, Values};
pub use error::LabError;
pub use faulty::{Fault, FaultyDevice};
pub use measure::{Difference, Error, compare, difference};
pub use naive::naive_plan;
pub use program::Program;
pub use reference::ReferenceDevice;
pub use report::Report;
pub use run::{CaseResult, Status, run_case, run_planned};
pub use work::Work;
