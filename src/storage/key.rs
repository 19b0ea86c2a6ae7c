use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of an object: components separated by `/`, relative to the storage's root.
///
/// A component is never empty, `.` or `..`, has no NUL, no backslash and at most 255 bytes, so that
/// a key can be a path on every filesystem and never leaves the root. Clones share the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

/// A text that cannot be a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError(String);

impl Key {
    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of `component` below this one.
    ///
    /// # Errors
    /// [`KeyError`] when `component` (which may hold several, separated by `/`) is not allowed.
    pub fn child(&self, component: &str) -> Result<Key, KeyError> {
        [self.as_str(), "/", component].concat().parse()
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Whether this key stands below `folder`, or is it.
    pub fn is_within(&self, folder: &Key) -> bool {
        self.0.strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// A key built from parts that are known to be allowed. Only [`super::keys`] calls it.
    pub(super) fn from_checked(text: String) -> Key {
        debug_assert!(is_key(&text), "{text:?} is no key");
        Key(text.into())
    }
}

fn is_key(text: &str) -> bool {
    text.split('/').all(|component| {
        !matches!(component, "" | "." | "..") && component.len() <= 255 && !component.contains(['\0', '\\'])
    })
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if !is_key(text) {
            return Err(KeyError(text.into()));
        }
        Ok(Key(text.into()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} cannot be a storage key", self.0)
    }
}

impl Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_leaves_the_root() {
        for text in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a\0", "a\\b", &"a".repeat(256)] {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
        }
        let key: Key = "a/b".parse().unwrap();
        assert_eq!(key.child("c").unwrap().as_str(), "a/b/c");
        assert!(key.child("..").is_err());
        assert!(key.child("c").unwrap().is_within(&key));
        assert!(!"a/bc".parse::<Key>().unwrap().is_within(&key));
    }
}
