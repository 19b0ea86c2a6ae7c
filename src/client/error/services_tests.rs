use serde_json::{Value, json};

use super::*;
use crate::client::Problem;
use crate::client::transport::{TransportError, TransportErrorKind};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const OTHER: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn error(failure: Failure) -> ClientError {
    ClientError::new("test", &"https://registry.example/".parse().unwrap(), failure)
}

fn refused(status: u16, code: &str, detail: Value) -> ClientError {
    let problem = Problem { code: code.parse().ok(), raw_code: code.into(), message: "why".into(), detail };
    let problems = if code.is_empty() { Vec::new() } else { vec![problem] };
    let status = StatusCode::from_u16(status).unwrap();
    error(Failure::Refused(Refusal { status, problems, offset: Some(5), ..Refusal::default() }))
}

#[test]
fn refusals_are_what_the_server_here_means_by_them() {
    let digest: Digest = DIGEST.parse().unwrap();
    let (by_tag, by_digest) = ("v1".parse().unwrap(), DIGEST.parse().unwrap());
    let (blob, manifest) = (Subject::Blob(&digest), Subject::Manifest(&by_tag));
    let commit = Subject::Commit(&digest);
    let of = |subject, status, code, detail| format!("{:?}", refused(status, code, detail).for_service(subject));
    for (told, expected) in [
        (of(blob, 404, "", json!(null)), format!("BlobUnknown({DIGEST})")),
        (of(blob, 404, "BLOB_UNKNOWN", json!(null)), format!("BlobUnknown({DIGEST})")),
        (of(blob, 404, "NAME_UNKNOWN", json!(null)), "NameUnknown".into()),
        (of(manifest, 404, "MANIFEST_UNKNOWN", json!(null)), "ManifestUnknown(\"v1\")".into()),
        (of(manifest, 404, "", json!(null)), "ManifestUnknown(\"v1\")".into()),
        (of(manifest, 404, "NAME_UNKNOWN", json!(null)), "NameUnknown".into()),
        (of(manifest, 400, "MANIFEST_INVALID", json!({})), "ManifestInvalid(\"why\")".into()),
        (
            of(manifest, 413, "MANIFEST_INVALID", json!({"limit_bytes": 7})),
            "ManifestTooLarge { limit_bytes: 7 }".into(),
        ),
        (
            of(manifest, 412, "MANIFEST_INVALID", json!({"tag": "v1", "current": DIGEST})),
            format!("PreconditionFailed {{ tag: Tag(\"v1\"), current: Some({DIGEST}) }}"),
        ),
        (of(manifest, 412, "", json!(null)), "PreconditionFailed { tag: Tag(\"v1\"), current: None }".into()),
        (
            of(manifest, 400, "MANIFEST_BLOB_UNKNOWN", json!({"digest": DIGEST})),
            format!("ManifestBlobUnknown([{DIGEST}])"),
        ),
        (
            of(Subject::Manifest(&by_digest), 400, "DIGEST_INVALID", json!({"actual": OTHER})),
            format!("DigestMismatch {{ expected: {DIGEST}, actual: {OTHER} }}"),
        ),
        (
            of(commit, 400, "DIGEST_INVALID", json!({"expected": DIGEST, "actual": OTHER})),
            format!("DigestMismatch {{ expected: {DIGEST}, actual: {OTHER} }}"),
        ),
        (of(Subject::Upload, 404, "BLOB_UPLOAD_UNKNOWN", json!(null)), "UploadUnknown".into()),
        (of(commit, 404, "", json!(null)), "UploadUnknown".into()),
        (of(Subject::Upload, 404, "BLOB_UPLOAD_INVALID", json!(null)), "UploadUnknown".into()),
        (of(Subject::Upload, 416, "BLOB_UPLOAD_INVALID", json!(null)), "RangeNotSatisfiable { offset: 5 }".into()),
        (of(Subject::Upload, 400, "SIZE_INVALID", json!(null)), "SizeInvalid { offset: 5 }".into()),
        (of(Subject::Upload, 409, "BLOB_UPLOAD_INVALID", json!(null)), "Superseded".into()),
        (of(Subject::Upload, 429, "TOOMANYREQUESTS", json!(null)), "Busy { retry_after: 1s }".into()),
        (
            of(Subject::NewUpload, 429, "TOOMANYREQUESTS", json!({"limit": "max_open", "value": 3})),
            "OverLimit { limit: \"max_open\", value: 3, retry_after: 1s }".into(),
        ),
        (of(Subject::Upload, 413, "SIZE_INVALID", json!({"limit_bytes": 7})), "TooLarge { limit_bytes: 7 }".into()),
        (of(Subject::NewUpload, 507, "UNKNOWN", json!(null)), "StorageLow".into()),
        (of(Subject::Upload, 507, "UNKNOWN", json!(null)), "StorageFull".into()),
        (of(Subject::Repository, 404, "", json!(null)), "NameUnknown".into()),
        (of(Subject::Repository, 400, "NAME_INVALID", json!(null)), "NameRefused".into()),
        (of(Subject::Repository, 405, "", json!(null)), "Unsupported(\"registry answered 405\")".into()),
        (of(Subject::Repository, 503, "", json!(null)), "Unavailable(\"registry answered 503\")".into()),
    ] {
        assert_eq!(told, expected);
    }
}

#[test]
fn what_has_no_variant_keeps_the_clients_error() {
    for (status, code, expected) in [
        (401, "UNAUTHORIZED", ErrorCode::Unauthorized),
        (401, "", ErrorCode::Unauthorized),
        (403, "DENIED", ErrorCode::Denied),
        (403, "", ErrorCode::Denied),
        (400, "QUOTA", ErrorCode::Unknown),
        (413, "", ErrorCode::Unknown),
        (500, "", ErrorCode::Unknown),
    ] {
        let told = refused(status, code, json!(null)).for_service(Subject::Upload);
        let RegistryError::Remote { code: told, source: Some(source), message, .. } = told else {
            panic!("{status} {code}: {told:?}")
        };
        assert_eq!(told, expected, "{status} {code}");
        // A code that the specification has not would be lost otherwise.
        assert_eq!(message.contains(code), code.is_empty() || code == "QUOTA", "{message}");
        let kept = source.downcast_ref::<ClientError>().unwrap();
        assert_eq!(kept.status().map(|status| status.as_u16()), Some(status));
    }
}

#[test]
fn what_never_got_an_answer_is_not_available() {
    let reset = TransportError::new(TransportErrorKind::Reset, "connection reset");
    let told = error(Failure::Transport(reset)).for_service(Subject::Repository);
    assert!(matches!(&told, RegistryError::Unavailable(cause) if cause.contains("connection reset")), "{told:?}");
}
