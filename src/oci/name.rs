use std::cmp::Ordering;
use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A repository's name: lower-case components, separated by slashes, 255 characters at most.
///
/// Names compare by component, so that a repository stands directly before those inside it:
/// `a`, `a/b`, `a-b`. The catalog is in this order. Clones share the text.
///
/// Source: distribution-spec, "Pulling manifests" (the grammar of `<name>`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepositoryName(Arc<str>);

/// The text follows not the grammar of repository names, or is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameError;

impl RepositoryName {
    /// The longest name there may be, in characters.
    pub const MAX_LEN: usize = 255;

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components between the slashes, at least one.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > Self::MAX_LEN || !text.split('/').all(is_component) {
            return Err(NameError);
        }
        Ok(RepositoryName(text.into()))
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Ord for RepositoryName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.components().cmp(other.components())
    }
}

impl PartialOrd for RepositoryName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("repository name is not lower-case components separated by slashes, or is over 255 characters")
    }
}

impl Error for NameError {}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let mut rest = text;
    loop {
        let word_len = rest.bytes().take_while(|b| b.is_ascii_lowercase() || b.is_ascii_digit()).count();
        if word_len == 0 {
            return false;
        }
        rest = &rest[word_len..];
        if rest.is_empty() {
            return true;
        }
        let dashes = rest.bytes().take_while(|b| *b == b'-').count();
        let separator_len = match rest.as_bytes() {
            [b'.', ..] => 1,
            [b'_', b'_', ..] => 2,
            [b'_', ..] => 1,
            _ => dashes,
        };
        if separator_len == 0 {
            return false;
        }
        rest = &rest[separator_len..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_grammar_are_taken() {
        for name in ["a", "a/b", "library/ubuntu", "a.b", "a_b", "a__b", "a---b", "0/1", "a-b.c_d/e"] {
            assert!(name.parse::<RepositoryName>().is_ok(), "{name}");
        }
        assert!("a".repeat(255).parse::<RepositoryName>().is_ok());
    }

    #[test]
    fn everything_else_is_refused() {
        for name in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a..b",
            "a___b",
            "_a",
            "a_",
            "-a",
            "a-",
            ".",
            "..",
            "a/../b",
            "a/_uploads",
            "a\0b",
            "a b",
            "é",
            "a%2fb",
            "a._b",
        ] {
            assert!(name.parse::<RepositoryName>().is_err(), "{name:?}");
        }
        assert!("a".repeat(256).parse::<RepositoryName>().is_err());
    }

    #[test]
    fn a_repository_stands_before_those_inside_it() {
        let mut names: Vec<RepositoryName> =
            ["a-b", "a/b", "a", "a/b/c", "a.b"].iter().map(|n| n.parse().unwrap()).collect();
        names.sort();
        let sorted: Vec<&str> = names.iter().map(RepositoryName::as_str).collect();
        assert_eq!(sorted, ["a", "a/b", "a/b/c", "a-b", "a.b"]);
    }
}
