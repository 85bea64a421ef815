//! What a transcript becomes and where it goes.

use super::values;
use clap::Args;
use mynah_text::{CueOptions, Format, RenderOptions};

/// Formats, files and subtitle layout.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct RenderFlags {
    /// Formats: txt, srt, vtt, json, verbose_json, tsv, csv, lrc; several with commas. By default what the name after -o
    /// ends in, else txt
    #[arg(short, long, value_name = "FORMAT,...", value_delimiter = ',', value_parser = values::format)]
    pub(crate) format: Vec<Format>,

    /// Write files instead of standard output: a file, a folder, or a template such as '{dir}/{stem}.{ext}'
    #[arg(short, long, value_name = "WHERE")]
    pub(crate) output: Option<String>,

    /// Transcribe again what an earlier run finished; else inputs whose files are there and no older are skipped
    #[arg(long, visible_alias = "no-skip-done", overrides_with = "skip_done")]
    pub(crate) overwrite: bool,

    /// Skip what an earlier run finished; the default when files are written
    #[arg(long, overrides_with = "overwrite", hide_short_help = true)]
    pub(crate) skip_done: bool,

    /// Columns in a line of subtitles
    #[arg(long, value_name = "COLUMNS", default_value_t = CueOptions::default().max_line)]
    pub(crate) max_line: usize,

    /// Lines in a subtitle cue
    #[arg(long, value_name = "LINES", default_value_t = CueOptions::default().max_lines)]
    pub(crate) max_lines: usize,

    /// Longest time that a cue stands
    #[arg(long, value_name = "SECONDS", default_value_t = CueOptions::default().max_seconds, value_parser = values::positive)]
    pub(crate) max_cue: f64,
}

impl RenderFlags {
    /// As the writers take them.
    pub(crate) fn options(&self) -> RenderOptions {
        let (max_line, max_lines) = (self.max_line.max(1), self.max_lines.max(1));
        RenderOptions {
            cues: CueOptions { max_line, max_lines, max_seconds: self.max_cue, ..CueOptions::default() },
        }
    }

    /// Whether finished inputs are skipped. A flag beats its opposite from the environment or the config file.
    pub(crate) fn skips_done(&self) -> bool {
        self.skip_done || !self.overwrite
    }
}
