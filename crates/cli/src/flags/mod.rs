//! Flags as data: groups that verbs share, and the types of their values. Every flag can also be set by the environment
//! and the config file, see [`crate::config`].

mod answer;
mod hearing;
mod model;
mod render;
mod sampling;
mod speech;
mod talk;
mod tools;
mod values;

pub(crate) use answer::AnswerFlags;
pub(crate) use hearing::HearingFlags;
pub(crate) use model::ModelFlags;
pub(crate) use render::RenderFlags;
pub(crate) use sampling::SamplingFlags;
pub(crate) use speech::SpeechFlags;
pub(crate) use talk::{ProgressKind, TalkFlags, VolumeFlags};
pub(crate) use values::{element_type, flow_steps, on_off, positive, precision, target};
