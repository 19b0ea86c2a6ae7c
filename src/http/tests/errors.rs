use std::time::Duration;

use serde_json::json;

use super::*;
use crate::http::fake::digest_of;
use crate::oci::{Digest, DigestError, ErrorCode};
use crate::registry::RegistryError;

/// What a service says, and what the client gets of it.
type Case = (fn(Digest) -> RegistryError, u16, &'static str);

#[tokio::test]
async fn every_failure_of_a_service_has_its_status_and_code() {
    let server = start(patient());
    let table: [Case; 26] = [
        (|_| RegistryError::NameUnknown, 404, "NAME_UNKNOWN"),
        (|_| RegistryError::NameRefused, 400, "NAME_INVALID"),
        (RegistryError::BlobUnknown, 404, "BLOB_UNKNOWN"),
        (|_| RegistryError::ManifestUnknown("v1".into()), 404, "MANIFEST_UNKNOWN"),
        (|_| RegistryError::ManifestInvalid("no".into()), 400, "MANIFEST_INVALID"),
        (|digest| RegistryError::ManifestBlobUnknown(vec![digest]), 400, "MANIFEST_BLOB_UNKNOWN"),
        (|_| RegistryError::ManifestTooLarge { limit_bytes: 1 }, 413, "MANIFEST_INVALID"),
        (|digest| RegistryError::DigestMismatch { expected: digest.clone(), actual: digest }, 400, "DIGEST_INVALID"),
        (|_| RegistryError::DigestInvalid(DigestError::Malformed), 400, "DIGEST_INVALID"),
        (
            |digest| RegistryError::PreconditionFailed { tag: "v1".parse().unwrap(), current: Some(digest) },
            412,
            "MANIFEST_INVALID",
        ),
        (|_| RegistryError::UploadUnknown, 404, "BLOB_UPLOAD_UNKNOWN"),
        (|_| RegistryError::UploadExpired { policy: "max_age", at: std::time::UNIX_EPOCH }, 404, "BLOB_UPLOAD_UNKNOWN"),
        (|_| RegistryError::PolicyStruck { policy: "min_rate" }, 408, "BLOB_UPLOAD_INVALID"),
        (|_| RegistryError::PolicyStruck { policy: "max_size" }, 413, "SIZE_INVALID"),
        (
            |_| RegistryError::OverLimit {
                limit: "max_open".into(),
                value: 3,
                retry_after: Duration::from_millis(1001),
            },
            429,
            "TOOMANYREQUESTS",
        ),
        (|_| RegistryError::StorageLow, 507, "UNKNOWN"),
        (|_| RegistryError::RangeNotSatisfiable { offset: 5 }, 416, "BLOB_UPLOAD_INVALID"),
        (|_| RegistryError::SizeInvalid { offset: 5 }, 400, "SIZE_INVALID"),
        (|_| RegistryError::TooLarge { limit_bytes: 1 }, 413, "SIZE_INVALID"),
        (|_| RegistryError::Busy { retry_after: Duration::from_millis(1500) }, 429, "TOOMANYREQUESTS"),
        (|_| RegistryError::Superseded, 409, "BLOB_UPLOAD_INVALID"),
        (|_| RegistryError::Unsupported("this".into()), 400, "UNSUPPORTED"),
        (|_| RegistryError::StorageFull, 507, "UNKNOWN"),
        (|_| RegistryError::Unavailable("/secret/path".into()), 503, "UNKNOWN"),
        (|_| RegistryError::Internal("/secret/path".into()), 500, "UNKNOWN"),
        (
            |_| RegistryError::Remote {
                code: ErrorCode::Denied,
                message: "no".into(),
                retry_after: None,
                source: None,
            },
            403,
            "DENIED",
        ),
    ];
    for (error, status, code) in table {
        server.registry.fail_with(move || error(digest_of(b"x")));
        let reply = server.ask("GET", "/v2/a/tags/list", "").await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{reply:?}");
        assert!(reply.header("x-request-id").is_some(), "{reply:?}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("docker-distribution-api-version"), Some("registry/2.0"));
        assert!(!reply.body.contains("secret"), "{reply:?}");
        let retry = reply.header("retry-after");
        match status {
            429 => assert_eq!(retry, Some("2")),
            503 => assert!(retry.is_some()),
            _ => assert_eq!(retry, None),
        }
        let head = server.ask("HEAD", "/v2/a/tags/list", "").await;
        assert_eq!((head.status, head.body.as_str()), (status, ""), "{head:?}");
    }
}

/// What an operator's policy did is told in the detail, so that who looks at the client's log understands it.
#[tokio::test]
async fn policies_are_named_in_the_detail() {
    type Told = (fn() -> RegistryError, &'static str, serde_json::Value);
    let server = start(patient());
    let table: [Told; 6] = [
        (
            || RegistryError::UploadExpired { policy: "max_age", at: std::time::UNIX_EPOCH },
            "upload expired by max_age",
            json!({"reason": "expired", "policy": "max_age", "at": "1970-01-01T00:00:00Z"}),
        ),
        (
            || RegistryError::PolicyStruck { policy: "min_rate" },
            "upload was ended by min_rate",
            json!({"reason": "expired", "policy": "min_rate"}),
        ),
        (
            || RegistryError::PolicyStruck { policy: "max_size" },
            "upload was ended by max_size",
            json!({"reason": "expired", "policy": "max_size"}),
        ),
        (
            || RegistryError::OverLimit { limit: "max_open".into(), value: 3, retry_after: Duration::from_secs(1) },
            "limit of uploads is reached: max_open 3",
            json!({"limit": "max_open", "value": 3}),
        ),
        (|| RegistryError::TooLarge { limit_bytes: 7 }, "content is over 7 bytes", json!({"limit_bytes": 7})),
        (|| RegistryError::StorageLow, "storage is nearly full, no new upload is taken", json!({})),
    ];
    for (error, message, detail) in table {
        server.registry.fail_with(error);
        let reply = server.ask("GET", "/v2/a/tags/list", "").await;
        let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        let entry = &body["errors"][0];
        assert_eq!((entry["message"].as_str(), &entry["detail"]), (Some(message), &detail), "{reply:?}");
    }
}

#[tokio::test]
async fn what_no_route_takes_is_answered_in_the_same_form() {
    let server = start(patient());
    for path in ["/", "/v1/", "/v2/a", "/favicon.ico", "/v2/a/b/c"] {
        let reply = server.ask("GET", path, "").await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "UNSUPPORTED"), "{path}");
        assert!(reply.header("x-request-id").is_some());
    }
    let digest = digest_of(b"");
    for (method, path, allow) in [
        ("POST", "/v2/".to_string(), "GET, HEAD"),
        ("DELETE", "/v2/a/tags/list".to_string(), "GET, HEAD"),
        ("PUT", format!("/v2/a/blobs/{digest}"), "GET, HEAD, DELETE"),
        ("POST", "/v2/a/manifests/v1".to_string(), "GET, HEAD, PUT, DELETE"),
        ("GET", "/v2/a/blobs/uploads/".to_string(), "POST"),
        ("OPTIONS", "/v2/a/tags/list".to_string(), "GET, HEAD"),
        ("BREW", "/v2/a/tags/list".to_string(), "GET, HEAD"),
    ] {
        let reply = server.ask(method, &path, "").await;
        assert_eq!((reply.status, reply.code().as_str()), (405, "UNSUPPORTED"), "{method} {path}");
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
    }
}

#[tokio::test]
async fn a_sane_request_id_is_taken_over() {
    let server = start(patient());
    let reply = server.ask("GET", "/v2/", "X-Request-Id: from-the-proxy-7\r\n").await;
    assert_eq!(reply.header("x-request-id"), Some("from-the-proxy-7"));
    let reply = server.ask("GET", "/v2/", "X-Request-Id: a b\r\n").await;
    assert_ne!(reply.header("x-request-id"), Some("a b"));
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let server = start(patient());
    server.ask("GET", "/v2/a/tags/list", "").await;
    server.ask("GET", "/v2/b/tags/list", "").await;
    server.ask("GET", "/nowhere/at/all", "").await;
    let metrics = server.metrics.clone();
    server.server.stop(PATIENCE).await;
    let count = |route, status| {
        let labels = crate::telemetry::RequestLabels { route, method: "GET", status };
        metrics.http_requests.get_or_create(&labels).get()
    };
    assert_eq!(count("tags", 200), 2);
    assert_eq!(count("unmatched", 404), 1);
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused() {
    let server = start(patient());
    let reply = server.ask("GET", "/v2/", &format!("X-Big: {}\r\n", "a".repeat(70_000))).await;
    assert_eq!((reply.status, reply.code().as_str()), (431, "SIZE_INVALID"));
    let text = server.converse(format!("GET /v2/ HTTP/1.1\r\nX-Big: {}", "a".repeat(300_000))).await;
    assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
}
