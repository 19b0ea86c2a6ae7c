use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::oci::{Digest, DigestError, ErrorCode, Tag};

/// What a service answers when it cannot do what was asked: one variant for each cause that a client
/// can act on. HTTP maps each to a status and a code (in `http/error.rs`, and nowhere else).
#[derive(Debug)]
pub enum RegistryError {
    /// The repository holds nothing, or is not there.
    NameUnknown,
    /// The repository's name is not taken here.
    NameRefused,
    /// The repository has no such blob.
    BlobUnknown(Digest),
    /// The repository has no such manifest; the text is the tag or digest.
    ManifestUnknown(String),
    /// The manifest cannot be accepted; the text says why.
    ManifestInvalid(String),
    /// The manifest refers to content that the repository does not have.
    ManifestBlobUnknown(Vec<Digest>),
    /// The manifest is larger than the limit.
    ManifestTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The digest that was given is not that of the content.
    DigestMismatch {
        /// What the client said.
        expected: Digest,
        /// What was received.
        actual: Digest,
    },
    /// A digest of the request is malformed or unsupported.
    DigestInvalid(DigestError),
    /// The tag is not where the client's precondition says.
    PreconditionFailed {
        /// The tag.
        tag: Tag,
        /// Where it points; `None` when it does not exist.
        current: Option<Digest>,
    },
    /// There is no such upload in this repository.
    UploadUnknown,
    /// The upload expired. It counts as unknown; what is kept of it says why.
    UploadExpired {
        /// By which policy: the name of its configuration key, or `operator`.
        policy: &'static str,
        /// When.
        at: SystemTime,
    },
    /// A policy ended the upload while this request wrote to it.
    PolicyStruck {
        /// Which: the name of its configuration key, or `operator`.
        policy: &'static str,
    },
    /// A limit on uploads is reached; try again later.
    OverLimit {
        /// The configuration key of the limit.
        limit: Cow<'static, str>,
        /// Its value.
        value: u64,
        /// When.
        retry_after: Duration,
    },
    /// The store is nearly full: no new upload is taken.
    StorageLow,
    /// The bytes do not go where the upload stands; it is unchanged.
    RangeNotSatisfiable {
        /// How many bytes the upload holds.
        offset: u64,
    },
    /// The body was shorter or longer than it was said to be. What is sound was kept.
    SizeInvalid {
        /// How many bytes the upload holds.
        offset: u64,
    },
    /// The content is larger than the repository takes.
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// Another request writes or commits; try again later.
    Busy {
        /// When.
        retry_after: Duration,
    },
    /// This writer's lease was taken over by a newer request, or its upload was cancelled.
    Superseded,
    /// The operation is not offered.
    Unsupported(String),
    /// The store is full.
    StorageFull,
    /// The registry cannot answer now (a hung store, shutting down); try again later.
    Unavailable(String),
    /// The registry's own fault; the text is for the log only.
    Internal(String),
    /// A registry on the other side of HTTP answered with what none of the others says.
    Remote {
        /// Its code; [`ErrorCode::Unknown`] stands for those that the specification has not.
        code: ErrorCode,
        /// Its message, with its own code where that is none of the specification's.
        message: String,
        /// When to try again, where it says so.
        retry_after: Option<Duration>,
        /// The client's own error.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegistryError::NameUnknown => f.write_str("repository is unknown"),
            RegistryError::NameRefused => f.write_str("repository name is refused"),
            RegistryError::BlobUnknown(digest) => write!(f, "blob {digest} is unknown"),
            RegistryError::ManifestUnknown(reference) => write!(f, "manifest {reference} is unknown"),
            RegistryError::ManifestInvalid(cause) => write!(f, "manifest is invalid: {cause}"),
            RegistryError::ManifestBlobUnknown(digests) => {
                write!(f, "manifest refers to {} digests unknown to the repository", digests.len())
            }
            RegistryError::ManifestTooLarge { limit_bytes } => write!(f, "manifest is over {limit_bytes} bytes"),
            RegistryError::DigestMismatch { expected, actual } => {
                write!(f, "content has digest {actual}, not {expected}")
            }
            RegistryError::DigestInvalid(cause) => cause.fmt(f),
            RegistryError::PreconditionFailed { tag, current: Some(current) } => {
                write!(f, "tag {tag} points at {current}")
            }
            RegistryError::PreconditionFailed { tag, current: None } => write!(f, "tag {tag} does not exist"),
            RegistryError::UploadExpired { policy, .. } => write!(f, "upload expired by {policy}"),
            RegistryError::PolicyStruck { policy } => write!(f, "upload was ended by {policy}"),
            RegistryError::OverLimit { limit, value, .. } => write!(f, "limit of uploads is reached: {limit} {value}"),
            RegistryError::StorageLow => f.write_str("storage is nearly full, no new upload is taken"),
            RegistryError::UploadUnknown => f.write_str("upload is unknown to this repository"),
            RegistryError::RangeNotSatisfiable { offset } => {
                write!(f, "bytes do not go where the upload stands, which is at offset {offset}")
            }
            RegistryError::SizeInvalid { offset } => {
                write!(f, "body has not the length that was said; the upload stands at offset {offset}")
            }
            RegistryError::TooLarge { limit_bytes } => write!(f, "content is over {limit_bytes} bytes"),
            RegistryError::Busy { .. } => f.write_str("another request is writing to this upload"),
            RegistryError::Superseded => f.write_str("a newer request took the upload over, or it was cancelled"),
            RegistryError::Unsupported(what) => write!(f, "{what} is not supported"),
            RegistryError::StorageFull => f.write_str("storage is full"),
            RegistryError::Unavailable(cause) => write!(f, "registry is not available: {cause}"),
            RegistryError::Internal(cause) => write!(f, "registry failed: {cause}"),
            // It tells what was asked, too.
            RegistryError::Remote { source: Some(source), .. } => source.fmt(f),
            RegistryError::Remote { code, message, .. } => write!(f, "registry answered {code}: {message}"),
        }
    }
}

impl Error for RegistryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RegistryError::Remote { source: Some(source), .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}
