//! One file per writer; [`render`] picks it. Every writer takes a [`Transcript`] and gives the whole body, which
//! [`crate::output::write_atomic`] puts on disk. An empty transcript is a valid file in each format.

mod clock;
mod csv;
mod json;
mod lrc;
mod srt;
mod tsv;
mod txt;
mod verbose_json;
mod vtt;

pub(crate) use clock::milliseconds;
use std::str::FromStr;

use crate::cues::CueOptions;
use crate::error::TextError;
use crate::transcript::Transcript;

/// A file format for transcripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Format {
    /// The words, on one line.
    Txt,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
    /// parakeet.cpp's JSON: words and tokens with times and confidence.
    Json,
    /// OpenAI's `verbose_json`.
    VerboseJson,
    /// Whisper's table: start and end in milliseconds, text, tab separated.
    Tsv,
    /// whisper.cpp's table: start and end in milliseconds, quoted text, comma separated.
    Csv,
    /// Lyrics with a time stamp on every line.
    Lrc,
}

impl Format {
    /// Every format, in the order help texts list them.
    pub const ALL: [Self; 8] =
        [Self::Txt, Self::Srt, Self::Vtt, Self::Json, Self::VerboseJson, Self::Tsv, Self::Csv, Self::Lrc];

    /// The name a user types.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Json => "json",
            Self::VerboseJson => "verbose_json",
            Self::Tsv => "tsv",
            Self::Csv => "csv",
            Self::Lrc => "lrc",
        }
    }

    /// The file extension, without the dot. No two formats share one, so several can be written side by side.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::VerboseJson => "verbose.json",
            other => other.name(),
        }
    }

    /// The media type a server answers with.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Txt | Self::Lrc => "text/plain; charset=utf-8",
            Self::Srt => "application/x-subrip; charset=utf-8",
            Self::Vtt => "text/vtt; charset=utf-8",
            Self::Json | Self::VerboseJson => "application/json",
            Self::Tsv => "text/tab-separated-values; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = TextError;

    /// Accepts the names, and what other tools call them: `text`, `webvtt`, `verbose-json`.
    fn from_str(name: &str) -> Result<Self, TextError> {
        let lower = name.trim().to_ascii_lowercase().replace('-', "_");
        let alias = match lower.as_str() {
            "text" => "txt",
            "webvtt" => "vtt",
            other => other,
        };
        Self::ALL.into_iter().find(|format| format.name() == alias).ok_or_else(|| TextError::UnknownFormat {
            name: name.to_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

/// What a writer may be told.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RenderOptions {
    /// Layout of subtitle cues (srt, vtt, lrc).
    pub cues: CueOptions,
}

/// The whole body of the file, with default options. Ends with a line feed unless it is empty.
#[must_use]
pub fn render(transcript: &Transcript, format: Format) -> String {
    render_with(transcript, format, &RenderOptions::default())
}

/// [`render`] with options.
#[must_use]
pub fn render_with(transcript: &Transcript, format: Format, options: &RenderOptions) -> String {
    match format {
        Format::Txt => txt::write(transcript),
        Format::Srt => srt::write(transcript, &options.cues),
        Format::Vtt => vtt::write(transcript, &options.cues),
        Format::Json => json::write(transcript),
        Format::VerboseJson => verbose_json::write(transcript),
        Format::Tsv => tsv::write(transcript),
        Format::Csv => csv::write(transcript),
        Format::Lrc => lrc::write(transcript, &options.cues),
    }
}

/// `text` on one line: every run of white space and control characters is one space, none at the ends.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests;
