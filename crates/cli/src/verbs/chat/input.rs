//! What a person types: with line editing and history on a terminal, line by line from a pipe.

use anyhow::Context as _;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

/// Lines kept in the history.
const HISTORY: usize = 1000;

/// Where lines come from.
pub(super) enum Input {
    /// A person at a terminal.
    Terminal { editor: Box<Editor<(), FileHistory>>, history: Option<PathBuf> },
    /// A pipe or a file.
    Pipe,
}

/// What came.
pub(super) enum Typed {
    Line(String),
    /// Ctrl-C, which throws the line away.
    Nothing,
    /// Ctrl-D, or the end of a pipe.
    End,
}

impl Input {
    /// Standard input.
    ///
    /// # Errors
    /// A terminal that can't be used.
    pub(super) fn open(remember: bool) -> anyhow::Result<Self> {
        if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            return Ok(Self::Pipe);
        }
        let config = Config::builder().max_history_size(HISTORY)?.auto_add_history(true).build();
        let mut editor = Editor::with_history(config.clone(), FileHistory::with_config(&config))
            .context("can't use the terminal")?;
        let history = remember.then(history).flatten();
        if let Some(path) = &history {
            // The first chat has no history; one that can't be read is not worth ending for.
            let _ = editor.load_history(path);
        }
        Ok(Self::Terminal { editor: Box::new(editor), history })
    }

    /// Whether a person types.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal { .. })
    }

    /// The next line; one that ends with a backslash goes on.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn next(&mut self) -> anyhow::Result<Typed> {
        let mut text = String::new();
        loop {
            let prompt = if text.is_empty() { "> " } else { ". " };
            let line = match self.line(prompt)? {
                Typed::Line(line) => line,
                Typed::End if !text.is_empty() => return Ok(Typed::Line(text)),
                other => return Ok(other),
            };
            match line.strip_suffix('\\') {
                Some(more) => {
                    text += more;
                    text.push('\n');
                }
                None => return Ok(Typed::Line(text + &line)),
            }
        }
    }

    fn line(&mut self, prompt: &str) -> anyhow::Result<Typed> {
        match self {
            Self::Terminal { editor, .. } => match editor.readline(prompt) {
                Ok(line) => Ok(Typed::Line(line)),
                Err(ReadlineError::Interrupted) => Ok(Typed::Nothing),
                Err(ReadlineError::Eof) => Ok(Typed::End),
                Err(error) => Err(error).context("can't read the terminal"),
            },
            Self::Pipe => {
                let mut line = Vec::new();
                let read = std::io::stdin().lock().read_until(b'\n', &mut line);
                if read.context("can't read standard input")? == 0 {
                    return Ok(Typed::End);
                }
                let line = String::from_utf8_lossy(&line);
                Ok(Typed::Line(line.trim_end_matches(['\n', '\r']).to_owned()))
            }
        }
    }

    /// Keeps what was typed for the next chat.
    pub(super) fn remember(&mut self) {
        if let Self::Terminal { editor, history: Some(path) } = self {
            let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            if let Err(error) =
                folder.map_err(anyhow::Error::from).and_then(|()| Ok(editor.save_history(path)?))
            {
                crate::notes::warn(&format!("can't write {}: {error}", path.display()));
            }
        }
    }
}

/// `mynah/chat_history` in the folder for such things.
fn history() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = variable("XDG_STATE_HOME")
        .or_else(|| if cfg!(windows) { variable("LOCALAPPDATA") } else { None })
        .or_else(|| variable("HOME").map(|home| home.join(".local").join("state")))?;
    Some(folder.join("mynah").join("chat_history"))
}
