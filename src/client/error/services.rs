//! What an error of the client is for those who ask by the services' traits.

use std::time::Duration;

use http::StatusCode;

use super::{ClientError, Failure, Refusal};
use crate::oci::{Digest, ErrorCode, Reference, Tag};
use crate::services::RegistryError;

/// How soon to try again where a registry does not say.
const USUAL_WAIT: Duration = Duration::from_secs(1);

/// What was asked about; an error says no more of it than what was not right.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) enum Subject<'a> {
    Repository,
    Blob(&'a Digest),
    Manifest(&'a Reference),
    NewUpload,
    Upload,
    Commit(&'a Digest),
}

impl ClientError {
    /// The variant that says it, or [`RegistryError::Remote`] with this error within.
    pub(in crate::client) fn for_service(self, subject: Subject<'_>) -> RegistryError {
        let known = match self.failure() {
            Failure::Refused(refusal) => of_refusal(refusal, subject),
            Failure::Transport(_) => Some(RegistryError::Unavailable(self.to_string())),
            Failure::DigestMismatch { expected, actual } => {
                Some(RegistryError::DigestMismatch { expected: expected.clone(), actual: actual.clone() })
            }
            Failure::Unsupported(what) => Some(RegistryError::Unsupported(what.clone())),
            Failure::TooLarge { limit_bytes } => match subject {
                Subject::Manifest(_) => Some(RegistryError::ManifestTooLarge { limit_bytes: *limit_bytes }),
                _ => None,
            },
            Failure::Answer(_) | Failure::Credentials(_) | Failure::Source(_) => None,
        };
        known.unwrap_or_else(|| self.into())
    }
}

impl From<ClientError> for RegistryError {
    fn from(error: ClientError) -> Self {
        let code = match (error.code(), error.status()) {
            (Some(code), _) => code,
            (None, Some(StatusCode::UNAUTHORIZED)) => ErrorCode::Unauthorized,
            (None, Some(StatusCode::FORBIDDEN)) => ErrorCode::Denied,
            (None, Some(StatusCode::TOO_MANY_REQUESTS)) => ErrorCode::TooManyRequests,
            _ => ErrorCode::Unknown,
        };
        let message = match error.failure() {
            Failure::Refused(refusal) => Said(refusal).message(),
            failure => failure.to_string(),
        };
        let retry_after = error.retry_after();
        RegistryError::Remote { code, message, retry_after, source: Some(Box::new(error)) }
    }
}

fn of_refusal(refusal: &Refusal, subject: Subject<'_>) -> Option<RegistryError> {
    let said = Said(refusal);
    match refusal.status.as_u16() {
        404 => of_absence(&said, subject),
        416 => Some(RegistryError::RangeNotSatisfiable { offset: refusal.offset? }),
        429 => Some(said.too_much(subject)),
        507 => Some(match subject {
            Subject::NewUpload => RegistryError::StorageLow,
            _ => RegistryError::StorageFull,
        }),
        409 if matches!(subject, Subject::Upload | Subject::Commit(_)) => Some(RegistryError::Superseded),
        413 => {
            let limit_bytes = said.number("limit_bytes")?;
            Some(match subject {
                Subject::Manifest(_) => RegistryError::ManifestTooLarge { limit_bytes },
                _ => RegistryError::TooLarge { limit_bytes },
            })
        }
        412 => of_precondition(&said, subject),
        502..=504 => Some(RegistryError::Unavailable(refusal.to_string())),
        405 => Some(RegistryError::Unsupported(refusal.to_string())),
        400 => of_wrong_content(&said, subject),
        _ => None,
    }
}

/// A HEAD has no code: then what was asked for is what is not there.
fn of_absence(said: &Said<'_>, subject: Subject<'_>) -> Option<RegistryError> {
    match (said.0.code(), subject) {
        (Some(ErrorCode::NameUnknown), _) => Some(RegistryError::NameUnknown),
        (_, Subject::Blob(digest)) => Some(RegistryError::BlobUnknown(digest.clone())),
        (Some(ErrorCode::ManifestBlobUnknown), _) => Some(RegistryError::ManifestBlobUnknown(said.digests())),
        (Some(ErrorCode::ManifestUnknown) | None, Subject::Manifest(reference)) => {
            Some(RegistryError::ManifestUnknown(reference.to_string()))
        }
        // distribution says so of an upload that does not stand where its address says, and ends it.
        (
            Some(ErrorCode::BlobUploadUnknown | ErrorCode::BlobUploadInvalid) | None,
            Subject::Upload | Subject::Commit(_),
        ) => Some(RegistryError::UploadUnknown),
        (None, Subject::Repository | Subject::NewUpload) => Some(RegistryError::NameUnknown),
        _ => None,
    }
}

fn of_precondition(said: &Said<'_>, subject: Subject<'_>) -> Option<RegistryError> {
    let named: Option<Tag> = said.text("tag").and_then(|tag| tag.parse().ok());
    let asked = match subject {
        Subject::Manifest(Reference::Tag(tag)) => Some(tag.clone()),
        _ => None,
    };
    let current = said.text("current").and_then(|digest| digest.parse().ok());
    Some(RegistryError::PreconditionFailed { tag: named.or(asked)?, current })
}

fn of_wrong_content(said: &Said<'_>, subject: Subject<'_>) -> Option<RegistryError> {
    match (said.0.code()?, subject) {
        (ErrorCode::NameInvalid, _) => Some(RegistryError::NameRefused),
        (ErrorCode::DigestInvalid, Subject::Commit(digest)) => {
            let actual = said.text("actual").and_then(|actual| actual.parse().ok())?;
            Some(RegistryError::DigestMismatch { expected: digest.clone(), actual })
        }
        (ErrorCode::DigestInvalid, Subject::Manifest(Reference::Digest(digest))) => {
            let actual = said.text("actual").and_then(|actual| actual.parse().ok())?;
            Some(RegistryError::DigestMismatch { expected: digest.clone(), actual })
        }
        (ErrorCode::SizeInvalid, Subject::Upload | Subject::Commit(_)) => {
            Some(RegistryError::SizeInvalid { offset: said.0.offset? })
        }
        (ErrorCode::ManifestInvalid, Subject::Manifest(_)) => {
            let message = said.message();
            let cause = message.strip_prefix("manifest is invalid: ").unwrap_or(&message);
            Some(RegistryError::ManifestInvalid(cause.to_owned()))
        }
        (ErrorCode::ManifestBlobUnknown, _) => Some(RegistryError::ManifestBlobUnknown(said.digests())),
        (ErrorCode::Unsupported, _) => Some(RegistryError::Unsupported(said.message())),
        _ => None,
    }
}

/// What an answer says beside its status.
struct Said<'a>(&'a Refusal);

impl Said<'_> {
    fn too_much(&self, subject: Subject<'_>) -> RegistryError {
        let retry_after = self.0.retry_after.unwrap_or(USUAL_WAIT);
        match (self.text("limit"), self.number("value")) {
            (Some(limit), Some(value)) => {
                RegistryError::OverLimit { limit: limit.to_owned().into(), value, retry_after }
            }
            _ if matches!(subject, Subject::Upload | Subject::Commit(_)) => RegistryError::Busy { retry_after },
            _ => RegistryError::Remote {
                code: ErrorCode::TooManyRequests,
                message: self.message(),
                retry_after: Some(retry_after),
                source: None,
            },
        }
    }

    /// Of the first detail that has it.
    fn text(&self, key: &str) -> Option<&str> {
        self.0.problems.iter().find_map(|problem| problem.detail.get(key)?.as_str())
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.0.problems.iter().find_map(|problem| problem.detail.get(key)?.as_u64())
    }

    fn digests(&self) -> Vec<Digest> {
        self.0.problems.iter().filter_map(|problem| problem.detail.get("digest")?.as_str()?.parse().ok()).collect()
    }

    /// The first message, with its code where that is none of the specification's.
    fn message(&self) -> String {
        match self.0.problems.first() {
            Some(problem) if problem.code.is_some() && !problem.message.is_empty() => problem.message.clone(),
            Some(problem) => problem.to_string(),
            None => self.0.to_string(),
        }
    }
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
