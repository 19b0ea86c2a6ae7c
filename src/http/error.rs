//! The only place that turns a failure into a status and a code.
//!
//! | what happened | status | code | why this code |
//! |---|---|---|---|
//! | path not in the table | 404 | UNSUPPORTED | the list has none for paths; the operation is not offered |
//! | method not offered there | 405 | UNSUPPORTED | |
//! | repository name against the grammar, or refused | 400 | NAME_INVALID | |
//! | repository holds nothing | 404 | NAME_UNKNOWN | |
//! | blob, manifest, upload unknown | 404 | BLOB_UNKNOWN, MANIFEST_UNKNOWN, BLOB_UPLOAD_UNKNOWN | |
//! | upload expired, and is kept for a look | 404 | BLOB_UPLOAD_UNKNOWN | a client starts anew; the detail says when and by which policy |
//! | digest malformed, unsupported or not that of the content | 400 | DIGEST_INVALID | |
//! | manifest not acceptable, or a tag against the grammar | 400 | MANIFEST_INVALID | the list has no code for tags |
//! | manifest names unknown content | 400 | MANIFEST_BLOB_UNKNOWN, one for each digest | as other registries; 404 would be about the path |
//! | manifest too large | 413 | MANIFEST_INVALID | |
//! | blob too large | 413 | SIZE_INVALID | said before its body is read, or when `max_size` strikes |
//! | body shorter or longer than said | 400 | SIZE_INVALID | |
//! | body silent for too long | 408 | BLOB_UPLOAD_INVALID | what came is kept |
//! | a policy ended the upload while its body came | 408 | BLOB_UPLOAD_INVALID | the body was too slow, or its time is up |
//! | body's coding broken, `Content-Range` unreadable | 400 | BLOB_UPLOAD_INVALID | |
//! | bytes do not go where the upload stands, or a range cannot be served | 416 | BLOB_UPLOAD_INVALID | |
//! | tag is not where `If-Match` or `If-None-Match` says | 412 | MANIFEST_INVALID | it is this push of a manifest that is not valid now |
//! | a newer request took the upload over | 409 | BLOB_UPLOAD_INVALID | the upload lives, this request of it has ended |
//! | upload busy, too much at once, a limit on uploads reached | 429 | TOOMANYREQUESTS | with `Retry-After` |
//! | query parameter unreadable, operation not offered | 400 | UNSUPPORTED | |
//! | storage full, or so nearly that no new upload is taken | 507 | UNKNOWN | the list has none for it; the message says what |
//! | registry cannot answer now | 503 | UNKNOWN | with `Retry-After` |
//! | registry's own fault | 500 | UNKNOWN | |
//!
//! (What is the admin address's own is in `error/admin.rs`.)
//!
//! Source: distribution-spec, "Error Codes". Its list is closed; `UNKNOWN` is what every registry
//! answers with when the fault is its own.

mod admin;
mod services;

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
    /// See [`ApiError::has_nothing_to_go_on_with`].
    is_last_word: bool,
}

impl ApiError {
    fn new(status: StatusCode, code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        ApiError {
            status,
            code,
            message: message.into(),
            details: Vec::new(),
            headers: Vec::new(),
            cause: None,
            is_last_word: false,
        }
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

    fn last_word(mut self) -> Self {
        self.is_last_word = true;
        self
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

    /// Whether a client gains nothing by hearing where its upload stands: there is none any more, or asking would cost
    /// the registry what it just refused to give.
    pub(super) fn has_nothing_to_go_on_with(&self) -> bool {
        self.is_last_word
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
