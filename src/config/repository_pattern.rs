use std::fmt;
use std::str::FromStr;

use glob::{MatchOptions, Pattern};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::oci::RepositoryName;

/// Which repositories something holds for: a name with `?` (one character), `[a-c]` (one of these), `*` (any characters
/// within one component of the path) and `**` (any number of components): `library/nginx`, `ci/*`, `team/**`.
/// `team/**` is everything below `team`, and not `team` itself; `**` is every repository.
#[derive(Clone, Debug, PartialEq)]
pub struct RepositoryPattern(Pattern);

/// What makes a component more than a plain name.
const WILDCARDS: [char; 3] = ['?', '*', '['];

/// A `*` does not reach over a slash.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

impl RepositoryPattern {
    /// Whether `repository` is one of them.
    pub fn matches(&self, repository: &RepositoryName) -> bool {
        self.0.matches_with(repository.as_str(), OPTIONS)
    }
}

impl FromStr for RepositoryPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("pattern is empty".to_owned());
        }
        if let Some(problem) = text.split('/').find_map(what_no_component_has) {
            return Err(format!("{text:?} fits no repository: {problem}"));
        }
        Pattern::new(text).map(RepositoryPattern).map_err(|error| format!("{text:?} is no pattern: {}", error.msg))
    }
}

/// A pattern that can fit nothing was meant in another way.
fn what_no_component_has(component: &str) -> Option<String> {
    let is_known = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-?*[]!".contains(*c);
    if component.is_empty() {
        return Some("a name has no slash at its start or end, nor two together".to_owned());
    }
    if let Some(stranger) = component.chars().find(|c| !is_known(c)) {
        return Some(format!("no name has {stranger:?}"));
    }
    let is_plain = !component.contains(WILDCARDS);
    let is_name = component.parse::<RepositoryName>().is_ok();
    (is_plain && !is_name).then(|| format!("{component:?} is no component of a name"))
}

impl fmt::Display for RepositoryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Serialize for RepositoryPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RepositoryPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, repository: &str) -> bool {
        pattern.parse::<RepositoryPattern>().unwrap().matches(&repository.parse().unwrap())
    }

    #[test]
    fn repositories_are_found() {
        for (pattern, fitting, others) in [
            (
                "library/nginx",
                &["library/nginx"] as &[&str],
                &["library/nginx-2", "library", "a/library/nginx"] as &[&str],
            ),
            ("ci/*", &["ci/a", "ci/a.b"], &["ci", "ci/a/b", "cia/b"]),
            ("team/**", &["team/a", "team/a/b/c"], &["team", "teams/a"]),
            ("**", &["a", "a/b/c"], &[]),
            ("**/cache", &["cache", "a/cache", "a/b/cache"], &["a/cache/b", "my-cache"]),
            ("*", &["a"], &["a/b"]),
            ("a?", &["ab"], &["a", "abc", "a/b"]),
            ("v[0-9]/*-dev", &["v1/x-dev"], &["va/x-dev", "v1/dev"]),
            ("[!a-c]/b", &["d/b"], &["a/b"]),
        ] {
            for repository in fitting {
                assert!(matches(pattern, repository), "{pattern} does not fit {repository}");
            }
            for repository in others {
                assert!(!matches(pattern, repository), "{pattern} fits {repository}");
            }
        }
    }

    #[test]
    fn what_can_fit_nothing_is_refused() {
        for (text, problem) in [
            ("", "is empty"),
            ("/a", "no slash at its start"),
            ("a/", "no slash at its start"),
            ("a//b", "nor two together"),
            ("Library/*", "no name has 'L'"),
            ("a b", "no name has ' '"),
            ("registry.example.org:5000/a", "no name has ':'"),
            ("a/../b", "\"..\" is no component"),
            ("_a/*", "\"_a\" is no component"),
            ("a**", "is no pattern"),
            ("[a", "is no pattern"),
            ("***", "is no pattern"),
        ] {
            let error = text.parse::<RepositoryPattern>().unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
