//! Where each transcript goes: standard output, or files that are named before anything is decoded.

use super::inputs::Input;
use crate::exit::Usage;
use crate::flags::RenderFlags;
use crate::{interrupt, out};
use mynah::Transcript;
use mynah_text::output::{OutputError, Template, is_done_for, plan, write_atomic};
use mynah_text::{Format, RenderOptions, render_with};
use std::path::{Path, PathBuf};

/// A recording and where its transcript goes.
pub(super) struct Work {
    pub(super) input: Input,
    pub(super) target: Target,
}

/// Where a transcript goes.
pub(super) enum Target {
    /// Standard output; with the recording's name where there are several.
    Stdout { format: Format, named: bool },
    /// Files.
    Files(Vec<(Format, PathBuf)>),
}

/// Decides formats and targets; `named` is whether results on standard output need names. Gives what is to be done, and the recordings whose files an earlier run finished.
///
/// # Errors
/// [`Usage`] for flags that don't fit each other.
pub(super) fn decide(
    inputs: Vec<Input>,
    named: bool,
    flags: &RenderFlags,
) -> anyhow::Result<(Vec<Work>, Vec<Input>)> {
    let output = flags.output.as_deref().filter(|o| *o != "-");
    let formats = formats(flags, output);
    let Some(output) = output else {
        let [format] = formats[..] else {
            let hint = "-o '{dir}/{stem}.{ext}' writes them beside the input, -o FOLDER/ into a folder";
            return Err(Usage::new("several formats don't fit on standard output", hint).into());
        };
        let work = |input| Work { input, target: Target::Stdout { format, named } };
        return Ok((inputs.into_iter().map(work).collect(), Vec::new()));
    };
    let template = Template::from_argument(output).map_err(usage)?;
    let paths: Vec<PathBuf> = inputs.iter().map(Input::path_for_names).collect();
    let planned = plan(&paths, &formats, &template, None).map_err(usage)?;
    let (mut work, mut done) = (Vec::new(), Vec::new());
    for (input, planned) in inputs.into_iter().zip(planned) {
        let files: Vec<&Path> = planned.outputs.iter().map(|(_, path)| path.as_path()).collect();
        let is_done = input.path.as_ref().is_some_and(|path| is_done_for(&files, path));
        if is_done && flags.skips_done() {
            done.push(input);
        } else {
            work.push(Work { input, target: Target::Files(planned.outputs) });
        }
    }
    Ok((work, done))
}

/// The formats asked for, else the one that the file after `-o` is called after, else text.
fn formats(flags: &RenderFlags, output: Option<&str>) -> Vec<Format> {
    if !flags.format.is_empty() {
        let mut formats = flags.format.clone();
        let mut seen = Vec::new();
        formats.retain(|f| {
            !seen.contains(f) && {
                seen.push(*f);
                true
            }
        });
        return formats;
    }
    // The longest extension wins: `.verbose.json` ends in `.json` too.
    let ends =
        |f: &Format| output.is_some_and(|o| o.to_lowercase().ends_with(&format!(".{}", f.extension())));
    let named = Format::ALL.into_iter().filter(ends).max_by_key(|f| f.extension().len());
    vec![named.unwrap_or(Format::Txt)]
}

fn usage(error: OutputError) -> Usage {
    match error {
        OutputError::Collision { .. } => Usage::new(
            error.to_string(),
            "-o '{dir}/{stem}.{ext}' gives every input and format a file of its own",
        ),
        other => Usage::plain(other.to_string()),
    }
}

impl Target {
    /// Delivers a transcript.
    ///
    /// # Errors
    /// A closed pipe, a full disk.
    pub(super) fn deliver(
        &self,
        name: &str,
        transcript: &Transcript,
        options: &RenderOptions,
    ) -> anyhow::Result<()> {
        match self {
            Self::Stdout { format, named } => {
                let body = render_with(transcript, *format, options);
                out::write(&if *named { with_name(name, *format, &body) } else { body })?;
            }
            Self::Files(files) => {
                for (format, path) in files {
                    let body = render_with(transcript, *format, options);
                    interrupt::unbroken(|| write_atomic(path, body.as_bytes()))?;
                }
            }
        }
        Ok(())
    }

    /// The files, for those who follow.
    pub(super) fn files(&self) -> Vec<String> {
        match self {
            Self::Stdout { .. } => Vec::new(),
            Self::Files(files) => files.iter().map(|(_, path)| path.display().to_string()).collect(),
        }
    }
}

/// A body among others on standard output: `NAME: words`, a JSON object a line with the name under `file`, or a heading
/// as `head` and `tail` write it.
fn with_name(name: &str, format: Format, body: &str) -> String {
    match format {
        Format::Txt => format!("{name}: {}\n", body.trim_end()),
        Format::Json | Format::VerboseJson => match body.strip_prefix('{') {
            Some(rest) => format!("{{\"file\":{},{rest}", serde_json::Value::from(name)),
            None => body.to_owned(),
        },
        _ => format!("==> {name} <==\n{}\n\n", body.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        render: RenderFlags,
    }

    fn decided(inputs: &[&str], args: &[&str]) -> anyhow::Result<(Vec<Work>, Vec<Input>)> {
        let flags = Flags::parse_from(std::iter::once(&"x").chain(args)).render;
        let input = |name: &&str| Input { name: (*name).into(), path: Some((*name).into()) };
        decide(inputs.iter().map(input).collect(), inputs.len() > 1, &flags)
    }

    fn files(inputs: &[&str], args: &[&str]) -> Vec<String> {
        decided(inputs, args).unwrap().0.iter().flat_map(|w| w.target.files()).collect()
    }

    #[test]
    fn a_file_name_tells_its_format() {
        let format = |args: &[&str]| match &decided(&["a.wav"], args).unwrap().0[0].target {
            Target::Files(files) => files[0].0,
            Target::Stdout { format, .. } => *format,
        };
        assert_eq!(format(&["-o", "a.srt"]), Format::Srt);
        assert_eq!(format(&["-o", "a.json"]), Format::Json);
        assert_eq!(format(&["-o", "a.verbose.json"]), Format::VerboseJson);
        assert_eq!(format(&["-o", "a.words"]), Format::Txt);
        assert_eq!(format(&["-o", "a.words", "-f", "vtt"]), Format::Vtt);
        assert_eq!(format(&["-o", "-", "-f", "vtt"]), Format::Vtt);
        assert_eq!(format(&[]), Format::Txt);
    }

    #[test]
    fn templates_and_folders_name_every_file() {
        let template = ["-f", "srt,txt,srt", "-o", "{dir}/{stem}.{ext}"];
        assert_eq!(files(&["x/a.wav", "y/a.wav"], &template), ["x/a.srt", "x/a.txt", "y/a.srt", "y/a.txt"]);
        assert_eq!(files(&["a.wav"], &["-o", "there/"]), ["there/a.txt"]);
    }

    #[test]
    fn what_does_not_fit_is_usage() {
        let refused = |inputs: &[&str], args: &[&str]| decided(inputs, args).err().unwrap().is::<Usage>();
        assert!(refused(&["a.wav"], &["-f", "srt,vtt"]));
        assert!(refused(&["a.wav", "b.wav"], &["-o", "one.srt"]));
        assert!(refused(&["a.wav"], &["-o", "{nonsense}"]));
        assert!(refused(&["a.wav"], &["-o", "a.wav"]));
    }

    #[test]
    fn names_on_standard_output() {
        assert_eq!(with_name("a.wav", Format::Txt, "hello\n"), "a.wav: hello\n");
        assert_eq!(with_name("a.wav", Format::Txt, ""), "a.wav: \n");
        assert_eq!(
            with_name("a\"b", Format::Json, "{\"text\":\"\"}\n"),
            "{\"file\":\"a\\\"b\",\"text\":\"\"}\n"
        );
        assert_eq!(with_name("a.wav", Format::Srt, "1\n\n"), "==> a.wav <==\n1\n\n");
    }
}
