//! Blobs that another repository has already.

use crate::harness::{Registry, ReplyExt as _, Storage, digest_of, random, with_digest};

on_both_drivers! {
    a_blob_is_mounted,
    a_blob_is_mounted_without_saying_from_where,
    what_nobody_has_is_uploaded,
}

async fn a_blob_is_mounted(registry: &Registry) {
    let data = random(512);
    let (digest, _) = registry.push("repo2", &data).await;
    let path = format!("/v2/repo1/blobs/{digest}");
    registry.head(&path).await.expect(404).await;
    let mounted = registry.post(&format!("/v2/repo1/blobs/uploads/?mount={digest}&from=repo2"), "").await;
    let mounted = mounted.expect(201).await;
    assert_eq!(mounted.value("location"), path);
    assert_eq!(mounted.value("docker-content-digest"), digest);
    assert_eq!(registry.get(&path).await.expect(200).await.data().await, data);
    registry.delete(&path).await.expect(202).await;
    registry.head(&path).await.expect(404).await;
    // The other repository's link is its own.
    registry.head(&format!("/v2/repo2/blobs/{digest}")).await.expect(200).await;
}

async fn a_blob_is_mounted_without_saying_from_where(registry: &Registry) {
    let data = random(512);
    let (digest, _) = registry.push("repo2", &data).await;
    registry.post(&format!("/v2/repo1/blobs/uploads/?mount={digest}"), "").await.expect(201).await;
    registry.head(&format!("/v2/repo1/blobs/{digest}")).await.expect(200).await;
}

async fn what_nobody_has_is_uploaded(registry: &Registry) {
    for from in ["&from=repo2", "", "&from=NOT_A_NAME"] {
        let data = random(512);
        let digest = digest_of(&data);
        let path = format!("/v2/repo1/blobs/uploads/?mount={digest}{from}");
        let started = registry.post(&path, "").await.expect(202).await;
        let finish = with_digest(&started.value("location"), &digest);
        registry.put(&finish, data.clone()).await.expect(201).await;
    }
    // Known, but not there.
    let (elsewhere, _) = registry.push("repo3", &random(10)).await;
    let path = format!("/v2/repo1/blobs/uploads/?mount={elsewhere}&from=repo2");
    let started = registry.post(&path, "").await.expect(202).await;
    registry.delete(&started.value("location")).await.expect(204).await;
    registry.head(&format!("/v2/repo1/blobs/{elsewhere}")).await.expect(404).await;
    registry.post("/v2/repo1/blobs/uploads/?mount=sha256:x", "").await.expect_error(400, "DIGEST_INVALID").await;
}

#[tokio::test]
async fn mounts_without_from_can_be_forbidden() {
    let registry = Registry::start_with(Storage::Memory, |config| config.blobs.anonymous_mount = false).await;
    let (digest, _) = registry.push("repo2", &random(512)).await;
    let started = registry.post(&format!("/v2/repo1/blobs/uploads/?mount={digest}"), "").await.expect(202).await;
    registry.delete(&started.value("location")).await.expect(204).await;
    registry.post(&format!("/v2/repo1/blobs/uploads/?mount={digest}&from=repo2"), "").await.expect(201).await;
    registry.finish().await;
}
