//! YAML to [`Node`]s.
//!
//! `saphyr-parser` because it is maintained, pure Rust with one dependency, passes the YAML test suite, and hands out
//! events instead of building a tree: an alias arrives as an alias and can be refused, where loaders that expand them
//! turn a kilobyte into gigabytes. The tree built here has a limit of levels and of nodes.

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::settings::{ConfigError, Node};

const MAX_TEXT: usize = 32 << 20;
const MAX_LEVELS: usize = 48;
const MAX_NODES: usize = 1 << 20;

/// An open list or map; a map remembers the key whose value comes next.
enum Open {
    List(Vec<Node>),
    Map(Vec<(String, Node)>, Option<String>),
}

/// Reads the first document of a text.
pub(crate) fn parse(text: &str) -> Result<Node, ConfigError> {
    if text.len() > MAX_TEXT {
        return Err(ConfigError::TooLarge { what: "bytes", limit: MAX_TEXT });
    }
    let mut open: Vec<Open> = Vec::new();
    let mut nodes = 0;
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| ConfigError::Yaml {
            line: error.marker().line(),
            what: error.info().to_owned(),
        })?;
        let line = span.start.line();
        nodes += 1;
        if nodes > MAX_NODES {
            return Err(ConfigError::TooLarge { what: "nodes", limit: MAX_NODES });
        }
        let finished = match event {
            Event::Alias(_) => return Err(ConfigError::Alias { line }),
            Event::Scalar(text, style, _, _) => Some(scalar(&text, style)),
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Vec::new(), None));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items)) => Some(Node::List(items)),
                Some(Open::Map(items, _)) => Some(Node::Map(items)),
                None => None,
            },
            Event::DocumentEnd => break,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => None,
        };
        if open.len() > MAX_LEVELS {
            return Err(ConfigError::TooLarge { what: "levels", limit: MAX_LEVELS });
        }
        let Some(node) = finished else { continue };
        match open.last_mut() {
            None => return Ok(node),
            Some(Open::List(items)) => items.push(node),
            Some(Open::Map(items, key)) => match (key.take(), node) {
                (Some(key), node) => items.push((key, node)),
                (None, Node::Scalar(text)) => *key = Some(text),
                (None, Node::Null) => *key = Some("null".to_owned()),
                (None, _) => {
                    return Err(ConfigError::Yaml { line, what: "a key that is no text".to_owned() });
                }
            },
        }
    }
    Ok(Node::Null)
}

fn scalar(text: &str, style: ScalarStyle) -> Node {
    if style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Node::Null;
    }
    Node::Scalar(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn reads_what_omegaconf_writes() {
        let text = "encoder:\n  d_model: 512\n  use_bias: true\n  att_context_size:\n  - -1\n  - -1\n  conv: null\n\
                    labels:\n- <unk>\n- ▁the\n- 'n'\n- ''''\n- ':'\n- '\\'\nempty: {}\nref: ${model.encoder.d_model}\nlr: 1e-3\n";
        let settings = Settings::new(parse(text).unwrap());
        assert_eq!(settings.size("encoder.d_model", 1..=1024), Ok(Some(512)));
        assert_eq!(settings.size("ref", 1..=1024), Ok(Some(512)));
        assert_eq!(settings.flag("encoder.use_bias"), Ok(Some(true)));
        assert_eq!(settings.integers("encoder.att_context_size", -1..=10), Ok(Some(vec![-1, -1])));
        assert_eq!(settings.text("encoder.conv"), Ok(None));
        assert_eq!(settings.number("lr"), Ok(Some(1e-3)));
        let labels = settings.texts("labels").unwrap().unwrap();
        assert_eq!(labels, ["<unk>", "▁the", "n", "'", ":", "\\"]);
        let error = settings.size("encoder.d_model", 1..=64).unwrap_err().to_string();
        assert!(error.contains("encoder.d_model") && error.contains("512"), "{error}");
    }

    #[test]
    fn refuses_bombs() {
        let aliases = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        assert_eq!(parse(aliases), Err(ConfigError::Alias { line: 2 }));
        let deep = "[".repeat(100_000);
        assert!(matches!(
            parse(&deep),
            Err(ConfigError::TooLarge { what: "levels", .. } | ConfigError::Yaml { .. })
        ));
        let wide = "- \n".repeat(MAX_NODES + 8);
        assert!(matches!(parse(&wide), Err(ConfigError::TooLarge { what: "nodes", .. })));
        let round = Settings::new(parse("a: ${b}\nb: ${a}\n").unwrap());
        assert!(!round.has("a"), "a circle of references ends");
    }

    #[test]
    fn errors_say_where() {
        let error = parse("a: 1\nb: [1, 2\nc: ]]").unwrap_err();
        assert!(matches!(error, ConfigError::Yaml { line, .. } if line >= 2), "{error:?}");
        assert!(parse("? [a, b]\n: c\n").is_err());
        assert_eq!(parse(""), Ok(Node::Null));
    }
}
