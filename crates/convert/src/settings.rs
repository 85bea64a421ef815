//! Configuration of a checkpoint as a tree of nodes, whether it came as YAML or JSON, with getters whose errors name
//! the key.

use std::ops::RangeInclusive;

/// Interpolations that refer to interpolations, at most this often.
const MAX_REFERENCES: usize = 8;

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No valid YAML.
    #[error("line {line}: {what}")]
    Yaml {
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        what: String,
    },
    /// No valid JSON.
    #[error("{file}: {what}")]
    Json {
        /// The file of the folder.
        file: String,
        /// What the parser said.
        what: String,
    },
    /// A YAML alias. Configurations that NeMo saves have none, and a few of them can stand for gigabytes.
    #[error("line {line}: YAML aliases are not read")]
    Alias {
        /// Counted from 1.
        line: usize,
    },
    /// More text, nodes or levels than any configuration has.
    #[error("configuration has too many {what} (limit {limit})")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// A key that has to be there.
    #[error("{key} is missing")]
    Missing {
        /// Dotted path.
        key: String,
    },
    /// A value of another kind.
    #[error("{key} should be {wanted}, but is {found}")]
    Kind {
        /// Dotted path.
        key: String,
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// A number outside what makes sense.
    #[error("{key} is {value}; {low} to {high} makes sense")]
    Range {
        /// Dotted path.
        key: String,
        /// The number.
        value: String,
        /// Smallest sensible value.
        low: i64,
        /// Largest sensible value.
        high: i64,
    },
    /// A value that is read and understood, but belongs to a model Mynah does not know.
    #[error("{key} = {value:?} is not supported: {why}")]
    Unsupported {
        /// Dotted path.
        key: String,
        /// Its value.
        value: String,
        /// What is supported.
        why: &'static str,
    },
}

/// A node of the tree. Scalars keep their text, as YAML types follow from use.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    fn child(&self, key: &str) -> Option<&Node> {
        match self {
            Node::Map(items) => items.iter().rev().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// A short word for errors.
    fn kind(&self) -> String {
        match self {
            Node::Null => "null".to_owned(),
            Node::Scalar(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Node::List(items) => format!("a list of {}", items.len()),
            Node::Map(_) => "a section".to_owned(),
        }
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        let Node::Scalar(text) = self else { return None };
        text.parse().ok().or_else(|| {
            let number: f64 = text.parse().ok()?;
            (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
        })
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Node::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

impl From<serde_json::Value> for Node {
    /// `serde_json` reads at most 128 levels, so neither this nor dropping the tree can exhaust the stack.
    fn from(value: serde_json::Value) -> Node {
        use serde_json::Value;
        match value {
            Value::Null => Node::Null,
            Value::Bool(flag) => Node::Scalar(flag.to_string()),
            Value::Number(number) => Node::Scalar(number.to_string()),
            Value::String(text) => Node::Scalar(text),
            Value::Array(items) => Node::List(items.into_iter().map(Node::from).collect()),
            Value::Object(items) => Node::Map(items.into_iter().map(|(k, v)| (k, Node::from(v))).collect()),
        }
    }
}

/// A whole configuration. Keys are dotted paths from the root; null counts as absent.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    root: Node,
}

impl Settings {
    pub(crate) fn new(root: Node) -> Settings {
        Settings { root }
    }

    /// The node at a path, with OmegaConf's `${other.path}` followed.
    pub(crate) fn find(&self, key: &str) -> Option<&Node> {
        let mut key = key.to_owned();
        for _ in 0..MAX_REFERENCES {
            let node = key.split('.').try_fold(&self.root, |node, part| node.child(part))?;
            match node {
                Node::Null => return None,
                Node::Scalar(text) => {
                    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
                    let Some(inner) = inner else { return Some(node) };
                    // Recipes keep the model under `model`, saved archives have it at the root.
                    key = inner.strip_prefix("model.").unwrap_or(inner).to_owned();
                }
                _ => return Some(node),
            }
        }
        None
    }

    /// Whether the key is there and says null, which for some keys means something else than leaving it out.
    pub(crate) fn is_null(&self, key: &str) -> bool {
        key.split('.').try_fold(&self.root, |node, part| node.child(part)) == Some(&Node::Null)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, ConfigError> {
        let Some(node) = self.find(key) else { return Ok(None) };
        node.text().map(Some).ok_or_else(|| wrong(key, "text", node))
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        let Some(node) = self.find(key) else { return Ok(None) };
        match node.text().map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "yes" | "on") => Ok(Some(true)),
            Some("false" | "no" | "off") => Ok(Some(false)),
            _ => Err(wrong(key, "true or false", node)),
        }
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, ConfigError> {
        let Some(node) = self.find(key) else { return Ok(None) };
        let number = node.text().and_then(|text| text.parse::<f64>().ok()).filter(|n| n.is_finite());
        number.map(Some).ok_or_else(|| wrong(key, "a number", node))
    }

    pub(crate) fn integer(&self, key: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ConfigError> {
        let Some(node) = self.find(key) else { return Ok(None) };
        let value = node.integer().ok_or_else(|| wrong(key, "a whole number", node))?;
        in_range(key, value, range).map(Some)
    }

    pub(crate) fn size(&self, key: &str, range: RangeInclusive<usize>) -> Result<Option<usize>, ConfigError> {
        let range = *range.start() as i64..=*range.end() as i64;
        Ok(self.integer(key, range)?.map(|n| n as usize))
    }

    pub(crate) fn list(&self, key: &str) -> Result<Option<&[Node]>, ConfigError> {
        match self.find(key) {
            None => Ok(None),
            Some(Node::List(items)) => Ok(Some(items)),
            Some(node) => Err(wrong(key, "a list", node)),
        }
    }

    pub(crate) fn integers(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<Vec<i32>>, ConfigError> {
        let Some(items) = self.list(key)? else { return Ok(None) };
        let read = |node: &Node| {
            let value = node.integer().ok_or_else(|| wrong(key, "a list of whole numbers", node))?;
            in_range(key, value, range.clone()).map(|n| n as i32)
        };
        items.iter().map(read).collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(items) = self.list(key)? else { return Ok(None) };
        let read = |node: &Node| match node {
            // An unquoted piece that spells null was still a piece.
            Node::Null => Ok("null".to_owned()),
            node => node.text().map(str::to_owned).ok_or_else(|| wrong(key, "a list of text", node)),
        };
        items.iter().map(read).collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn section(&self, key: &str) -> Result<Option<&[(String, Node)]>, ConfigError> {
        match self.find(key) {
            None => Ok(None),
            Some(Node::Map(items)) => Ok(Some(items)),
            Some(node) => Err(wrong(key, "a section", node)),
        }
    }
}

/// Turns an absent key into an error.
pub(crate) fn required<T>(key: &str, value: Option<T>) -> Result<T, ConfigError> {
    value.ok_or_else(|| ConfigError::Missing { key: key.to_owned() })
}

fn wrong(key: &str, wanted: &'static str, node: &Node) -> ConfigError {
    ConfigError::Kind { key: key.to_owned(), wanted, found: node.kind() }
}

fn in_range(key: &str, value: i64, range: RangeInclusive<i64>) -> Result<i64, ConfigError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (low, high) = (*range.start(), *range.end());
    Err(ConfigError::Range { key: key.to_owned(), value: value.to_string(), low, high })
}
