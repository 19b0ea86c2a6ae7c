use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Policy;
use crate::hashing::HashError;
use crate::oci::Digest;
use crate::storage::{StorageError, StorageErrorKind};

/// Why the engine could not do what was asked. Cheap to clone, since several requests may wait for one answer.
#[derive(Clone, Debug)]
pub enum UploadError {
    /// There is no such upload in this repository, or it has ended.
    Unknown,
    /// It expired, and is kept for an operator to look at.
    Expired {
        /// Why.
        policy: Policy,
        /// When.
        at: SystemTime,
    },
    /// A policy struck while it was being written to; it has expired.
    Struck {
        /// Which.
        policy: Policy,
    },
    /// The body would make it larger than `uploads.max_size`; nothing was changed.
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// A limit on open or writing uploads is reached.
    OverLimit {
        /// The configuration key of the limit, such as `max_open_per_client`.
        limit: &'static str,
        /// Its value.
        value: u64,
        /// When to try again.
        retry_after: Duration,
    },
    /// There is less free space than `uploads.min_free_space`: no upload is begun.
    LowSpace,
    /// It has just left memory: ask again. The handle does so itself.
    Passivated,
    /// Another request writes or commits; it may be over after this time.
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The bytes do not go where the upload stands, or differ from what is kept there. Nothing was changed.
    RangeMismatch {
        /// How many bytes the upload holds.
        offset: u64,
    },
    /// A body was longer or shorter than it said. What is sound was kept.
    SizeMismatch {
        /// How many bytes the upload holds.
        offset: u64,
    },
    /// A newer request took the right to write over, or the upload was cancelled.
    Superseded,
    /// The content is not what the digest says; the upload stays.
    DigestMismatch {
        /// What the client said.
        expected: Digest,
        /// What was received.
        actual: Digest,
    },
    /// The engine is shutting down; the upload can be resumed afterwards.
    Draining,
    /// A piece of a body went missing between the request and the upload; the body cannot go on.
    Gap,
    /// The record was written by a newer version of this software.
    RecordTooNew,
    /// The store failed.
    Storage(Arc<StorageError>),
    /// The digest could not be brought along; it is made again from what is kept.
    Hashing(HashError),
    /// The engine itself failed: an actor died. Its upload is found again from storage.
    Died,
}

impl UploadError {
    /// Whether the store said it is full.
    pub fn is_full(&self) -> bool {
        matches!(self, UploadError::Storage(error) if error.kind() == StorageErrorKind::Full)
    }
}

impl From<StorageError> for UploadError {
    fn from(error: StorageError) -> Self {
        UploadError::Storage(Arc::new(error))
    }
}

impl From<HashError> for UploadError {
    fn from(error: HashError) -> Self {
        UploadError::Hashing(error)
    }
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UploadError::Unknown => f.write_str("upload is unknown"),
            UploadError::Expired { policy, .. } => write!(f, "upload expired by {policy}"),
            UploadError::Struck { policy } => write!(f, "upload expires by {policy}"),
            UploadError::TooLarge { limit_bytes } => write!(f, "upload would be larger than {limit_bytes} bytes"),
            UploadError::OverLimit { limit, value, .. } => write!(f, "uploads.{limit} ({value}) is reached"),
            UploadError::LowSpace => f.write_str("free space is below uploads.min_free_space"),
            UploadError::Passivated => f.write_str("upload has just left memory"),
            UploadError::Busy { .. } => f.write_str("another request is writing to the upload"),
            UploadError::RangeMismatch { offset } => write!(f, "bytes do not go where the upload stands: {offset}"),
            UploadError::SizeMismatch { offset } => {
                write!(f, "body has not the length that was said; the upload stands at {offset}")
            }
            UploadError::Superseded => f.write_str("a newer request took the upload over, or it was cancelled"),
            UploadError::DigestMismatch { expected, actual } => {
                write!(f, "content has digest {actual}, not {expected}")
            }
            UploadError::Draining => f.write_str("engine is shutting down"),
            UploadError::Gap => f.write_str("a piece of the body went missing"),
            UploadError::RecordTooNew => f.write_str("upload record was written by a newer version"),
            UploadError::Storage(error) => error.fmt(f),
            UploadError::Hashing(error) => error.fmt(f),
            UploadError::Died => f.write_str("upload actor died"),
        }
    }
}

impl Error for UploadError {}
