//! What is said on stderr.

use crate::notes::Volume;
use clap::{Args, ValueEnum};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressKind {
    /// A bar on a terminal, else one line at the end
    Auto,
    /// A bar, terminal or not
    Bar,
    /// A JSON object a line, for programs
    Json,
    /// Nothing
    None,
}

/// Progress and verbosity.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Talk on stderr")]
pub(crate) struct TalkFlags {
    /// How progress is shown
    #[arg(long, value_enum, value_name = "KIND", default_value_t = ProgressKind::Auto)]
    pub(crate) progress: ProgressKind,

    #[command(flatten)]
    volume: VolumeFlags,
}

/// Verbosity.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Talk on stderr")]
pub(crate) struct VolumeFlags {
    /// Only errors and warnings
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Say what is used and what is written
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

impl VolumeFlags {
    /// How much is said.
    pub(crate) fn volume(self) -> Volume {
        match (self.quiet, self.verbose) {
            (true, _) => Volume::Quiet,
            (false, true) => Volume::Verbose,
            (false, false) => Volume::Normal,
        }
    }
}

impl TalkFlags {
    /// How much is said.
    pub(crate) fn volume(self) -> Volume {
        self.volume.volume()
    }

    /// How progress is shown; asking for quiet means no progress, unless a kind was asked for too.
    pub(crate) fn progress(self) -> ProgressKind {
        if self.volume.quiet && self.progress == ProgressKind::Auto {
            ProgressKind::None
        } else {
            self.progress
        }
    }
}
