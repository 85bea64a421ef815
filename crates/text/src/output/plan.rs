//! Every file of a run, named before any work is done: a clash found after an hour of decoding would be a loss.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::{Fields, OutputError, Template};
use crate::formats::Format;

/// The files one input will become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The audio file.
    pub input: PathBuf,
    /// What to write where, in the order of the formats asked for.
    pub outputs: Vec<(Format, PathBuf)>,
}

/// Names the outputs of all `inputs`. A format asked for twice is written once.
///
/// # Errors
/// Those of [`Template::expand`]; [`OutputError::Collision`] if two outputs are one file;
/// [`OutputError::OverInput`] if an output is one of the inputs.
pub fn plan(
    inputs: &[PathBuf],
    formats: &[Format],
    template: &Template,
    language: Option<&str>,
) -> Result<Vec<Planned>, OutputError> {
    let mut wanted: Vec<Format> = Vec::new();
    for &format in formats {
        if !wanted.contains(&format) {
            wanted.push(format);
        }
    }
    let sources: Vec<PathBuf> = inputs.iter().map(|input| identity(input)).collect();
    let mut taken: HashMap<PathBuf, (&Path, Format)> = HashMap::new();
    let mut planned = Vec::with_capacity(inputs.len());
    for input in inputs {
        let mut outputs = Vec::with_capacity(wanted.len());
        for &format in &wanted {
            let path = template.expand(&Fields { input, format, language })?;
            let same = identity(&path);
            if sources.contains(&same) {
                return Err(OutputError::OverInput { path });
            }
            if let Some(&(other, other_format)) = taken.get(&same) {
                let (other, input) = (other.to_owned(), input.clone());
                return Err(OutputError::Collision { path, input, format, other, other_format });
            }
            taken.insert(same, (input, format));
            outputs.push((format, path));
        }
        planned.push(Planned { input: input.clone(), outputs });
    }
    Ok(planned)
}

/// The path without `.` and doubled separators, so that `./a` and `a` are one file. Links are not followed: the files
/// need not exist yet.
fn identity(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn every_input_gets_every_format_once() {
        let template = Template::parse("{dir}/{stem}.{ext}").unwrap();
        let formats = [Format::Json, Format::VerboseJson, Format::Json];
        let got = plan(&paths(&["x/a.wav", "b.wav"]), &formats, &template, None).unwrap();
        let names: Vec<Vec<&str>> =
            got.iter().map(|p| p.outputs.iter().map(|o| o.1.to_str().unwrap()).collect()).collect();
        assert_eq!(names, [["x/a.json", "x/a.verbose.json"], ["./b.json", "./b.verbose.json"]]);
    }

    #[test]
    fn two_outputs_of_one_name_are_refused() {
        let template = Template::parse("{dir}/{stem}.{ext}").unwrap();
        let error = plan(&paths(&["a.wav", "./a.mp3"]), &[Format::Srt], &template, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"./a.srt\" would be written twice: srt of \"./a.mp3\" and srt of \"a.wav\"; add {dir}, {name} or {format} \
             to the output template"
        );
        let fixed = Template::parse("all.{format}").unwrap();
        let error = plan(&paths(&["a.wav", "b.wav"]), &[Format::Srt], &fixed, None).unwrap_err();
        assert!(matches!(error, OutputError::Collision { .. }));
    }

    #[test]
    fn an_input_is_never_overwritten() {
        let template = Template::parse("{dir}/{name}").unwrap();
        let error = plan(&paths(&["a.wav"]), &[Format::Txt], &template, None).unwrap_err();
        assert!(matches!(error, OutputError::OverInput { .. }));
    }
}
