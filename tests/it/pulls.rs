//! Blobs pulled: whole, in parts, under conditions.

use reqwest::{Method, Response};

use crate::harness::{Registry, ReplyExt as _, digest_of, random};

on_both_drivers! {
    ranges_are_served,
    ranges_that_cannot_be_served_are_told,
    conditions_hold,
    a_blob_is_reached_through_its_own_repositories_only,
    a_large_blob_comes_whole,
}

async fn get_with(registry: &Registry, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = registry.request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

async fn ranges_are_served(registry: &Registry) {
    let data = random(2048);
    let (digest, _) = registry.push("repo1", &data).await;
    let path = format!("/v2/repo1/blobs/{digest}");
    for (range, start, end) in [
        ("bytes=500-1499", 500, 1500),
        ("bytes=500-", 500, 2048),
        ("bytes=-500", 1548, 2048),
        ("bytes=2000-5000", 2000, 2048),
        ("bytes=0-0", 0, 1),
        ("bytes=-5000", 0, 2048),
    ] {
        let part = get_with(registry, &path, &[("range", range)]).await.expect(206).await;
        assert_eq!(part.value("content-range"), format!("bytes {start}-{}/2048", end - 1), "{range}");
        assert_eq!(part.value("content-length"), (end - start).to_string(), "{range}");
        assert_eq!(part.value("docker-content-digest"), digest);
        assert_eq!(part.data().await, data[start..end], "{range}");
    }
    for range in ["bytes=0-1,4-5", "lines=0-1", "bytes=a-b"] {
        let whole = get_with(registry, &path, &[("range", range)]).await.expect(200).await;
        assert_eq!(whole.data().await, data, "{range}");
    }
}

async fn ranges_that_cannot_be_served_are_told(registry: &Registry) {
    let (digest, _) = registry.push("repo1", &random(2048)).await;
    let path = format!("/v2/repo1/blobs/{digest}");
    for range in ["bytes=500-0", "bytes=5000-10000", "bytes=2048-", "bytes=-0"] {
        let refused = get_with(registry, &path, &[("range", range)]).await;
        assert_eq!(refused.value("content-range"), "bytes */2048", "{range}");
        refused.expect_error(416, "BLOB_UPLOAD_INVALID").await;
    }
    let (empty, _) = registry.push("repo1", &random(0)).await;
    let refused = get_with(registry, &format!("/v2/repo1/blobs/{empty}"), &[("range", "bytes=0-")]).await;
    assert_eq!(refused.value("content-range"), "bytes */0");
}

async fn conditions_hold(registry: &Registry) {
    let data = random(2048);
    let (digest, _) = registry.push("repo1", &data).await;
    let path = format!("/v2/repo1/blobs/{digest}");
    let whole = registry.get(&path).await.expect(200).await;
    let (etag, date) = (whole.value("etag"), whole.value("last-modified"));
    assert_eq!(etag, format!("\"{digest}\""));
    assert_eq!(whole.value("accept-ranges"), "bytes");
    assert_eq!(whole.value("content-type"), "application/octet-stream");
    for (name, value) in [("if-none-match", etag.as_str()), ("if-none-match", "*"), ("if-modified-since", &date)] {
        let same = get_with(registry, &path, &[(name, value)]).await.expect(304).await;
        assert_eq!(same.value("etag"), etag);
        assert!(same.data().await.is_empty());
    }
    get_with(registry, &path, &[("if-none-match", "\"x\"")]).await.expect(200).await;
    get_with(registry, &path, &[("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT")]).await.expect(200).await;
    for (condition, status) in [(etag.as_str(), 206), (date.as_str(), 206), ("\"x\"", 200)] {
        let headers = [("range", "bytes=0-9"), ("if-range", condition)];
        get_with(registry, &path, &headers).await.expect(status).await;
    }
    let unknown = path.replace(&digest, &digest_of(b"unknown"));
    let missing = get_with(registry, &unknown, &[("if-none-match", "*")]).await;
    missing.expect_error(404, "BLOB_UNKNOWN").await;
}

async fn a_blob_is_reached_through_its_own_repositories_only(registry: &Registry) {
    let (digest, _) = registry.push("repo1", &random(100)).await;
    registry.head(&format!("/v2/repo1/blobs/{digest}")).await.expect(200).await;
    for name in ["repo2", "repo1/inner", "repo"] {
        registry.head(&format!("/v2/{name}/blobs/{digest}")).await.expect(404).await;
        registry.get(&format!("/v2/{name}/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN").await;
    }
}

async fn a_large_blob_comes_whole(registry: &Registry) {
    let data = random(20_000_000);
    let (digest, _) = registry.push("repo1", &data).await;
    let path = format!("/v2/repo1/blobs/{digest}");
    let before = registry.metric("longshore_blob_bytes_total{direction=\"out\"}").await.unwrap_or(0.0);
    assert_eq!(registry.get(&path).await.expect(200).await.data().await, data);
    let after = registry.metric("longshore_blob_bytes_total{direction=\"out\"}").await.expect("a count");
    assert_eq!(after - before, 20_000_000.0);
    let tail = get_with(registry, &path, &[("range", "bytes=10000000-")]).await.expect(206).await;
    assert_eq!(tail.data().await, data[10_000_000..]);
}
