use serde_json::json;

use super::*;
use crate::telemetry::RequestLabels;
use crate::upload::{ScanFinding, SortUploads, UploadState};

#[tokio::test]
async fn uploads_are_listed_as_they_were_asked_for() {
    let server = started(patient());
    let id = UploadId::random();
    server.control.uploads.lock().unwrap().extend([full_upload("a/b", id), bare_upload("c", id)]);
    let query = "repository=a/b&client=2001:db8::7&state=writing,expired&sort=deadline&order=desc&limit=7&after=x%3D";
    let reply = server.ask("GET", &format!("/admin/v1/uploads?{query}"), "").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let asked = server.control.lists.lock().unwrap().pop().unwrap();
    assert_eq!(
        asked,
        ListUploads {
            repository: Some("a/b".parse().unwrap()),
            client: Some("2001:db8::7".parse().unwrap()),
            states: vec![UploadState::Writing, UploadState::Expired],
            sort: SortUploads::Deadline,
            descending: true,
            limit: 7,
            after: Some("x=".into()),
        }
    );
    let page = reply.json();
    assert_eq!((&page["total"], &page["next"]), (&json!(2), &json!("more")));
    assert_eq!(
        page["uploads"][0],
        json!({
            "repository": "a/b",
            "id": id.to_string(),
            "state": "expired",
            "offset_bytes": 5_000_000_000_u64,
            "started_at": "2026-01-02T03:04:05Z",
            "progress_at": "2026-01-02T03:05:05Z",
            "rate_bytes_per_second": 1000,
            "client": "2001:db8::7",
            "deadline": {"at": "2026-01-03T03:04:05Z", "policy": "operator"},
            "expired": {
                "at": "2026-01-02T03:06:05Z",
                "policy": "min_rate",
                "kept_until": "2026-01-03T03:06:05Z",
                "kept_bytes": 77,
            },
        })
    );
    assert_eq!(page["uploads"][1]["client"], Value::Null);
    let head = server.ask("HEAD", "/admin/v1/uploads", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn one_upload_is_found_by_its_id_and_named_by_its_repository_when_there_are_two() {
    let server = started(patient());
    let (id, twin) = (UploadId::random(), UploadId::random());
    let uploads = [full_upload("a", id), full_upload("b", twin), bare_upload("c/d", twin)];
    server.control.uploads.lock().unwrap().extend(uploads);
    let found = server.ask("GET", &format!("/admin/v1/uploads/{id}"), "").await;
    assert_eq!((found.status, &found.json()["repository"]), (200, &json!("a")));
    let several = server.ask("GET", &format!("/admin/v1/uploads/{twin}"), "").await;
    assert_eq!((several.status, several.code().as_str()), (409, "BLOB_UPLOAD_INVALID"));
    assert_eq!(several.json()["errors"][0]["detail"]["repositories"], json!(["b", "c/d"]));
    let named = server.ask("GET", &format!("/admin/v1/uploads/{twin}?repository=c%2Fd"), "").await;
    assert_eq!((named.status, &named.json()["repository"]), (200, &json!("c/d")));
    for path in
        [UploadId::random().to_string(), "nonsense".into(), format!("{id}?repository=b"), id.to_string().to_uppercase()]
    {
        let reply = server.ask("GET", &format!("/admin/v1/uploads/{path}"), "").await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"), "{path}");
    }
}

#[tokio::test]
async fn uploads_are_cancelled_and_expired() {
    let server = started(patient());
    let (id, twin) = (UploadId::random(), UploadId::random());
    let uploads = [full_upload("a", id), full_upload("b", twin), full_upload("c", twin)];
    server.control.uploads.lock().unwrap().extend(uploads);
    for call in ["cancel", "expire"] {
        for body in ["{}", ""] {
            let reply = server.post(&format!("/admin/v1/uploads/{id}/{call}"), body).await;
            let ended = json!({"repository": "a", "id": id.to_string(), "offset_bytes": 5_000_000_000_u64});
            assert_eq!((reply.status, reply.json()), (200, ended));
        }
        let named = server.post(&format!("/admin/v1/uploads/{twin}/{call}?repository=c"), "{}").await;
        assert_eq!(named.json()["repository"], "c");
        let expected = [format!("{call} a {id}"), format!("{call} a {id}"), format!("{call} c {twin}")];
        assert_eq!(server.control.take_calls(), expected);
        for (path, status) in [
            (format!("{twin}/{call}"), 409),
            (format!("{}/{call}", UploadId::random()), 404),
            (format!("{id}/{call}?repository=b"), 404),
            (format!("{id}/{call}?repo=a"), 400),
        ] {
            assert_eq!(server.post(&format!("/admin/v1/uploads/{path}"), "{}").await.status, status, "{path}");
        }
        assert_eq!(server.post(&format!("/admin/v1/uploads/{id}/{call}"), "{\"force\":true}").await.status, 400);
        assert!(server.control.take_calls().is_empty());
    }
    server.server.stop(PATIENCE).await;
    let route = "admin/v1/uploads/{id}/cancel";
    let labels = RequestLabels { route, method: "POST", status: 200 };
    assert_eq!(server.metrics.http_requests.get_or_create(&labels).get(), 3);
}

#[tokio::test]
async fn scans_are_begun_and_told_of() {
    let server = started(patient());
    let none = server.ask("GET", "/admin/v1/scan", "").await;
    assert_eq!((none.status, &none.json()["started_at"]), (200, &Value::Null));
    let at = std::time::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
    let finding = ScanFinding {
        repository: "a/b".parse().unwrap(),
        name: "left".into(),
        bytes: 9,
        progress_at: Some(at),
        reason: "leftover".into(),
    };
    *server.control.report.lock().unwrap() = ScanReport {
        is_running: true,
        started_at: Some(at),
        repositories: 1,
        uploads: 2,
        adopted: 3,
        removed: 4,
        removed_bytes: 5,
        failed: 6,
        findings: vec![finding],
        ..ScanReport::default()
    };
    let begun = server.post("/admin/v1/scan", "{\"dry_run\":true}").await;
    assert_eq!(begun.status, 202);
    assert_eq!(
        begun.json(),
        json!({
            "running": true, "dry_run": true, "started_at": "2026-01-02T03:04:05Z", "finished_at": null,
            "repositories": 1, "uploads": 2, "adopted": 3, "removed": 4, "removed_bytes": 5, "failed": 6,
            "findings": [{
                "repository": "a/b", "name": "left", "bytes": 9, "progress_at": "2026-01-02T03:04:05Z",
                "reason": "leftover",
            }],
        })
    );
    assert_eq!(server.ask("GET", "/admin/v1/scan", "").await.json(), begun.json());
    assert_eq!(server.post("/admin/v1/scan", "{\"dry_run\":false}").await.status, 202);
    assert_eq!(server.control.take_calls(), ["scan true", "scan false"]);
    for body in ["", "{}", "{\"dry_run\":\"yes\"}", "[true]", "{\"dry_run\":true,\"x\":1}"] {
        let reply = server.post("/admin/v1/scan", body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "UNSUPPORTED"), "{body}");
    }
    assert!(server.control.take_calls().is_empty());
}

#[tokio::test]
async fn a_reload_tells_what_took_effect() {
    let server = started(patient());
    let reply = server.post("/admin/v1/reload", "{}").await;
    let told = json!({"changed": ["uploads.max_age"], "needs_restart": ["http.addr"]});
    assert_eq!((reply.status, reply.json()), (200, told));
    server.control.fail_with(ControlError::Refused("uploads.max_memory: is less than 8MiB".into()));
    let refused = server.post("/admin/v1/reload", "").await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "UNSUPPORTED"));
    assert_eq!(refused.json()["errors"][0]["message"], "uploads.max_memory: is less than 8MiB");
}

#[tokio::test]
async fn every_failure_of_the_control_has_its_status_and_code() {
    let server = started(patient());
    for (failure, status, code) in [
        (ControlError::Unknown, 404, "BLOB_UPLOAD_UNKNOWN"),
        (ControlError::Busy, 409, "BLOB_UPLOAD_INVALID"),
        (ControlError::BadToken, 400, "UNSUPPORTED"),
        (ControlError::Refused("no".into()), 422, "UNSUPPORTED"),
        (ControlError::Failed("/secret/path".into()), 500, "UNKNOWN"),
    ] {
        server.control.fail_with(failure);
        let reply = server.ask("GET", "/admin/v1/uploads?after=x", "").await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{reply:?}");
        assert!(!reply.body.contains("secret"), "{reply:?}");
    }
}

#[tokio::test]
async fn what_is_not_in_the_table_is_refused() {
    let server = started(patient());
    for (method, path, status, allow) in [
        ("GET", "/admin", 404, None),
        ("GET", "/admin/v1/", 404, None),
        ("GET", "/admin/v2/uploads", 404, None),
        ("GET", "/admin/v1/uploads/", 404, None),
        ("GET", "/admin/v1//uploads", 404, None),
        ("DELETE", "/admin/v1/uploads/x", 405, Some("GET, HEAD")),
        ("GET", "/admin/v1/uploads/x/cancel", 405, Some("POST")),
        ("PUT", "/admin/v1/scan", 405, Some("POST, GET, HEAD")),
        ("OPTIONS", "/admin/v1/reload", 405, Some("POST")),
    ] {
        let reply = server.ask(method, path, "").await;
        assert_eq!((reply.status, reply.header("allow")), (status, allow), "{method} {path}");
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
}
