//! Where values come from when no flag gives them: `MYNAH_*`, then the config file, then the built-in default.
//!
//! Both are turned into clap's own notion of an environment variable and a default, for every flag there is, so no verb
//! knows of either. The file is TOML: a table for each verb, and above the tables what holds for every verb that has
//! the flag.
//!
//! ```toml
//! threads = 4
//! [transcribe]
//! model = "/models/parakeet-tdt-0.6b-v3-q8_0.gguf"
//! format = ["srt", "txt"]
//! ```

use crate::exit::Usage;
use anyhow::Context as _;
use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};
use std::path::PathBuf;

/// Flags that ask for one answer rather than set something.
const ONLY_FLAGS: [&str; 10] =
    ["help", "version", "dump", "random", "only", "a", "b", "bisect", "prompt", "file"];

/// The config file.
#[derive(Debug, Default)]
pub(crate) struct Config {
    path: PathBuf,
    /// Verb (empty for all), flag, values.
    values: Vec<(String, String, Vec<String>)>,
}

impl Config {
    /// Reads the file that `MYNAH_CONFIG` names, or the one in the user's config folder if it is there. An empty
    /// `MYNAH_CONFIG` means none.
    ///
    /// # Errors
    /// A file that can't be read or is not TOML.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let path = match std::env::var_os("MYNAH_CONFIG") {
            Some(path) if path.is_empty() => return Ok(Self::default()),
            Some(path) => PathBuf::from(path),
            None => match Self::usual_path().filter(|path| path.exists()) {
                Some(path) => path,
                None => return Ok(Self::default()),
            },
        };
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| format!("can't read the config file {}", path.display()))?;
        let values = read(&text).map_err(|e| Usage::plain(format!("{}: {e}", path.display())))?;
        Ok(Self { path, values })
    }

    /// `mynah/config.toml` in the folder that the system or `XDG_CONFIG_HOME` names.
    pub(crate) fn usual_path() -> Option<PathBuf> {
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let folder = variable("XDG_CONFIG_HOME")
            .or_else(|| if cfg!(windows) { variable("APPDATA") } else { None })
            .or_else(|| variable("HOME").map(|home| home.join(".config")))?;
        Some(folder.join("mynah").join("config.toml"))
    }

    /// Gives every flag its environment variable and its value from the file.
    ///
    /// # Errors
    /// A key that is no flag.
    pub(crate) fn apply(&self, mut command: Command) -> anyhow::Result<Command> {
        let verbs: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
        for (verb, flag, _) in &self.values {
            self.check(&command, verb, flag)?;
        }
        for verb in &verbs {
            command = command.mut_subcommand(verb, |c| self.apply_to(verb, c));
        }
        Ok(command)
    }

    fn apply_to(&self, verb: &str, mut command: Command) -> Command {
        // `bench` has verbs of its own, under the same name in the file.
        let nested: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
        for inner in &nested {
            command = command.mut_subcommand(inner, |c| self.apply_to(verb, c));
        }
        command.mut_args(|arg| match arg.get_long().map(str::to_owned) {
            Some(long) if !ONLY_FLAGS.contains(&long.as_str()) => self.apply_to_flag(verb, &long, arg),
            _ => arg,
        })
    }

    fn apply_to_flag(&self, verb: &str, long: &str, arg: Arg) -> Arg {
        let variable = format!("MYNAH_{}", long.to_ascii_uppercase().replace('-', "_"));
        let arg = arg.env(variable).hide_env(true);
        let arg = match arg.get_action() {
            ArgAction::SetTrue => arg.value_parser(BoolishValueParser::new()),
            _ => arg,
        };
        match self.lookup(verb, long) {
            Some(values) => arg.default_values(values.to_vec()),
            None => arg,
        }
    }

    /// The value for a verb, else that for all.
    fn lookup(&self, verb: &str, flag: &str) -> Option<&[String]> {
        let of = |wanted: &str| self.values.iter().find(|(v, f, _)| v == wanted && f == flag);
        of(verb).or_else(|| of("")).map(|(_, _, values)| values.as_slice())
    }

    fn check(&self, command: &Command, verb: &str, flag: &str) -> anyhow::Result<()> {
        let has = |c: &Command| flags_of(c).iter().any(|f| f == flag);
        let verbs: Vec<&Command> = command.get_subcommands().collect();
        if verb.is_empty() {
            if verbs.iter().any(|c| has(c)) {
                return Ok(());
            }
            return Err(Usage::plain(format!("{}: no verb has a flag '{flag}'", self.path.display())).into());
        }
        let Some(found) = verbs.iter().find(|c| c.get_name() == verb) else {
            let known: Vec<&str> = verbs.iter().map(|c| c.get_name()).collect();
            let message = format!("{}: there is no verb '{verb}'", self.path.display());
            return Err(Usage::new(message, format!("the verbs are {}", known.join(", "))).into());
        };
        if has(found) {
            return Ok(());
        }
        let message = format!("{}: `mynah {verb}` has no flag '{flag}'", self.path.display());
        Err(Usage::new(message, format!("it has {}", flags_of(found).join(", "))).into())
    }

    /// A hint when the value that clap complains of stands in the config file.
    pub(crate) fn blame(&self, error: &clap::Error) -> Option<String> {
        let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else { return None };
        let (_, flag, _) = self.values.iter().find(|(_, _, values)| values.contains(value))?;
        Some(format!("hint: '{flag}' is set in {}\n", self.path.display()))
    }
}

/// The long flags of a verb that a file may set.
fn flags_of(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(Arg::get_long).filter(|f| !ONLY_FLAGS.contains(f));
    let inner = command.get_subcommands().flat_map(flags_of);
    own.map(str::to_owned).chain(inner).collect()
}

/// Tables, flags and values of a file.
fn read(text: &str) -> Result<Vec<(String, String, Vec<String>)>, String> {
    let table: toml::Table = toml::from_str(text).map_err(|e| e.to_string())?;
    let mut values = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(flags) => {
                for (flag, value) in flags {
                    values.push((key.clone(), flag.replace('_', "-"), texts(&flag, value)?));
                }
            }
            value => values.push((String::new(), key.replace('_', "-"), texts(&key, value)?)),
        }
    }
    Ok(values)
}

/// A value as it would be typed.
fn texts(key: &str, value: toml::Value) -> Result<Vec<String>, String> {
    match value {
        toml::Value::String(text) => Ok(vec![text]),
        toml::Value::Integer(number) => Ok(vec![number.to_string()]),
        toml::Value::Float(number) => Ok(vec![number.to_string()]),
        toml::Value::Boolean(on) => Ok(vec![on.to_string()]),
        toml::Value::Array(list) => {
            let lists: Result<Vec<_>, _> = list.into_iter().map(|v| texts(key, v)).collect();
            Ok(lists?.into_iter().flatten().collect())
        }
        other => Err(format!("'{key}' is a {}; flags are text, numbers, true or lists", other.type_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config { path: "c.toml".into(), values: read(text).unwrap() }
    }

    fn threads_and_formats(text: &str, args: &[&str]) -> (Option<u16>, Vec<String>) {
        let command = config(text).apply(crate::cli::command()).unwrap();
        let matches = command.try_get_matches_from(args).unwrap();
        let (_, verb) = matches.subcommand().unwrap();
        let formats = verb.get_many::<mynah_text::Format>("format");
        (verb.get_one("threads").copied(), formats.into_iter().flatten().map(ToString::to_string).collect())
    }

    #[test]
    fn a_flag_beats_the_file_and_a_verb_beats_the_top() {
        let text = "threads = 3\nformat = ['srt', 'vtt']\n[transcribe]\nthreads = 5\n";
        let run = |args: &[&str]| threads_and_formats(text, args);
        assert_eq!(run(&["mynah", "transcribe", "a"]), (Some(5), vec!["srt".into(), "vtt".into()]));
        assert_eq!(run(&["mynah", "transcribe", "a", "-t", "1", "-f", "txt"]), (Some(1), vec!["txt".into()]));
    }

    #[test]
    fn unknown_names_are_refused() {
        let error = |text: &str| config(text).apply(crate::cli::command()).unwrap_err().to_string();
        assert_eq!(error("thread = 3"), "c.toml: no verb has a flag 'thread'");
        assert_eq!(error("[transcripe]\nthreads = 3"), "c.toml: there is no verb 'transcripe'");
        assert_eq!(error("[inspect]\nformat = 'srt'"), "c.toml: `mynah inspect` has no flag 'format'");
        assert!(read("threads = {").is_err() && read("threads = 1979-05-27").is_err());
    }

    #[test]
    fn switches_can_be_set_by_the_file() {
        let command = config("[transcribe]\nrecursive = true").apply(crate::cli::command()).unwrap();
        let matches = command.try_get_matches_from(["mynah", "transcribe", "a"]).unwrap();
        assert!(matches.subcommand().unwrap().1.get_flag("recursive"));
    }
}
