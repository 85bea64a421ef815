//! Output templates: `{dir}/{stem}.{ext}` and the like.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::OutputError;
use crate::formats::Format;

/// A parsed output template.
///
/// | placeholder | for `talks/a.mp3` as `srt` |
/// |---|---|
/// | `{dir}` | `talks`, or `.` for an input without folder |
/// | `{stem}` | `a` |
/// | `{name}` | `a.mp3` |
/// | `{ext}` | `srt` (`verbose.json` for `verbose_json`) |
/// | `{format}` | `srt` (`verbose_json`) |
/// | `{lang}` | the language, `und` if it is not known |
///
/// `{{` and `}}` stand for single braces. Names that are not UTF-8 pass through unharmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Dir,
    Stem,
    Name,
    Ext,
    Format,
    Lang,
}

const FIELDS: [(&str, Field); 6] = [
    ("dir", Field::Dir),
    ("stem", Field::Stem),
    ("name", Field::Name),
    ("ext", Field::Ext),
    ("format", Field::Format),
    ("lang", Field::Lang),
];

/// What other tools call the same thing.
const HINTS: [(&str, &str); 12] = [
    ("filename", "name"),
    ("file", "name"),
    ("input", "name"),
    ("basename", "stem"),
    ("base", "stem"),
    ("extension", "ext"),
    ("fmt", "format"),
    ("language", "lang"),
    ("parent", "dir"),
    ("folder", "dir"),
    ("directory", "dir"),
    ("path", "dir"),
];

/// What a template is expanded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The audio file.
    pub input: &'a Path,
    /// The format to be written.
    pub format: Format,
    /// BCP 47 tag, if it is known before the file is transcribed.
    pub language: Option<&'a str>,
}

impl Template {
    /// Beside the input: `{dir}/{stem}.{ext}`.
    pub const BESIDE_INPUT: &'static str = "{dir}/{stem}.{ext}";

    /// Parses a template.
    ///
    /// # Errors
    /// [`OutputError::UnknownPlaceholder`] and [`OutputError::UnbalancedBrace`].
    pub fn parse(source: &str) -> Result<Self, OutputError> {
        let unbalanced = |position| OutputError::UnbalancedBrace { template: source.to_owned(), position };
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut chars = source.char_indices().peekable();
        while let Some((position, c)) = chars.next() {
            let doubled = matches!(c, '{' | '}') && chars.next_if(|&(_, next)| next == c).is_some();
            match c {
                '{' if !doubled => {
                    let mut name = String::new();
                    loop {
                        match chars.next() {
                            Some((_, '}')) => break,
                            Some((_, '{')) | None => return Err(unbalanced(position)),
                            Some((_, c)) => name.push(c),
                        }
                    }
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Field(field(source, &name)?));
                }
                '}' if !doubled => return Err(unbalanced(position)),
                c => literal.push(c),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { source: source.to_owned(), parts })
    }

    /// What a user means by an output argument: an existing folder, or a name that ends in a separator, takes
    /// `{stem}.{ext}` of every input; anything else is a template, of which a plain file name is the simplest.
    ///
    /// # Errors
    /// Those of [`Template::parse`].
    pub fn from_argument(argument: &str) -> Result<Self, OutputError> {
        let folder = argument.ends_with(['/', std::path::MAIN_SEPARATOR]) && !argument.contains('{');
        if folder || Path::new(argument).is_dir() {
            return Ok(Self::into_folder(Path::new(argument)));
        }
        Self::parse(argument)
    }

    /// A template that writes `{stem}.{ext}` into `folder`, whatever braces its name has.
    #[must_use]
    pub fn into_folder(folder: &Path) -> Self {
        let source = folder.join("{stem}.{ext}").to_string_lossy().into_owned();
        let mut parts = vec![Part::Literal(folder.join("").to_string_lossy().into_owned())];
        parts.extend([Part::Field(Field::Stem), Part::Literal(".".into()), Part::Field(Field::Ext)]);
        Self { source, parts }
    }

    /// The template as it was given.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The path for one input and format.
    ///
    /// # Errors
    /// [`OutputError::NotAFile`] if the result has no file name.
    pub fn expand(&self, fields: &Fields<'_>) -> Result<PathBuf, OutputError> {
        let mut path = OsString::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => path.push(text),
                Part::Field(Field::Dir) => match fields.input.parent() {
                    Some(dir) if !dir.as_os_str().is_empty() => path.push(dir),
                    _ => path.push("."),
                },
                Part::Field(Field::Stem) => path.push(fields.input.file_stem().unwrap_or_default()),
                Part::Field(Field::Name) => path.push(fields.input.file_name().unwrap_or_default()),
                Part::Field(Field::Ext) => path.push(fields.format.extension()),
                Part::Field(Field::Format) => path.push(fields.format.name()),
                Part::Field(Field::Lang) => path.push(fields.language.unwrap_or("und")),
            }
        }
        // `a/` and `a/.` have a file name for `Path`, though they name a folder.
        let folder = path.to_string_lossy().ends_with(['/', std::path::MAIN_SEPARATOR]);
        let path = PathBuf::from(path);
        if folder || path.file_name().is_none() {
            let (template, input) = (self.source.clone(), fields.input.to_owned());
            return Err(OutputError::NotAFile { template, path, input });
        }
        Ok(path)
    }
}

fn field(template: &str, name: &str) -> Result<Field, OutputError> {
    if let Some(&(_, field)) = FIELDS.iter().find(|(known, _)| *known == name) {
        return Ok(field);
    }
    let lower = name.trim().to_lowercase();
    let meant = HINTS
        .iter()
        .find(|(other, _)| *other == lower)
        .map(|&(_, meant)| meant)
        .or_else(|| FIELDS.iter().map(|&(known, _)| known).find(|known| *known == lower));
    Err(OutputError::UnknownPlaceholder {
        template: template.to_owned(),
        name: name.to_owned(),
        known: FIELDS.map(|(known, _)| format!("{{{known}}}")).join(", "),
        hint: meant.map(|meant| format!("; did you mean {{{meant}}}?")).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(template: &str, input: &str, format: Format) -> String {
        let fields = Fields { input: Path::new(input), format, language: None };
        Template::parse(template).unwrap().expand(&fields).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn placeholders_take_their_values() {
        assert_eq!(expand("{dir}/{stem}.{ext}", "talks/a.b.mp3", Format::Srt), "talks/a.b.srt");
        assert_eq!(expand("{dir}/{stem}.{ext}", "a.mp3", Format::VerboseJson), "./a.verbose.json");
        assert_eq!(
            expand("out/{name}.{format}", "talks/a.mp3", Format::VerboseJson),
            "out/a.mp3.verbose_json"
        );
        assert_eq!(expand("{stem}.{lang}.{ext}", "a.mp3", Format::Vtt), "a.und.vtt");
        assert_eq!(expand("{{{stem}}}", "a.mp3", Format::Txt), "{a}");
        let fields = Fields { input: Path::new("a.wav"), format: Format::Txt, language: Some("de") };
        assert_eq!(Template::parse("{lang}-{stem}").unwrap().expand(&fields).unwrap(), Path::new("de-a"));
        let folder = Template::into_folder(Path::new("o{u}t"));
        assert_eq!(folder.expand(&fields).unwrap(), Path::new("o{u}t").join("a.txt"));
    }

    #[test]
    fn wrong_templates_say_what_is_wrong() {
        let message = |template: &str| Template::parse(template).unwrap_err().to_string();
        assert_eq!(
            message("{filename}.txt"),
            "unknown placeholder {filename} in output template \"{filename}.txt\"; there are {dir}, {stem}, {name}, \
             {ext}, {format}, {lang}; did you mean {name}?"
        );
        assert!(message("{Stem}").ends_with("did you mean {stem}?"));
        assert!(message("{zzz}").ends_with("{format}, {lang}"));
        for unbalanced in ["a{stem", "a}b", "{st{em}", "{", "}}}"] {
            assert!(message(unbalanced).starts_with("unbalanced brace"), "{unbalanced}");
        }
    }

    #[test]
    fn a_folder_is_no_file() {
        let fields = Fields { input: Path::new("a.wav"), format: Format::Txt, language: None };
        for template in ["", "out/", "{dir}", "..", "{dir}/.."] {
            let result = Template::parse(template).unwrap().expand(&fields);
            assert!(matches!(result, Err(OutputError::NotAFile { .. })), "{template:?}: {result:?}");
        }
    }

    #[test]
    fn an_argument_is_a_folder_a_template_or_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let fields = Fields { input: Path::new("in/a.wav"), format: Format::Srt, language: None };
        let path = |argument: &str| Template::from_argument(argument).unwrap().expand(&fields).unwrap();
        assert_eq!(path(dir.path().to_str().unwrap()), dir.path().join("a.srt"));
        assert_eq!(path("not-there-yet/"), Path::new("not-there-yet/a.srt"));
        assert_eq!(path("x/{name}.{ext}"), Path::new("x/a.wav.srt"));
        assert_eq!(path("talk.srt"), Path::new("talk.srt"));
        assert!(matches!(
            Template::from_argument("{dir}/").unwrap().expand(&fields),
            Err(OutputError::NotAFile { .. })
        ));
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_survive() {
        use std::os::unix::ffi::OsStrExt;
        let input = Path::new(std::ffi::OsStr::from_bytes(b"d\xff/\xfe.wav"));
        let fields = Fields { input, format: Format::Txt, language: None };
        let path = Template::parse(Template::BESIDE_INPUT).unwrap().expand(&fields).unwrap();
        assert_eq!(path.as_os_str().as_bytes(), b"d\xff/\xfe.txt");
    }
}
