//! What went wrong, and where.

mod problems;
mod services;

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use reqwest::Url;

use super::transport::{TransportError, TransportErrorKind};
use crate::oci::{Digest, ErrorCode};

pub(super) use self::problems::read_refusal;
pub(super) use self::services::Subject;

/// Why something that was asked of a registry was not done. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientError(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    operation: &'static str,
    url: String,
    failure: Failure,
}

/// What happened.
#[derive(Debug)]
pub enum Failure {
    /// The registry (or who stands before it) answered, and said no.
    Refused(Refusal),
    /// There is no answer, or it broke off.
    Transport(TransportError),
    /// The answer is not as the protocol has it; the text says what is wrong with it.
    Answer(String),
    /// The bytes that came are not those of the digest.
    DigestMismatch {
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// More came than is taken.
    TooLarge {
        /// The bound.
        limit_bytes: u64,
    },
    /// Credentials could not be had, or must not be sent there.
    Credentials(String),
    /// What was to be pushed could not be read.
    Source(io::Error),
    /// The protocol has no way to say it.
    Unsupported(String),
}

/// An answer that says no.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusal {
    /// Its status.
    pub status: StatusCode,
    /// What the registry says; empty when it says nothing, or not in its own form.
    pub problems: Vec<Problem>,
    /// How long to wait before it is asked again (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// For an upload: how many bytes it holds (`Range`, or the detail `offset`).
    pub offset: Option<u64>,
    /// For a range of a blob: the size of the whole (`Content-Range: bytes */<size>`).
    pub size_bytes: Option<u64>,
}

/// One entry of `errors` in an answer's body.
///
/// Source: distribution-spec, "Error Codes".
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The code, if it is one of the specification's.
    pub code: Option<ErrorCode>,
    /// The code as it came.
    pub raw_code: String,
    /// The message; empty when there is none. It is the registry's text: escape it before it is shown.
    pub message: String,
    /// Whatever else is said.
    pub detail: serde_json::Value,
}

impl ClientError {
    pub(super) fn new(operation: &'static str, url: &Url, failure: Failure) -> Self {
        ClientError(Arc::new(Parts { operation, url: without_secrets(url), failure }))
    }

    /// What was being done: `push blob`.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Which URL was asked, without its query, which may hold secrets.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// What happened.
    pub fn failure(&self) -> &Failure {
        &self.0.failure
    }

    /// The answer, if there is one that says no.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.0.failure {
            Failure::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The answer's status, if there is one that says no.
    pub fn status(&self) -> Option<StatusCode> {
        self.refusal().map(|refusal| refusal.status)
    }

    /// The first code of the answer that the specification knows.
    pub fn code(&self) -> Option<ErrorCode> {
        self.refusal().and_then(Refusal::code)
    }

    /// How long to wait before it is asked again, where the registry says so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal().and_then(|refusal| refusal.retry_after)
    }

    /// Whether the same may go well later: no answer, or one that speaks of a passing state.
    pub fn is_passing(&self) -> bool {
        match &self.0.failure {
            // What is no HTTP, and a body of one's own that fails, stay as they are.
            Failure::Transport(error) => {
                !matches!(error.kind(), TransportErrorKind::Protocol | TransportErrorKind::Body)
            }
            Failure::Refused(refusal) => is_passing_status(refusal.status),
            _ => false,
        }
    }

    /// Whether the registry says that what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }
}

impl Refusal {
    /// The first code that the specification knows.
    pub fn code(&self) -> Option<ErrorCode> {
        self.problems.iter().find_map(|problem| problem.code)
    }
}

/// 408, 425, 429 and the server's own faults, except those that a second try does not change.
pub(super) fn is_passing_status(status: StatusCode) -> bool {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED | StatusCode::INSUFFICIENT_STORAGE => {
            false
        }
        status => status.is_server_error(),
    }
}

fn without_secrets(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // These fail for addresses that cannot have a user, which have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.operation, self.0.url, self.0.failure)
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.failure {
            Failure::Transport(error) => Some(error),
            Failure::Source(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused(refusal) => refusal.fmt(f),
            Failure::Transport(error) => write!(f, "no answer ({}): {error}", error.kind().as_str()),
            Failure::Answer(cause) => write!(f, "answer is not as it should be: {cause}"),
            Failure::DigestMismatch { expected, actual } => write!(f, "content has digest {actual}, not {expected}"),
            Failure::TooLarge { limit_bytes } => write!(f, "answer is over {limit_bytes} bytes"),
            Failure::Credentials(cause) => write!(f, "credentials: {cause}"),
            Failure::Source(error) => write!(f, "what is to be pushed cannot be read: {error}"),
            Failure::Unsupported(what) => write!(f, "{what} is not supported"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "registry answered {}", self.status.as_u16())?;
        for problem in &self.problems {
            write!(f, ", {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.is_empty() {
            true => f.write_str(&self.raw_code),
            false => write!(f, "{}: {}", self.raw_code, self.message),
        }
    }
}
