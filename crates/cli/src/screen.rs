//! What a model writes, on a terminal: thoughts dimmed, nothing that the terminal would obey.

use std::io::IsTerminal;

/// Where text goes and what may be done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    terminal: bool,
    dims: bool,
}

impl Screen {
    /// Of standard output. `NO_COLOR` is heeded.
    pub(crate) fn stdout() -> Self {
        Self::new(std::io::stdout().is_terminal())
    }

    /// Of standard error.
    pub(crate) fn stderr() -> Self {
        Self::new(std::io::stderr().is_terminal())
    }

    fn new(terminal: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { terminal, dims: terminal && !plain }
    }

    /// Whether a person looks at it.
    pub(crate) fn is_terminal(self) -> bool {
        self.terminal
    }

    /// Text as it may be shown. A terminal gets no control characters but tabs and line feeds: a model could move the cursor with
    /// them, or rename the window.
    pub(crate) fn text(self, text: &str) -> String {
        let harmless = |c: char| !c.is_control() || c == '\n' || c == '\t';
        if !self.terminal || text.chars().all(harmless) {
            return text.to_owned();
        }
        text.chars().map(|c| if harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
    }

    /// The same, dimmed where that can be.
    pub(crate) fn dim(self, text: &str) -> String {
        let text = self.text(text);
        if self.dims && !text.is_empty() { format!("\x1b[2m{text}\x1b[22m") } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_steered() {
        let terminal = Screen { terminal: true, dims: true };
        assert_eq!(terminal.text("a\x1b[2J\tb\n\u{9b}1m\r"), "a\u{fffd}[2J\tb\n\u{fffd}1m\u{fffd}");
        assert_eq!(terminal.dim("hm"), "\x1b[2mhm\x1b[22m");
        assert_eq!(terminal.dim(""), "");
        let pipe = Screen { terminal: false, dims: false };
        assert_eq!(pipe.text("a\x1b[2J"), "a\x1b[2J");
        assert_eq!(pipe.dim("hm"), "hm");
    }
}
