//! The lines of a chat that begin with a slash.

/// What a person types to steer a chat.
pub(crate) const COMMANDS: &str = "\
Commands:
  /help             this list
  /system TEXT      what the model is told before everything else; nothing takes it away
  /think on|off     whether the model thinks before it answers
  /tool RESULT      what the call that waits has come to
  /regen            another answer to the last message
  /reset            begin anew, with the same system text
  /save FILE        write the chat, as JSON in the shape of OpenAI's API
  /load FILE        go on from a chat that was written
  /stats            tokens, speed, memory
  /exit             end; Ctrl-D too

A line that ends with a backslash goes on in the next. //TEXT says /TEXT. Ctrl-C ends the answer, not the program.";

/// A command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    System(Option<String>),
    Think(bool),
    Tool(String),
    Regen,
    Reset,
    Save(String),
    Load(String),
    Stats,
    Exit,
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing.
    Empty,
    /// Something for the model.
    Message(String),
    Command(Command),
    /// No command, and why.
    Wrong(String),
}

impl Line {
    /// Tells what a person typed.
    pub(super) fn read(text: &str) -> Self {
        let text = text.trim();
        let Some(rest) = text.strip_prefix('/') else {
            return if text.is_empty() { Self::Empty } else { Self::Message(text.to_owned()) };
        };
        if rest.starts_with('/') {
            return Self::Message(rest.to_owned());
        }
        let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let value = value.trim();
        let file = |make: fn(String) -> Command| match value {
            "" => Self::Wrong(format!("/{name} needs the name of a file")),
            value => Self::Command(make(value.to_owned())),
        };
        let alone = |command: Command| match value {
            "" => Self::Command(command),
            _ => Self::Wrong(format!("/{name} stands alone")),
        };
        match name {
            "help" | "?" => alone(Command::Help),
            "system" => Self::Command(Command::System((!value.is_empty()).then(|| value.to_owned()))),
            "think" => match crate::flags::on_off(value) {
                Ok(on) => Self::Command(Command::Think(on)),
                Err(_) => Self::Wrong("/think takes on or off".into()),
            },
            "tool" if value.is_empty() => Self::Wrong("/tool needs the result of the call".into()),
            "tool" => Self::Command(Command::Tool(value.to_owned())),
            "regen" => alone(Command::Regen),
            "reset" => alone(Command::Reset),
            "save" => file(Command::Save),
            "load" => file(Command::Load),
            "stats" => alone(Command::Stats),
            "exit" | "quit" => alone(Command::Exit),
            _ => Self::Wrong(format!("there is no command /{name}; /help lists them")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(Line::read("  \n"), Line::Empty);
        assert_eq!(Line::read(" hello "), Line::Message("hello".into()));
        assert_eq!(Line::read("//etc/hosts"), Line::Message("/etc/hosts".into()));
        assert_eq!(Line::read("/save  a b.json "), Line::Command(Command::Save("a b.json".into())));
        assert_eq!(Line::read("/system"), Line::Command(Command::System(None)));
        assert_eq!(Line::read("/system Be brief."), Line::Command(Command::System(Some("Be brief.".into()))));
        assert_eq!(Line::read("/think off"), Line::Command(Command::Think(false)));
        assert_eq!(Line::read("/exit"), Line::Command(Command::Exit));
        for wrong in ["/save", "/tool", "/think", "/think maybe", "/exit now", "/sing", "/"] {
            assert!(matches!(Line::read(wrong), Line::Wrong(_)), "{wrong}");
        }
    }

    #[test]
    fn every_command_is_in_the_list() {
        for line in COMMANDS.lines().filter(|line| line.starts_with("  /")) {
            let name = line.split_whitespace().next().unwrap();
            let typed = match name {
                "/save" | "/load" => format!("{name} f"),
                "/think" => format!("{name} on"),
                "/tool" => format!("{name} 7 degrees"),
                _ => name.to_owned(),
            };
            assert!(matches!(Line::read(&typed), Line::Command(_)), "{typed}");
        }
    }
}
