//! Flags as data: groups that verbs share, and the types of their values. Every flag can also be set by the environment
//! and the config file, see [`crate::config`].

mod hearing;
mod model;
mod render;
mod talk;
mod values;

pub(crate) use hearing::HearingFlags;
pub(crate) use model::ModelFlags;
pub(crate) use render::RenderFlags;
pub(crate) use talk::{ProgressKind, TalkFlags};
pub(crate) use values::{element_type, positive, precision, target};
