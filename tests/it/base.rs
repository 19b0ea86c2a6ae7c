//! Whether it is a registry, and what an empty one says.

use serde_json::json;

use crate::harness::{OCI_INDEX, Registry, ReplyExt as _, digest_of};

on_both_drivers! {
    the_base_answers,
    an_empty_registry_answers,
}

async fn the_base_answers(registry: &Registry) {
    for path in ["/v2/", "/v2"] {
        let reply = registry.get(path).await.expect(200).await;
        assert_eq!(reply.value("docker-distribution-api-version"), "registry/2.0");
        assert_eq!(reply.value("content-type"), "application/json");
        assert_eq!(reply.document().await, json!({}));
    }
    let head = registry.head("/v2/").await.expect(200).await;
    assert_eq!(head.value("content-length"), "2");
    assert!(head.data().await.is_empty());
}

async fn an_empty_registry_answers(registry: &Registry) {
    let catalog = registry.get("/v2/_catalog").await.expect(200).await.document().await;
    assert_eq!(catalog, json!({"repositories": []}));
    registry.get("/v2/empty/tags/list").await.expect_error(404, "NAME_UNKNOWN").await;
    let unknown = digest_of(b"unknown");
    let referrers = registry.get(&format!("/v2/empty/referrers/{unknown}")).await.expect(200).await;
    assert_eq!(referrers.value("content-type"), OCI_INDEX);
    let index = referrers.document().await;
    assert_eq!(index, json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}));
    registry.get(&format!("/v2/empty/blobs/{unknown}")).await.expect_error(404, "BLOB_UNKNOWN").await;
    for reference in [unknown.as_str(), "latest"] {
        registry.get(&format!("/v2/empty/manifests/{reference}")).await.expect_error(404, "NAME_UNKNOWN").await;
    }
    registry.push_image("known", "v1").await;
    for reference in [unknown.as_str(), "latest"] {
        registry.get(&format!("/v2/known/manifests/{reference}")).await.expect_error(404, "MANIFEST_UNKNOWN").await;
    }
    registry.delete(&format!("/v2/empty/blobs/{unknown}")).await.expect_error(404, "BLOB_UNKNOWN").await;
}
