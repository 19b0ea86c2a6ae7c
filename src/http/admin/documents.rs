//! Uploads and scans as JSON; `openapi.json` describes the same.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::control::Reloaded;
use crate::http::timestamp::rfc_3339;
use crate::upload::{ScanFinding, ScanReport, UploadPage, UploadView};

pub(super) fn page(page: &UploadPage) -> Value {
    let uploads: Vec<Value> = page.uploads.iter().map(upload).collect();
    json!({"uploads": uploads, "total": page.total, "next": page.next})
}

pub(super) fn upload(view: &UploadView) -> Value {
    let deadline = view.deadline.map(|(at, policy)| json!({"at": rfc_3339(at), "policy": policy.as_str()}));
    let expired = view.expired.map(|expired| {
        json!({
            "at": rfc_3339(expired.at),
            "policy": expired.policy.as_str(),
            "kept_until": rfc_3339(expired.kept_until),
            "kept_bytes": expired.kept_bytes,
        })
    });
    json!({
        "repository": view.repository.as_str(),
        "id": view.id.to_string(),
        "state": view.state.as_str(),
        "offset_bytes": view.offset,
        "started_at": rfc_3339(view.started_at),
        "progress_at": rfc_3339(view.progress_at),
        "rate_bytes_per_second": view.rate,
        "client": view.client.map(|client| client.to_string()),
        "deadline": deadline,
        "expired": expired,
    })
}

/// What is told of an upload that was ended.
pub(super) fn ended(view: &UploadView) -> Value {
    json!({"repository": view.repository.as_str(), "id": view.id.to_string(), "offset_bytes": view.offset})
}

pub(super) fn report(report: &ScanReport) -> Value {
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    json!({
        "running": report.is_running,
        "dry_run": report.is_dry_run,
        "started_at": time(report.started_at),
        "finished_at": time(report.finished_at),
        "repositories": report.repositories,
        "uploads": report.uploads,
        "adopted": report.adopted,
        "removed": report.removed,
        "removed_bytes": report.removed_bytes,
        "failed": report.failed,
        "findings": findings,
    })
}

fn finding(finding: &ScanFinding) -> Value {
    json!({
        "repository": finding.repository.as_str(),
        "name": finding.name,
        "bytes": finding.bytes,
        "progress_at": time(finding.progress_at),
        "reason": finding.reason,
    })
}

pub(super) fn reloaded(reloaded: &Reloaded) -> Value {
    json!({"changed": reloaded.changed, "needs_restart": reloaded.needs_restart})
}

fn time(time: Option<SystemTime>) -> Option<String> {
    time.map(rfc_3339)
}
