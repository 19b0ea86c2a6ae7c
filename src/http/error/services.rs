//! What the services of the registry answer when they cannot do what was asked.

use actix_web::http::StatusCode;
use serde_json::json;

use super::ApiError;
use crate::http::timestamp::rfc_3339;
use crate::oci::ErrorCode;
use crate::registry::RegistryError;

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
            RegistryError::UploadUnknown => {
                ApiError::new(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, message).last_word()
            }
            RegistryError::UploadExpired { policy, at } => {
                ApiError::new(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, message)
                    .with_detail(json!({"reason": "expired", "policy": policy, "at": rfc_3339(at)}))
                    .last_word()
            }
            RegistryError::PolicyStruck { policy: policy @ "max_size" } => {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message)
                    .with_detail(json!({"reason": "expired", "policy": policy}))
                    .last_word()
            }
            RegistryError::PolicyStruck { policy } => {
                ApiError::new(StatusCode::REQUEST_TIMEOUT, ErrorCode::BlobUploadInvalid, message)
                    .with_detail(json!({"reason": "expired", "policy": policy}))
                    .last_word()
            }
            RegistryError::OverLimit { limit, value, retry_after } => {
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, message)
                    .with_detail(json!({"limit": limit, "value": value}))
                    .with_retry_after(retry_after)
                    .last_word()
            }
            RegistryError::StorageLow => {
                ApiError::new(StatusCode::INSUFFICIENT_STORAGE, ErrorCode::Unknown, message).last_word()
            }
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
            RegistryError::Remote { code, message, retry_after, .. } => {
                let error = ApiError::new(remote_status(code), code, message);
                match retry_after {
                    Some(retry_after) => error.with_retry_after(retry_after),
                    None => error,
                }
            }
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
