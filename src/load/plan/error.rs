use std::error::Error;
use std::fmt;

/// A plan that is refused: which key, why, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    key: Option<String>,
    problem: String,
    origin: Option<String>,
}

impl PlanError {
    /// A problem of the value of one key.
    pub(super) fn at(key: impl Into<String>, problem: impl fmt::Display) -> Self {
        PlanError { key: Some(key.into()), problem: problem.to_string(), origin: None }
    }

    /// A problem of the whole.
    pub(super) fn whole(problem: impl fmt::Display) -> Self {
        PlanError { key: None, problem: problem.to_string(), origin: None }
    }

    /// What a typed value said of the tree that it was read from.
    pub(super) fn of_serde(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let key = error.path().to_string();
        let problem = error.into_inner().to_string().replacen("unknown variant", "there is no", 1);
        match key.as_str() {
            "." | "?" => PlanError::whole(problem),
            _ => PlanError::at(key, problem),
        }
    }

    /// The same, below another key.
    pub(super) fn below(mut self, key: &str) -> Self {
        self.key = Some(match self.key {
            Some(inner) => format!("{key}.{inner}"),
            None => key.to_owned(),
        });
        self
    }

    /// The same, with the file or flag that it came from, unless that is known.
    pub(super) fn from(mut self, origin: impl fmt::Display) -> Self {
        self.origin.get_or_insert_with(|| origin.to_string());
        self
    }

    /// Whether it is about this key, an item of it or something below it.
    pub(super) fn is_at_or_below(&self, key: &str) -> bool {
        let rest = self.key.as_deref().and_then(|own| own.strip_prefix(key));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// The full key, such as `content.sizes` or `workloads[0].weight`, unless the whole is wrong.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.key, &self.origin) {
            (Some(key), Some(origin)) => write!(f, "{key}: {} (from {origin})", self.problem),
            (Some(key), None) => write!(f, "{key}: {}", self.problem),
            (None, Some(origin)) => write!(f, "{origin}: {}", self.problem),
            (None, None) => f.write_str(&self.problem),
        }
    }
}

impl Error for PlanError {}
