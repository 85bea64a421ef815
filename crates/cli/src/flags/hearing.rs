//! How speech is recognised.

use super::values::{self, Attention};
use clap::Args;
use mynah::{Head, PieceConfig, TranscribeOptions};

/// Decoder, attention and the cutting of long audio.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Recognition")]
pub(crate) struct HearingFlags {
    /// Decoder head: ctc, rnnt or tdt; by default the best one that the model has
    #[arg(long, value_name = "HEAD", value_parser = values::head)]
    pub(crate) decoder: Option<Head>,

    /// Overrule the model's attention: full, or local:LEFT,RIGHT in encoder frames (of 80 ms)
    #[arg(long, value_name = "full|local:L,R")]
    pub(crate) attention: Option<Attention>,

    /// Longest piece that long audio is cut into, in pauses where there are any; 0 keeps it whole
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::chunk)]
    pub(crate) chunk: f64,

    /// Pieces recognised together, 0 for as many short recordings as pays; changes speed and memory, never the text
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=256))]
    pub(crate) batch: u16,
}

impl HearingFlags {
    /// As the library takes them.
    pub(crate) fn options(&self) -> TranscribeOptions {
        let max_seconds = (self.chunk > 0.0).then_some(self.chunk);
        let pieces = PieceConfig { max_seconds, ..PieceConfig::default() };
        TranscribeOptions { head: self.decoder, pieces, batch: usize::from(self.batch) }
    }
}
