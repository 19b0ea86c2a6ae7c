use std::error::Error;
use std::fmt;

use crate::oci::{Digest, ManifestError, Tag};
use crate::storage::StorageError;

/// Why content was not accepted or could not be reached. What is not there is no error but a `None`.
#[derive(Debug)]
pub enum ContentError {
    /// The store failed; it says nothing about what is there.
    Storage(StorageError),
    /// The bytes are no manifest that is accepted.
    ManifestInvalid(ManifestError),
    /// The manifest is larger than the limit.
    ManifestTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The manifest refers to content that the repository does not have.
    ReferencesUnknown(Vec<Digest>),
    /// The bytes have another digest than they should.
    DigestMismatch {
        /// What the client said.
        expected: Digest,
        /// What the bytes have.
        actual: Digest,
    },
    /// The tag is not where its condition says.
    ConditionFailed {
        /// The tag.
        tag: Tag,
        /// Where it points; `None` when it does not exist.
        current: Option<Digest>,
    },
    /// The tag kept moving while it was to be moved; trying again may help.
    Contended(Tag),
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContentError::Storage(cause) => cause.fmt(f),
            ContentError::ManifestInvalid(cause) => write!(f, "manifest is invalid: {cause}"),
            ContentError::ManifestTooLarge { limit_bytes } => write!(f, "manifest is over {limit_bytes} bytes"),
            ContentError::ReferencesUnknown(digests) => {
                write!(f, "manifest refers to {} digests unknown to the repository", digests.len())
            }
            ContentError::DigestMismatch { expected, actual } => {
                write!(f, "manifest has digest {actual}, not {expected}")
            }
            ContentError::ConditionFailed { tag, current: Some(current) } => write!(f, "tag {tag} points at {current}"),
            ContentError::ConditionFailed { tag, current: None } => write!(f, "tag {tag} does not exist"),
            ContentError::Contended(tag) => write!(f, "tag {tag} keeps moving"),
        }
    }
}

impl Error for ContentError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ContentError::Storage(cause) => Some(cause),
            ContentError::ManifestInvalid(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<StorageError> for ContentError {
    fn from(cause: StorageError) -> Self {
        ContentError::Storage(cause)
    }
}

impl From<ManifestError> for ContentError {
    fn from(cause: ManifestError) -> Self {
        ContentError::ManifestInvalid(cause)
    }
}
