//! What a case may leave: content of the registry, and nothing else.

use std::path::Path;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use longshore::clock::ManualClock;
use longshore::config::UploadsConfig;
use longshore::content::{Content, ContentOptions};
use longshore::hashing::HashPool;
use longshore::storage::{Durability, EntryKind, Key, SharedDriver};
use longshore::telemetry::Metrics;
use longshore::upload::{Engine, EngineOptions, ScanReport};

use super::server::files_below;
use super::{Alg, Registry, eventually};

/// No upload is open, and none is being written.
pub async fn of_uploads(registry: &Registry) {
    for metric in ["longshore_uploads_open", "longshore_uploads_writing"] {
        // An upload's end is counted when everything of it is gone, which may be after the answer.
        eventually(&format!("{metric} 0"), async || registry.metric(metric).await == Some(0.0)).await;
    }
}

/// Removes every upload, as the registry's look through its storage does when a long time has passed and nobody runs.
#[allow(dead_code, reason = "each program of tests uses a part of the harness")]
pub async fn purge(driver: &SharedDriver) -> ScanReport {
    let driver = driver.clone();
    let scan = async move {
        let metrics = Metrics::unregistered();
        let content = Content::new(driver.clone(), ContentOptions::default(), metrics.clone());
        let engine = Engine::start(EngineOptions {
            driver,
            blobs: content.blobs(),
            hashes: HashPool::start(1).expect("a thread"),
            metrics,
            clock: Arc::new(ManualClock::starting_at(SystemTime::now() + Duration::from_secs(8 * 24 * 3600))),
            uploads: UploadsConfig { keep_failed_for: Duration::ZERO, ..UploadsConfig::default() },
            checkpoint_durability: Durability::Process,
            max_open_files: 10,
            batch_bytes: EngineOptions::BATCH_BYTES,
            threads: 1,
            boot: Some("a later one".to_owned()),
            syncs: true,
            scans: false,
        });
        engine.start_scan_without_rests(false);
        engine.scan_ended().await;
        let report = engine.scan_report();
        engine.drain().await;
        report
    };
    let thread = std::thread::spawn(|| actix::System::new().block_on(scan));
    tokio::task::spawn_blocking(|| thread.join()).await.expect("a thread").expect("no panic")
}

/// Every key is one of content.
pub async fn of_keys(driver: &SharedDriver) {
    let root: Key = "docker".parse().expect("a key");
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        let mut start_after: Option<String> = None;
        loop {
            let page = match driver.list(&folder, start_after.as_deref(), 1000).await {
                Ok(page) => page,
                Err(error) if error.is_not_found() => break,
                Err(error) => panic!("{folder}: {error}"),
            };
            for entry in &page.entries {
                let key = folder.child(&entry.name).expect("a key");
                match entry.kind {
                    EntryKind::Folder => folders.push(key),
                    EntryKind::Object => assert!(is_content(key.as_str()), "{key} was left"),
                }
            }
            if !page.more {
                break;
            }
            start_after = page.entries.last().map(|entry| entry.name.clone());
        }
    }
}

/// Every file is one of content, and no folder is empty but the driver's own one.
pub fn of_files(root: &Path) {
    for path in files_below(root) {
        let name = path.to_str().expect("text");
        if name.starts_with("docker/") {
            assert!(is_content(name), "{name} was left");
            check_digest(root, name);
        } else {
            assert!(!name.starts_with("longshore-tmp/"), "{name} was left");
        }
    }
    let mut folders = vec![root.join("docker")];
    while let Some(folder) = folders.pop().filter(|folder| folder.exists()) {
        let below: Vec<_> =
            std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry")).collect();
        assert!(!below.is_empty(), "{} was left empty", folder.display());
        folders.extend(below.iter().map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
}

/// A blob's file holds what its name says.
fn check_digest(root: &Path, name: &str) {
    let Some(rest) = name.strip_prefix("docker/registry/v2/blobs/") else {
        return;
    };
    let mut parts = rest.split('/');
    let algorithm = if parts.next() == Some("sha512") { Alg::Sha512 } else { Alg::Sha256 };
    let hex = parts.nth(1).expect("a digest");
    let data = std::fs::read(root.join(name)).expect("a file");
    assert_eq!(algorithm.digest(&data), format!("{}:{hex}", algorithm.name()), "{name} holds something else");
}

fn is_content(key: &str) -> bool {
    let Some(rest) = key.strip_prefix("docker/registry/v2/") else {
        return false;
    };
    let parts: Vec<&str> = rest.split('/').collect();
    match parts.as_slice() {
        ["blobs", algorithm, start, hex, "data"] => is_digest(algorithm, hex) && hex.starts_with(start),
        ["repositories", name @ .., "_layers", algorithm, hex, "link"]
        | ["repositories", name @ .., "_manifests", "revisions", algorithm, hex, "link"]
        | ["repositories", name @ .., "_manifests", "tags", _, "index", algorithm, hex, "link"] => {
            !name.is_empty() && is_digest(algorithm, hex)
        }
        ["repositories", name @ .., "_manifests", "tags", _, "current", "link"] => !name.is_empty(),
        ["repositories", below @ ..] => below.contains(&"_referrers"),
        _ => false,
    }
}

fn is_digest(algorithm: &str, hex: &str) -> bool {
    let length = match algorithm {
        "sha256" => 64,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}
