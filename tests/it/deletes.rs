//! What is deleted is gone at once.

use crate::harness::{OCI_IMAGE, Registry, ReplyExt as _, random};

on_both_drivers! {
    a_deleted_tag_leaves_its_manifest,
    a_deleted_manifest_takes_its_tags_along,
    a_deleted_blob_can_be_pushed_again,
}

async fn a_deleted_tag_leaves_its_manifest(registry: &Registry) {
    let (digest, data) = registry.push_image("repo1", "v1").await;
    registry.put_manifest("repo1", "v2", &data, OCI_IMAGE).await.expect(201).await;
    registry.delete("/v2/repo1/manifests/v1").await.expect(202).await;
    registry.head("/v2/repo1/manifests/v1").await.expect(404).await;
    registry.delete("/v2/repo1/manifests/v1").await.expect_error(404, "MANIFEST_UNKNOWN").await;
    registry.head("/v2/repo1/manifests/v2").await.expect(200).await;
    registry.head(&format!("/v2/repo1/manifests/{digest}")).await.expect(200).await;
    let list = registry.get("/v2/repo1/tags/list").await.expect(200).await.document().await;
    assert_eq!(list["tags"], serde_json::json!(["v2"]));
}

async fn a_deleted_manifest_takes_its_tags_along(registry: &Registry) {
    let (digest, data) = registry.push_image("repo1", "v1").await;
    let (other, _) = registry.push_image("repo1", "other").await;
    registry.put_manifest("repo1", "v2", &data, OCI_IMAGE).await.expect(201).await;
    registry.delete(&format!("/v2/repo1/manifests/{digest}")).await.expect(202).await;
    for reference in ["v1", "v2", &digest] {
        registry.get(&format!("/v2/repo1/manifests/{reference}")).await.expect_error(404, "MANIFEST_UNKNOWN").await;
    }
    registry.head(&format!("/v2/repo1/manifests/{other}")).await.expect(200).await;
    let list = registry.get("/v2/repo1/tags/list").await.expect(200).await.document().await;
    assert_eq!(list["tags"], serde_json::json!(["other"]));
    // Pushed again, it is there again, and its old tags are not.
    registry.put_manifest("repo1", &digest, &data, OCI_IMAGE).await.expect(201).await;
    registry.head(&format!("/v2/repo1/manifests/{digest}")).await.expect(200).await;
    registry.head("/v2/repo1/manifests/v1").await.expect(404).await;
}

async fn a_deleted_blob_can_be_pushed_again(registry: &Registry) {
    let data = random(1000);
    for _ in 0..3 {
        let (digest, _) = registry.push("repo1", &data).await;
        let path = format!("/v2/repo1/blobs/{digest}");
        registry.head(&path).await.expect(200).await;
        registry.delete(&path).await.expect(202).await;
        registry.head(&path).await.expect(404).await;
        registry.get(&path).await.expect_error(404, "BLOB_UNKNOWN").await;
        registry.delete(&path).await.expect_error(404, "BLOB_UNKNOWN").await;
    }
}
