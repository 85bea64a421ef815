//! The contract a device fulfils.
//!
//! `mynah-plan` turns a graph into a [`Plan`]: where every value lives and which nodes run in which order. A
//! [`Device`] says what it can run; its [`Session`] prepares weights once into its own layout, compiles plans into a
//! fixed list of launches and replays them. A device never learns which model it runs.

mod error;
mod plan;
mod policy;
mod session;
mod weights;

pub use error::{DeviceError, Unsupported};
pub use plan::{Location, Plan};
pub use policy::{F16_CACHE, Policy, Precision, Route};
pub use session::{Data, Device, DeviceReport, ProgramId, RunArgs, Session, StateHandle, StepTime};
pub use weights::{WeightBytes, WeightSource, WeightUse, weight_use};
