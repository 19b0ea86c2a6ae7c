use std::time::Duration;

use crate::content::ContentError;
use crate::registry::RegistryError;
use crate::storage::{StorageError, StorageErrorKind};

/// How soon a tag that many publishers move at once may be free.
const CONTENDED_FOR: Duration = Duration::from_secs(1);

impl From<StorageError> for RegistryError {
    /// No fault of the storage says that something is unknown: absence is told apart before it gets here.
    fn from(error: StorageError) -> Self {
        match error.kind() {
            StorageErrorKind::Full => RegistryError::StorageFull,
            StorageErrorKind::TimedOut => RegistryError::Unavailable(error.to_string()),
            _ => RegistryError::Internal(error.to_string()),
        }
    }
}

impl From<ContentError> for RegistryError {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Storage(cause) => cause.into(),
            ContentError::ManifestInvalid(cause) => RegistryError::ManifestInvalid(cause.to_string()),
            ContentError::ManifestTooLarge { limit_bytes } => RegistryError::ManifestTooLarge { limit_bytes },
            ContentError::ReferencesUnknown(digests) => RegistryError::ManifestBlobUnknown(digests),
            ContentError::DigestMismatch { expected, actual } => RegistryError::DigestMismatch { expected, actual },
            ContentError::ConditionFailed { tag, current } => RegistryError::PreconditionFailed { tag, current },
            ContentError::Contended(_) => RegistryError::Busy { retry_after: CONTENDED_FOR },
        }
    }
}
