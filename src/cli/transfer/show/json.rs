use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use longshore::oci::Digest;
use longshore::transfer::{BlobOutcome, Event, Progress};
use serde_json::{Value, json};

use crate::cli::text::{print, printable_json};

/// How often a blob's progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// One object a line on standard output.
#[derive(Default)]
pub(in crate::cli::transfer) struct JsonLines {
    told: Mutex<HashMap<Digest, Instant>>,
}

impl JsonLines {
    fn document(&self, event: &Event<'_>) -> Option<Value> {
        match event {
            Event::Surveyed { manifests, blobs, blob_bytes } => {
                Some(json!({"event": "surveyed", "manifests": manifests, "blobs": blobs, "blob_bytes": blob_bytes}))
            }
            Event::BlobBegun { digest, size_bytes, offset_bytes } => Some(json!({
                "event": "blob_begun", "digest": digest, "size_bytes": size_bytes, "offset_bytes": offset_bytes,
            })),
            Event::BlobAdvanced { digest, offset_bytes } => {
                if !self.is_due(digest) {
                    return None;
                }
                Some(json!({"event": "blob_advanced", "digest": digest, "offset_bytes": offset_bytes}))
            }
            Event::BlobInterrupted { digest, cause } => {
                Some(json!({"event": "blob_interrupted", "digest": digest, "cause": cause}))
            }
            Event::BlobDone { digest, size_bytes, outcome } => {
                self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(*digest);
                let mut document =
                    json!({"event": "blob_done", "digest": digest, "size_bytes": size_bytes, "how": name_of(*outcome)});
                if let BlobOutcome::Copied { sent_bytes, resumed_from } = outcome {
                    document["sent_bytes"] = json!(sent_bytes);
                    document["resumed_from_bytes"] = json!(resumed_from);
                }
                Some(document)
            }
            Event::ManifestDone { digest } => Some(json!({"event": "manifest_done", "digest": digest})),
            Event::Tagged { tag, digest } => Some(json!({"event": "tagged", "tag": tag.as_str(), "digest": digest})),
            _ => None,
        }
    }

    /// The first time, and then not more than once in a while.
    fn is_due(&self, digest: &Digest) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(digest).is_some_and(|last| last.elapsed() < PROGRESS_EVERY) {
            return false;
        }
        told.insert(digest.clone(), Instant::now());
        true
    }
}

impl Progress for JsonLines {
    fn event(&self, event: &Event<'_>) {
        if let Some(document) = self.document(event) {
            print_line(&document);
        }
    }
}

/// A reader that went away changes nothing of what is done.
pub(super) fn print_line(document: &Value) {
    print(format!("{}\n", printable_json(&document.to_string())).as_bytes());
}

fn name_of(outcome: BlobOutcome) -> &'static str {
    match outcome {
        BlobOutcome::Copied { .. } => "copied",
        BlobOutcome::AlreadyThere => "already_there",
        BlobOutcome::Mounted => "mounted",
        BlobOutcome::KeptElsewhere => "kept_elsewhere",
    }
}
