use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::tree::Tree;
use super::{Config, ConfigError, Origin, Sources, check};

/// What the names of our environment variables begin with.
const VARIABLE_PREFIX: &str = "LONGSHORE__";

impl Config {
    /// Puts the file, the environment and the flags over the defaults, in this order.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key, a value of the wrong form, or values that contradict each other;
    /// the error names the key and where its value came from.
    pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
        let mut tree = Tree::of_defaults();
        if let Some(path) = &sources.file {
            let origin = Origin::File(path.clone());
            let document = read_document(&read_file(path, &origin)?, &origin)?;
            tree.overlay(document, &origin)?;
        }
        for (name, value) in &sources.environment {
            set_variable(&mut tree, name, value)?;
        }
        for setting in &sources.flags {
            tree.set_text(setting.key, &setting.value, &Origin::Flag(setting.flag))?;
        }
        checked(tree)
    }

    /// The configuration that a file with this text has, when nothing else is said.
    pub(super) fn from_yaml(text: &str) -> Result<Config, ConfigError> {
        let origin = Origin::File(PathBuf::new());
        let mut tree = Tree::of_defaults();
        tree.overlay(read_document(text, &origin)?, &origin)?;
        checked(tree)
    }

    /// The whole configuration in the form of the file.
    pub fn to_yaml(&self) -> String {
        let mut yaml = serde_saphyr::to_string(self).expect("a configuration is made of plain YAML values");
        if !yaml.ends_with('\n') {
            yaml.push('\n');
        }
        yaml
    }
}

fn checked(tree: Tree) -> Result<Config, ConfigError> {
    let (config, origins) = tree.into_config()?;
    check::check(&config).map_err(|error| {
        let origin = error.key().and_then(|key| origins.of(key));
        error.with_origin(origin)
    })?;
    Ok(config)
}

fn read_file(path: &Path, origin: &Origin) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError::of(origin.clone(), format_args!("cannot be read: {error}")))
}

fn read_document(text: &str, origin: &Origin) -> Result<Map<String, Value>, ConfigError> {
    let document: Option<Value> = serde_saphyr::from_str(text)
        .map_err(|error| ConfigError::of(origin.clone(), format_args!("is not well-formed YAML: {}", told(&error))))?;
    match document {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(document)) => Ok(document),
        Some(_) => Err(ConfigError::of(origin.clone(), "is not a mapping of keys to values")),
    }
}

/// For people who write the file: without advice to programmers, and without the excerpt's name for its source.
fn told(error: &serde_saphyr::Error) -> String {
    error.render_with_formatter(&serde_saphyr::UserMessageFormatter).replace(" --> <input>:", " --> line ")
}

fn set_variable(tree: &mut Tree, name: &OsStr, value: &OsStr) -> Result<(), ConfigError> {
    let Some(path) = name.to_str().and_then(|name| name.strip_prefix(VARIABLE_PREFIX)) else {
        return Ok(());
    };
    let origin = Origin::Variable(format!("{VARIABLE_PREFIX}{path}"));
    let key = path.to_ascii_lowercase().replace("__", ".");
    if path != path.to_ascii_uppercase() {
        let problem = format_args!("is not written in capitals: {VARIABLE_PREFIX}{}", path.to_ascii_uppercase());
        return Err(ConfigError::of(origin, problem));
    }
    let Some(value) = value.to_str() else {
        return Err(ConfigError::at(key, "is not UTF-8").with_origin(Some(origin)));
    };
    tree.set_text(&key, value, &origin)
}

#[cfg(test)]
mod tests;
