//! Uploads that are open but quiet leave memory, and nobody notices.

use std::time::Duration;

use bytes::Bytes;

use crate::harness::{
    Program, Registry, ReplyExt as _, Storage, digest_of, eventually, random, with_digest, without_policies,
};

on_both_storages! {
    chunks_with_long_pauses_make_one_blob,
    every_request_brings_an_upload_back,
    a_passive_upload_expires_as_any_other,
}

async fn start(storage: Storage) -> Registry {
    Registry::start_with(storage, |config| {
        without_policies(config).passivate_after = Duration::from_millis(200);
    })
    .await
}

async fn chunks_with_long_pauses_make_one_blob(storage: Storage) {
    let registry = start(storage).await;
    let data = random(400_000);
    let mut location = registry.begin("repo1").await;
    for (number, piece) in data.chunks(100_000).enumerate() {
        registry.metric_becomes("longshore_uploads_passive", 1.0).await;
        let patched = registry.patch(&location, Bytes::copy_from_slice(piece), None).await.expect(202).await;
        location = patched.value("location");
        assert_eq!(patched.value("range"), format!("0-{}", (number + 1) * 100_000 - 1));
        // It is open all the time, in memory or not.
        assert_eq!(registry.metric("longshore_uploads_open").await, Some(1.0));
    }
    registry.metric_becomes("longshore_uploads_passive", 1.0).await;
    let read_before = registry.metric(&read_bytes(storage)).await.unwrap_or(0.0);
    registry.put(&with_digest(&location, &digest_of(&data)), "").await.expect(201).await;
    let read = registry.metric(&read_bytes(storage)).await.unwrap_or(0.0) - read_before;
    assert!(read < 50_000.0, "no data is hashed again, only its record read: {read}");
    assert_eq!(registry.metric("longshore_upload_passivations_total").await, Some(5.0));
    assert_eq!(registry.metric("longshore_upload_revivals_total").await, Some(5.0));
    let path = format!("/v2/repo1/blobs/{}", digest_of(&data));
    assert_eq!(registry.get(&path).await.expect(200).await.data().await, data);
    registry.finish().await;
}

fn read_bytes(storage: Storage) -> String {
    let driver = match storage {
        Storage::Filesystem => "filesystem",
        Storage::Memory => "memory",
    };
    format!("longshore_storage_bytes_total{{driver=\"{driver}\",direction=\"read\"}}")
}

async fn every_request_brings_an_upload_back(storage: Storage) {
    let registry = start(storage).await;
    let location = registry.begin("repo1").await;
    registry.patch(&location, "12345", None).await.expect(202).await;
    let passive = async || registry.metric_becomes("longshore_uploads_passive", 1.0).await;
    passive().await;
    let seen = registry.seen(&location).await;
    assert_eq!((&seen["state"], &seen["offset_bytes"]), (&"passive".into(), &5.into()), "{seen}");
    assert_eq!(seen["client"], "127.0.0.1", "{seen}");
    assert_eq!(registry.stands_at(&location).await, "0-4");
    passive().await;
    registry.patch(&location, "x", Some("9-9")).await.expect_error(416, "BLOB_UPLOAD_INVALID").await;
    passive().await;
    // Sent again after the pause: nothing is appended twice.
    assert_eq!(registry.patch(&location, "12345", None).await.expect(202).await.value("range"), "0-4");
    passive().await;
    registry.put(&with_digest(&location, &digest_of(b"other")), "").await.expect_error(400, "DIGEST_INVALID").await;
    passive().await;
    registry.delete(&location).await.expect(204).await;
    // An operator's cancel, too.
    let location = registry.begin("repo1").await;
    passive().await;
    registry.end(&location, "cancel").await.expect(200).await;
    registry.finish().await;
}

async fn a_passive_upload_expires_as_any_other(storage: Storage) {
    let registry = Registry::start_with(storage, |config| {
        let uploads = without_policies(config);
        uploads.passivate_after = Duration::from_millis(100);
        uploads.idle_timeout = Duration::from_millis(3000);
        uploads.keep_failed_for = Duration::from_secs(3600);
    })
    .await;
    let location = registry.begin("repo1").await;
    registry.patch(&location, random(1000), None).await.expect(202).await;
    registry.metric_becomes("longshore_uploads_passive", 1.0).await;
    registry.metric_becomes("longshore_uploads_kept", 1.0).await;
    assert_eq!(registry.metric("longshore_uploads_passive").await, Some(0.0));
    registry.expires(&location, "idle_timeout").await;
    assert_eq!(registry.metric("longshore_uploads_kept_bytes").await, Some(1000.0));
    registry.end(&location, "cancel").await.expect(200).await;
    registry.finish().await;
}

#[tokio::test]
async fn many_quiet_uploads_hold_no_descriptor() {
    let program = Program::start(
        "uploads: {passivate_after: 200ms, min_free_space: 0}\nlog: {level: 'info,longshore::access=off'}\n",
    );
    let location = program.begin("repo1", b"0").await;
    eventually("the first one's rest", async || program.metric("longshore_uploads_passive").await == Some(1.0)).await;
    let before = program.descriptors();
    for _ in 0..200 {
        program.begin("repo1", b"12345").await;
    }
    eventually("all are at rest", async || program.metric("longshore_uploads_passive").await == Some(201.0)).await;
    assert_eq!(program.metric("longshore_uploads_open").await, Some(201.0));
    // A connection that comes or goes meanwhile is no upload's.
    let after = program.descriptors();
    assert!(after <= before + 10, "{before} before, {after} after");
    let status = program.get(&location).await.expect(204).await;
    assert_eq!(status.value("range"), "0-0");
}
