//! Bodies of the fuzz targets, and the mutator of the stable driver.
//!
//! A target takes arbitrary bytes, does with them what the program does with a file from a stranger, and panics when
//! something is wrong: that is what both drivers look for.

pub mod audio;
pub mod gguf;
mod mutate;
pub mod nemo;
pub mod text;
pub mod voice;

pub use mutate::Mutator;

/// A fuzz target and what the stable driver needs to feed it.
pub struct Target {
    /// What it is called on the command line, and the folder of its corpus and artifacts.
    pub name: &'static str,
    /// The body. The answer tells apart what the bytes led to: inputs with a new answer are worth mutating further.
    pub run: fn(&[u8]) -> u64,
    /// Inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Byte strings that mean something in the format.
    pub dictionary: &'static [&'static [u8]],
}

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    text::answer::TARGET,
    audio::TARGET,
    gguf::TARGET,
    nemo::TARGET,
    text::speech::TARGET,
    text::template::TARGET,
    text::vocabulary::TARGET,
    voice::TARGET,
];

/// An answer for [`Target::run`] from an error's message: digits and quoted names vary with every mutation, the kind of
/// error does not.
pub fn kind_of(message: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    // From the first quote to the last: names may contain quotes themselves.
    let (before, quoted) = message.split_once('"').unwrap_or((message, ""));
    let after = quoted.rsplit_once('"').map_or("", |(_, after)| after);
    let mut hasher = DefaultHasher::new();
    before.chars().chain(after.chars()).filter(|c| !c.is_ascii_digit()).for_each(|c| c.hash(&mut hasher));
    hasher.finish()
}
