use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::{Digest, DigestError};

/// A tag: a letter, digit or underscore, then up to 127 of those, dots and dashes.
///
/// Source: distribution-spec, "Pulling manifests" (the grammar of `<reference>` as a tag).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

/// What a manifest is asked for by: a tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A name that can move.
    Tag(Tag),
    /// The manifest's own digest.
    Digest(Digest),
}

/// Why a text is neither tag nor digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceError {
    /// It has no colon and follows not the grammar of tags.
    InvalidTag,
    /// It has a colon and is no digest.
    InvalidDigest(DigestError),
}

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let follows_grammar = match text.as_bytes() {
            [first, rest @ ..] => {
                is_word(first)
                    && rest.len() <= 127
                    && rest.iter().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
            }
            [] => false,
        };
        if !follows_grammar {
            return Err(ReferenceError::InvalidTag);
        }
        Ok(Tag(text.into()))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            return text.parse().map(Reference::Digest).map_err(ReferenceError::InvalidDigest);
        }
        text.parse().map(Reference::Tag)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Tag(tag) => tag.fmt(f),
            Reference::Digest(digest) => digest.fmt(f),
        }
    }
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReferenceError::InvalidTag => {
                f.write_str("tag is not a word character followed by up to 127 word characters, dots and dashes")
            }
            ReferenceError::InvalidDigest(cause) => cause.fmt(f),
        }
    }
}

impl Error for ReferenceError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_the_grammar() {
        for tag in ["latest", "v1.0", "_x", "A-b.c", &"a".repeat(128)] {
            assert!(tag.parse::<Tag>().is_ok(), "{tag}");
        }
        for tag in ["", ".a", "-a", "a/b", "a b", "é", "..", &"a".repeat(129)] {
            assert_eq!(tag.parse::<Tag>(), Err(ReferenceError::InvalidTag), "{tag}");
        }
    }

    #[test]
    fn a_colon_makes_a_digest() {
        assert_eq!("sha256:zz".parse::<Reference>(), Err(ReferenceError::InvalidDigest(DigestError::InvalidHex)));
        assert!(matches!("latest".parse(), Ok(Reference::Tag(_))));
    }
}
