//! The admin address's own failures.
//!
//! | what happened | status | code | why this code |
//! |---|---|---|---|
//! | token missing or wrong | 401 | UNAUTHORIZED | |
//! | another origin's page asks, or under an unknown host | 403, 421 | DENIED | |
//! | body not JSON, too large, not as it should be | 415, 413, 400 | UNSUPPORTED, SIZE_INVALID, UNSUPPORTED | |
//! | no such upload | 404 | BLOB_UPLOAD_UNKNOWN | |
//! | a commit or scan runs, or an id is not enough | 409 | BLOB_UPLOAD_INVALID | |
//! | configuration wrong, or not possible as asked | 422 | UNSUPPORTED | the message is for the operator |

use actix_web::http::StatusCode;
use actix_web::http::header::WWW_AUTHENTICATE;
use serde_json::json;

use super::ApiError;
use crate::http::admin::ControlError;
use crate::oci::ErrorCode;

impl ApiError {
    /// The token is missing or wrong.
    pub(in crate::http) fn unauthorized() -> Self {
        ApiError::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, ErrorCode::Unauthorized.message())
            .with_header(WWW_AUTHENTICATE, "Bearer realm=\"longshore admin\"")
    }

    /// The name under which it was asked is not one of its own.
    pub(in crate::http) fn host_unknown() -> Self {
        let message = "host is neither an IP address nor localhost, and not in http.admin_hosts";
        ApiError::new(StatusCode::MISDIRECTED_REQUEST, ErrorCode::Denied, message)
    }

    /// A web page of another origin asks.
    pub(in crate::http) fn foreign_origin() -> Self {
        ApiError::new(StatusCode::FORBIDDEN, ErrorCode::Denied, "requests of other origins are refused")
    }

    /// A body of another type.
    pub(in crate::http) fn not_json() -> Self {
        let message = "content-type is not application/json";
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::Unsupported, message)
    }

    /// A body that is longer than any that is asked for.
    pub(in crate::http) fn body_too_large(limit_bytes: u64) -> Self {
        let message = format!("body is over {limit_bytes} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message)
            .with_detail(json!({"limit_bytes": limit_bytes}))
    }

    /// An `after` that is the `next` of no page.
    pub(in crate::http) fn bad_page_token() -> Self {
        ApiError::parameter("after", "is not the next of a page")
    }

    /// An id that stands for uploads of several repositories.
    pub(in crate::http) fn several_uploads<'a>(repositories: impl Iterator<Item = &'a str>) -> Self {
        let message = "uploads of several repositories have this id; say which by the query parameter repository";
        ApiError::new(StatusCode::CONFLICT, ErrorCode::BlobUploadInvalid, message)
            .with_detail(json!({"repositories": repositories.collect::<Vec<_>>()}))
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        let message = error.to_string();
        match error {
            ControlError::Unknown => ApiError::new(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, message),
            ControlError::Busy => ApiError::new(StatusCode::CONFLICT, ErrorCode::BlobUploadInvalid, message),
            ControlError::BadToken => ApiError::bad_page_token(),
            ControlError::Refused(_) => {
                ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::Unsupported, message)
            }
            ControlError::Failed(_) => ApiError::internal(message),
        }
    }
}
