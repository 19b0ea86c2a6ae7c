//! Blobs that are larger than `uploads.max_size`.

use std::time::Duration;

use bytes::Bytes;
use longshore::config::UploadsOverride;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Registry, ReplyExt as _, Storage, begin_body, digest_of, eventually, random, raw_head, read_reply, read_to_close,
    with_digest, without_policies,
};

on_both_storages! {
    a_length_that_is_too_large_is_refused_before_the_body,
    a_body_that_becomes_too_large_ends_the_upload,
    a_single_post_that_is_too_large_leaves_nothing,
    the_limit_itself_is_allowed_and_is_one_of_the_repository,
}

/// At most 1000 bytes; what expires is kept.
async fn start(storage: Storage) -> Registry {
    Registry::start_with(storage, |config| {
        let uploads = without_policies(config);
        (uploads.max_size, uploads.keep_failed_for) = (1000, Duration::from_secs(3600));
        uploads.overrides = vec![UploadsOverride {
            repositories: vec!["large/**".parse().expect("a pattern")],
            max_size: Some(100_000),
            ..UploadsOverride::default()
        }];
    })
    .await
}

/// Sends a head alone, which is refused before a body is read; the connection ends in bounded time.
async fn refused_by_head(registry: &Registry, method: &str, path: &str, headers: &str) {
    let mut stream = begin_body(registry.address(), &raw_head(method, path, headers), b"").await;
    let reply = read_reply(&mut stream).await.expect("an answer");
    assert_eq!(reply.last_detail(413, "SIZE_INVALID"), json!({"limit_bytes": 1000}), "{method} {headers}");
    read_to_close(&mut stream).await;
}

async fn a_length_that_is_too_large_is_refused_before_the_body(storage: Storage) {
    let registry = start(storage).await;
    let location = registry.begin("repo1").await;
    let finish = with_digest(&location, &digest_of(b"x"));
    refused_by_head(&registry, "PATCH", &location, "Content-Length: 1001\r\n").await;
    refused_by_head(&registry, "PUT", &finish, "Content-Length: 1001\r\n").await;
    refused_by_head(&registry, "PATCH", &location, "Content-Range: 0-1000\r\nTransfer-Encoding: chunked\r\n").await;
    refused_by_head(&registry, "PATCH", &location, &format!("Content-Length: {}\r\n", u64::MAX)).await;
    let data = random(1000);
    let patched = registry.patch(&location, data.slice(..600), None).await.expect(202).await;
    let location = patched.value("location");
    refused_by_head(&registry, "PATCH", &location, "Content-Length: 401\r\n").await;
    // Each time the upload lives on.
    assert_eq!(registry.stands_at(&location).await, "0-599");
    let finish = with_digest(&location, &digest_of(&data));
    registry.put(&finish, data.slice(600..)).await.expect(201).await;
    assert_eq!(registry.metric("longshore_uploads_expired_total{policy=\"max_size\"}").await, None);
    registry.finish().await;
}

async fn a_body_that_becomes_too_large_ends_the_upload(storage: Storage) {
    let registry = start(storage).await;
    for method in ["PATCH", "PUT"] {
        let location = registry.begin("repo1").await;
        registry.patch(&location, random(600), Some("0-599")).await.expect(202).await;
        let path = if method == "PUT" { with_digest(&location, &digest_of(b"x")) } else { location.clone() };
        let path = path.replace("offset=0", "offset=600");
        // A body of a length that is not said, and that never ends.
        let head = raw_head(method, &path, "Transfer-Encoding: chunked\r\n");
        let chunk = [b"258\r\n".as_slice(), &random(600), b"\r\n"].concat();
        let mut stream = begin_body(registry.address(), &head, &chunk).await;
        let reply = read_reply(&mut stream).await.expect("an answer");
        let detail = reply.last_detail(413, "SIZE_INVALID");
        assert_eq!(detail, json!({"reason": "expired", "policy": "max_size"}), "{method}");
        read_to_close(&mut stream).await;
        registry.expires(&location, "max_size").await;
        let seen = registry.seen(&location).await;
        assert!(seen["offset_bytes"].as_u64() <= Some(1000), "{seen}");
        registry.end(&location, "cancel").await.expect(200).await;
    }
    assert_eq!(registry.metric("longshore_uploads_expired_total{policy=\"max_size\"}").await, Some(2.0));
    registry.finish().await;
}

async fn a_single_post_that_is_too_large_leaves_nothing(storage: Storage) {
    let registry = start(storage).await;
    let data = random(5000);
    let path = format!("/v2/repo1/blobs/uploads/?digest={}", digest_of(&data));
    refused_by_head(&registry, "POST", &path, "Content-Length: 5000\r\n").await;
    let pieces = vec![data.slice(..500), data.slice(500..)];
    let streamed = registry.send_streamed(Method::POST, &path, pieces, "application/octet-stream").await;
    streamed.expect_error(413, "SIZE_INVALID").await;
    // Nothing is kept of a session that was told to nobody.
    eventually("their end", async || registry.listed("").await == [] as [Value; 0]).await;
    registry.head(&format!("/v2/repo1/blobs/{}", digest_of(&data))).await.expect(404).await;
    registry.finish().await;
}

async fn the_limit_itself_is_allowed_and_is_one_of_the_repository(storage: Storage) {
    let registry = start(storage).await;
    for (repository, size) in [("repo1", 1000), ("large/it", 100_000)] {
        let data = random(size);
        registry.push(repository, &data).await;
        let location = registry.begin(repository).await;
        let pieces: Vec<Bytes> = data.chunks(size / 2).map(Bytes::copy_from_slice).collect();
        let patched = registry.send_streamed(Method::PATCH, &location, pieces, "application/octet-stream").await;
        let finish = with_digest(&patched.expect(202).await.value("location"), &digest_of(&data));
        registry.put(&finish, "").await.expect(201).await;
        let path = format!("/v2/{repository}/blobs/uploads/?digest={}", digest_of(&data));
        registry.post(&path, data).await.expect(201).await;
    }
    registry.finish().await;
}
