//! The only place that turns a failure into a status and a code.
//!
//! | what happened | status | code | why this code |
//! |---|---|---|---|
//! | path not in the table | 404 | UNSUPPORTED | the list has none for paths; the operation is not offered |
//! | method not offered there | 405 | UNSUPPORTED | |
//! | repository name against the grammar, or refused | 400 | NAME_INVALID | |
//! | repository holds nothing | 404 | NAME_UNKNOWN | |
//! | blob, manifest, upload unknown | 404 | BLOB_UNKNOWN, MANIFEST_UNKNOWN, BLOB_UPLOAD_UNKNOWN | |
//! | digest malformed, unsupported or not that of the content | 400 | DIGEST_INVALID | |
//! | manifest not acceptable, or a tag against the grammar | 400 | MANIFEST_INVALID | the list has no code for tags |
//! | manifest names unknown content | 400 | MANIFEST_BLOB_UNKNOWN, one for each digest | as other registries; 404 would be about the path |
//! | manifest too large | 413 | MANIFEST_INVALID | |
//! | blob too large | 413 | SIZE_INVALID | |
//! | body shorter or longer than said | 400 | SIZE_INVALID | |
//! | body silent for too long | 408 | BLOB_UPLOAD_INVALID | |
//! | body's coding broken, `Content-Range` unreadable | 400 | BLOB_UPLOAD_INVALID | |
//! | bytes do not go where the upload stands, or a range cannot be served | 416 | BLOB_UPLOAD_INVALID | |
//! | tag is not where `If-Match` or `If-None-Match` says | 412 | MANIFEST_INVALID | it is this push of a manifest that is not valid now |
//! | a newer request took the upload over | 409 | BLOB_UPLOAD_INVALID | the upload lives, this request of it has ended |
//! | upload busy, too much at once | 429 | TOOMANYREQUESTS | with `Retry-After` |
//! | query parameter unreadable, operation not offered | 400 | UNSUPPORTED | |
//! | storage full | 507 | UNKNOWN | |
//! | registry cannot answer now | 503 | UNKNOWN | with `Retry-After` |
//! | registry's own fault | 500 | UNKNOWN | |
//!
//! Source: distribution-spec, "Error Codes". Its list is closed; `UNKNOWN` is what every registry
//! answers with when the fault is its own.

use std::borrow::Cow;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};

use super::body::BodyError;
use crate::oci::{DigestError, ErrorCode, ReferenceError};
use crate::registry::RegistryError;

/// How long a client is asked to wait when the registry cannot answer now.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(5);

/// A failure as a client gets to see it. Nothing internal is in it but `cause`, which is only logged.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: ErrorCode,
    message: Cow<'static, str>,
    details: Vec<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
}

impl ApiError {
    fn new(status: StatusCode, code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        ApiError { status, code, message: message.into(), details: Vec::new(), headers: Vec::new(), cause: None }
    }

    pub(super) fn not_found() -> Self {
        ApiError::new(StatusCode::NOT_FOUND, ErrorCode::Unsupported, "there is nothing under this path")
    }

    pub(super) fn method_not_allowed(allowed: &[actix_web::http::Method]) -> Self {
        let allowed: Vec<&str> = allowed.iter().map(|method| method.as_str()).collect();
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, "the method is not offered here")
            .with_header(ALLOW, &allowed.join(", "))
    }

    pub(super) fn name_invalid(message: impl Into<Cow<'static, str>>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::NameInvalid, message)
    }

    pub(super) fn headers_too_large(limit_bytes: usize) -> Self {
        ApiError::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            ErrorCode::SizeInvalid,
            format!("request head is over {limit_bytes} bytes"),
        )
    }

    /// A request that came after the one whose answer closes the connection.
    pub(super) fn connection_closing() -> Self {
        ApiError::unsupported("the connection is closing, nothing was done for this request")
    }

    pub(super) fn too_many_requests() -> Self {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, "too many requests on one connection")
            .with_retry_after(Duration::from_secs(1))
    }

    /// A parameter of the query that cannot be read.
    pub(super) fn parameter(name: &str, problem: &str) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, format!("query parameter {name} {problem}"))
    }

    pub(super) fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message)
    }

    pub(super) fn digest_missing() -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, "query parameter digest is missing")
    }

    pub(super) fn upload_unknown() -> Self {
        RegistryError::UploadUnknown.into()
    }

    pub(super) fn upload_invalid(message: impl Into<Cow<'static, str>>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid, message)
    }

    /// A body that is said to be longer than its own range.
    pub(super) fn longer_than_range(length: u64) -> Self {
        let message = format!("body is longer than the {length} bytes of its content-range");
        ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid, message)
    }

    pub(super) fn manifest_invalid(message: impl Into<Cow<'static, str>>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, message)
    }

    pub(super) fn manifest_unknown(reference: &str) -> Self {
        RegistryError::ManifestUnknown(reference.into()).into()
    }

    pub(super) fn too_many_tags(limit: usize) -> Self {
        ApiError::new(StatusCode::URI_TOO_LONG, ErrorCode::ManifestInvalid, format!("more than {limit} tags at once"))
    }

    /// A range of a blob that it does not have.
    pub(super) fn range_not_satisfiable(size_bytes: u64) -> Self {
        ApiError::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            ErrorCode::BlobUploadInvalid,
            format!("range is outside of the blob's {size_bytes} bytes"),
        )
        .with_header(actix_web::http::header::CONTENT_RANGE, &format!("bytes */{size_bytes}"))
    }

    /// For the admin address only.
    pub(super) fn unauthorized() -> Self {
        ApiError::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, ErrorCode::Unauthorized.message())
            .with_header(actix_web::http::header::WWW_AUTHENTICATE, "Bearer realm=\"longshore admin\"")
    }

    /// The registry cannot answer now; `cause` is for the log.
    pub(super) fn unavailable(message: &'static str, cause: Option<String>) -> Self {
        let mut error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unknown, message)
            .with_retry_after(UNAVAILABLE_RETRY);
        error.cause = cause;
        error
    }

    /// The registry's own fault; `cause` is for the log.
    pub(super) fn internal(cause: impl Into<String>) -> Self {
        let mut error =
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown, ErrorCode::Unknown.message());
        error.cause = Some(cause.into());
        error
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        // A value that cannot stand in a header is left out: the answer is worth more than the header.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    fn with_retry_after(self, after: Duration) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        self.with_header(RETRY_AFTER, &seconds.max(1).to_string())
    }

    fn with_detail(mut self, detail: Value) -> Self {
        self.details.push(detail);
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn code(&self) -> ErrorCode {
        self.code
    }

    /// What is only for the log.
    pub(super) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    pub(super) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// The body of the answer: `{"errors":[{"code","message","detail"}]}`.
    pub(super) fn body(&self) -> Value {
        let entry = |detail: &Value| json!({"code": self.code.as_str(), "message": self.message, "detail": detail});
        let entries: Vec<Value> = match self.details.as_slice() {
            [] => vec![entry(&json!({}))],
            details => details.iter().map(entry).collect(),
        };
        json!({ "errors": entries })
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        let message = error.to_string();
        match error {
            RegistryError::NameUnknown => ApiError::new(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, message),
            RegistryError::NameRefused => ApiError::name_invalid(message),
            RegistryError::BlobUnknown(digest) => ApiError::new(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown, message)
                .with_detail(json!({"digest": digest})),
            RegistryError::ManifestUnknown(reference) => {
                ApiError::new(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown, message)
                    .with_detail(json!({"reference": reference}))
            }
            RegistryError::ManifestInvalid(_) => ApiError::manifest_invalid(message),
            RegistryError::ManifestBlobUnknown(digests) => ApiError {
                details: digests.iter().map(|digest| json!({"digest": digest})).collect(),
                ..ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestBlobUnknown, message)
            },
            RegistryError::ManifestTooLarge { limit_bytes } => {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::ManifestInvalid, message)
                    .with_detail(json!({"limit_bytes": limit_bytes}))
            }
            RegistryError::DigestMismatch { expected, actual } => {
                ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, message)
                    .with_detail(json!({"expected": expected, "actual": actual}))
            }
            RegistryError::DigestInvalid(cause) => cause.into(),
            RegistryError::PreconditionFailed { tag, current } => {
                ApiError::new(StatusCode::PRECONDITION_FAILED, ErrorCode::ManifestInvalid, message)
                    .with_detail(json!({"tag": tag.as_str(), "current": current}))
            }
            RegistryError::UploadUnknown => ApiError::new(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, message),
            RegistryError::RangeNotSatisfiable { offset } => {
                ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::BlobUploadInvalid, message)
                    .with_detail(json!({"offset": offset}))
            }
            RegistryError::SizeInvalid { offset } => {
                ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid, message)
                    .with_detail(json!({"offset": offset}))
            }
            RegistryError::TooLarge { limit_bytes } => {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message)
                    .with_detail(json!({"limit_bytes": limit_bytes}))
            }
            RegistryError::Busy { retry_after } => {
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, message)
                    .with_retry_after(retry_after)
            }
            RegistryError::Superseded => ApiError::new(StatusCode::CONFLICT, ErrorCode::BlobUploadInvalid, message),
            RegistryError::Unsupported(_) => ApiError::unsupported(message),
            RegistryError::StorageFull => {
                let mut error = ApiError::new(StatusCode::INSUFFICIENT_STORAGE, ErrorCode::Unknown, message);
                error.cause = Some("storage is full".into());
                error
            }
            RegistryError::Unavailable(_) => {
                ApiError::unavailable("registry is not available, try again", Some(message))
            }
            RegistryError::Internal(_) => ApiError::internal(message),
            RegistryError::Remote { code, message } => ApiError::new(remote_status(code), code, message),
        }
    }
}

impl From<DigestError> for ApiError {
    fn from(error: DigestError) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, error.to_string())
    }
}

impl From<ReferenceError> for ApiError {
    fn from(error: ReferenceError) -> Self {
        match error {
            ReferenceError::InvalidDigest(cause) => cause.into(),
            ReferenceError::InvalidTag => ApiError::manifest_invalid(error.to_string()),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let message = error.to_string();
        match error {
            BodyError::Cut => ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid, message),
            BodyError::Silent => ApiError::new(StatusCode::REQUEST_TIMEOUT, ErrorCode::BlobUploadInvalid, message),
            BodyError::Malformed => ApiError::upload_invalid(message),
        }
    }
}

/// A registry behind this one answered with `code`; the status is the one that goes with it.
fn remote_status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BlobUnknown
        | ErrorCode::BlobUploadUnknown
        | ErrorCode::ManifestBlobUnknown
        | ErrorCode::ManifestUnknown
        | ErrorCode::NameUnknown => StatusCode::NOT_FOUND,
        ErrorCode::BlobUploadInvalid
        | ErrorCode::DigestInvalid
        | ErrorCode::ManifestInvalid
        | ErrorCode::NameInvalid
        | ErrorCode::SizeInvalid
        | ErrorCode::Unsupported => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::Denied => StatusCode::FORBIDDEN,
        ErrorCode::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unknown => StatusCode::BAD_GATEWAY,
    }
}
