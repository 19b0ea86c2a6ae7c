use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// A configuration that is refused: which key, why, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    key: Option<String>,
    problem: String,
    origin: Option<Origin>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file.
    File(PathBuf),
    /// An environment variable, by its name.
    Variable(String),
    /// A flag of the command line, as it is written.
    Flag(&'static str),
}

impl ConfigError {
    /// A problem of the value of one key.
    pub(super) fn at(key: impl Into<String>, problem: impl fmt::Display) -> Self {
        ConfigError { key: Some(key.into()), problem: problem.to_string(), origin: None }
    }

    /// A problem of a whole source.
    pub(super) fn of(origin: Origin, problem: impl fmt::Display) -> Self {
        ConfigError { key: None, problem: problem.to_string(), origin: Some(origin) }
    }

    /// The same, with where the value came from.
    pub(super) fn with_origin(mut self, origin: Option<Origin>) -> Self {
        self.origin = origin;
        self
    }

    /// The full key, such as `http.addr`, unless it is a whole source that is wrong.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Where the value came from; `None` when it is the default.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.key, &self.origin) {
            (Some(key), Some(origin)) => write!(f, "{key}: {} (from {origin})", self.problem),
            (Some(key), None) => write!(f, "{key}: {}", self.problem),
            (None, Some(origin)) => write!(f, "{origin}: {}", self.problem),
            (None, None) => f.write_str(&self.problem),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Variable(name) => f.write_str(name),
            Origin::Flag(flag) => f.write_str(flag),
        }
    }
}

impl Error for ConfigError {}
