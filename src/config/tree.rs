//! The configuration as a tree of keys, which begins as the defaults (so it knows every key there is) and
//! remembers who set what.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Config, ConfigError, Origin, UploadsOverride};

/// The one list whose items are sections. A text of a variable or a flag cannot say one.
const LIST_OF_SECTIONS: &str = "uploads.overrides";

pub(super) struct Tree {
    root: Value,
    origins: BTreeMap<String, Origin>,
}

impl Tree {
    /// Every key at its default.
    pub(super) fn of_defaults() -> Self {
        let root = serde_json::to_value(Config::default()).expect("a configuration is made of plain JSON values");
        Tree { root, origins: BTreeMap::new() }
    }

    /// Sets what `document` says.
    pub(super) fn overlay(&mut self, document: Map<String, Value>, origin: &Origin) -> Result<(), ConfigError> {
        let Tree { root, origins } = self;
        overlay_section(root, "", document, origin, origins)
    }

    /// Sets one key to a text, which is read as the key's kind of value wants it.
    pub(super) fn set_text(&mut self, key: &str, text: &str, origin: &Origin) -> Result<(), ConfigError> {
        if key.strip_prefix(LIST_OF_SECTIONS).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            let problem = "is a list of sections, which can be set in a configuration file only";
            return Err(ConfigError::at(key, problem).with_origin(Some(origin.clone())));
        }
        let mut node = &mut self.root;
        for name in key.split('.') {
            if node.get(name).is_none() {
                return Err(not_a_key(key, node, origin));
            }
            node = &mut node[name];
        }
        if let Value::Object(section) = node {
            return Err(ConfigError::at(key, is_a_section(section)).with_origin(Some(origin.clone())));
        }
        let value = fit(read_text(text, node), node);
        *node = value.map_err(|problem| ConfigError::at(key, problem).with_origin(Some(origin.clone())))?;
        self.origins.insert(key.to_owned(), origin.clone());
        Ok(())
    }

    /// The typed configuration.
    pub(super) fn into_config(self) -> Result<(Config, Origins), ConfigError> {
        let origins = Origins(self.origins);
        match serde_path_to_error::deserialize(self.root) {
            Ok(config) => Ok((config, origins)),
            Err(error) => {
                let key = error.path().to_string();
                let origin = origins.of(&key);
                let problem = error.into_inner().to_string().replacen("unknown variant", "there is no", 1);
                Err(ConfigError::at(key, problem).with_origin(origin))
            }
        }
    }
}

/// Who set which key.
pub(super) struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Who set `key`, an item of it (`http.trusted_proxies[0]`) or something below it.
    pub(super) fn of(&self, key: &str) -> Option<Origin> {
        let (key, _) = key.split_once('[').unwrap_or((key, ""));
        let below = format!("{key}.");
        self.0.iter().find(|(set, _)| *set == key || set.starts_with(&below)).map(|(_, origin)| origin.clone())
    }
}

fn overlay_section(
    section: &mut Value,
    section_key: &str,
    document: Map<String, Value>,
    origin: &Origin,
    origins: &mut BTreeMap<String, Origin>,
) -> Result<(), ConfigError> {
    for (name, value) in document {
        let key = if section_key.is_empty() { name.clone() } else { format!("{section_key}.{name}") };
        let Some(known) = section.get_mut(&name) else {
            return Err(not_a_key(&key, section, origin));
        };
        match (known, value) {
            (known @ Value::Object(_), Value::Object(inner)) => overlay_section(known, &key, inner, origin, origins)?,
            // A section whose keys are all commented out.
            (Value::Object(_), Value::Null) => {}
            (Value::Object(known), _) => {
                return Err(ConfigError::at(key, is_a_section(known)).with_origin(Some(origin.clone())));
            }
            (known, value) => {
                let mut value = fit(value, known)
                    .map_err(|problem| ConfigError::at(&key, problem).with_origin(Some(origin.clone())))?;
                if key == LIST_OF_SECTIONS {
                    value = fit_sections(value, &key, origin)?;
                }
                *known = value;
                origins.insert(key, origin.clone());
            }
        }
    }
    Ok(())
}

/// The items of a list of sections say some of the keys there are.
fn fit_sections(list: Value, list_key: &str, origin: &Origin) -> Result<Value, ConfigError> {
    let every_key = serde_json::to_value(UploadsOverride::of_every_key()).expect("an override is made of plain values");
    let mut fitted = Vec::new();
    for (index, item) in list.as_array().into_iter().flatten().enumerate() {
        let item_key = format!("{list_key}[{index}]");
        let refused = |key: &str, problem: String| ConfigError::at(key, problem).with_origin(Some(origin.clone()));
        let Value::Object(item) = item else {
            return Err(refused(&item_key, "is not a section of keys and values".to_owned()));
        };
        let mut section = Map::new();
        for (name, value) in item {
            let key = format!("{item_key}.{name}");
            let Some(kind) = every_key.get(name) else {
                return Err(not_a_key(&key, &every_key, origin));
            };
            let value = fit(value.clone(), kind).map_err(|problem| refused(&key, problem))?;
            section.insert(name.clone(), value);
        }
        fitted.push(Value::Object(section));
    }
    Ok(Value::Array(fitted))
}

/// The default tells what kind of value a text stands for. What does not fit stays text, and is refused with its key
/// when the tree is made a configuration.
fn read_text(text: &str, default: &Value) -> Value {
    let as_written = || Value::String(text.to_owned());
    match default {
        Value::Bool(_) => text.parse().map_or_else(|_| as_written(), Value::Bool),
        Value::Number(_) => text.parse::<u64>().map_or_else(|_| as_written(), Value::from),
        Value::Array(_) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect(),
        Value::Null if text.is_empty() => Value::Null,
        _ => as_written(),
    }
}

/// Whether a value is of the kind that the default is of; in words for people, since the types' own are for programmers.
/// A text may be written without quotes, so that YAML takes it for a number.
fn fit(value: Value, default: &Value) -> Result<Value, String> {
    match (default, value) {
        (Value::Bool(_), value) if !value.is_boolean() => Err(format!("{value} is neither true nor false")),
        (Value::Number(_), value) if !value.is_u64() => Err(format!("{value} is not a whole number from 0 on")),
        (Value::Array(_), value) if !value.is_array() => Err(format!("{value} is not a list, such as [one, two]")),
        (Value::String(_), Value::Number(number)) => Ok(Value::String(number.to_string())),
        (Value::String(_), value) if !value.is_string() => Err(format!("{value} is not a text")),
        (_, value) => Ok(value),
    }
}

fn is_a_section(section: &Map<String, Value>) -> String {
    format!("is a section with the keys {}", join(section.keys()))
}

/// `node` is the section in which it was looked for, or a value below which there is nothing.
fn not_a_key(key: &str, node: &Value, origin: &Origin) -> ConfigError {
    let problem = match node {
        Value::Object(section) => format!("is not a key; there are {}", join(section.keys())),
        _ => "is not a key".to_owned(),
    };
    ConfigError::at(key, problem).with_origin(Some(origin.clone()))
}

fn join<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}
