//! The chat template of a folder: in the tokenizer's settings, or in a file of its own.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::super::{HfError, MAX_JSON, json_value};
use crate::settings::ConfigError;

const FILE: &str = "chat_template.jinja";

/// Reads the template, `None` if there is none.
pub(super) fn read(folder: &Path, settings: &Value) -> Result<Option<String>, HfError> {
    match &settings["chat_template"] {
        Value::String(template) => return Ok(Some(template.clone())),
        // Several by name, of which the file keeps the one for chats.
        Value::Array(list) => {
            let default = list.iter().find(|entry| entry["name"] == "default");
            return Ok(default.and_then(|entry| entry["template"].as_str()).map(str::to_owned));
        }
        _ => {}
    }
    let path = folder.join(FILE);
    let refused = |source| HfError::Io { path: path.clone(), source };
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(refused(error)),
        Ok(found) if found.len() > MAX_JSON => {
            return Err(ConfigError::TooLarge { what: "bytes of template", limit: MAX_JSON as usize }.into());
        }
        Ok(_) => return fs::read_to_string(&path).map(Some).map_err(refused),
    }
    let json = json_value(folder, "chat_template.json")?.unwrap_or_default();
    Ok(json["chat_template"].as_str().map(str::to_owned))
}
