//! The admin address.

use std::time::Duration;

use crate::harness::{Registry, ReplyExt as _, Storage, digest_of, random, raw_exchange, raw_head, with_digest};

#[tokio::test]
async fn health_and_metrics_are_told() {
    let registry = Registry::start(Storage::Filesystem).await;
    for path in ["/livez", "/readyz"] {
        let reply = registry.http().get(registry.admin_url(path)).send().await.expect("an answer");
        reply.expect(200).await;
    }
    let (digest, _) = registry.push("repo1", &random(1000)).await;
    let path = format!("/v2/repo1/blobs/{digest}");
    registry.get(&path).await.expect(200).await.data().await;
    registry.head(&path).await.expect(200).await;
    let page = registry.http().get(registry.admin_url("/metrics")).send().await.expect("an answer");
    let page = page.expect(200).await;
    assert!(page.value("content-type").starts_with("text/plain"));
    let page = page.text().await.expect("text");
    for sample in [
        "longshore_http_requests_total{route=\"blob\",method=\"GET\",status=\"200\"} 1",
        "longshore_http_requests_total{route=\"uploads\",method=\"POST\",status=\"202\"} 1",
        "longshore_http_request_duration_seconds_count{route=\"upload\",method=\"PUT\"} 1",
        "longshore_http_request_duration_seconds_bucket{le=\"+Inf\",route=\"upload\",method=\"PUT\"} 1",
        "longshore_uploads_open 0",
        "longshore_uploads_writing 0",
        "longshore_uploads_ended_total{reason=\"committed\"} 1",
        "longshore_blob_bytes_total{direction=\"in\"} 1000",
        "longshore_blob_bytes_total{direction=\"out\"} 1000",
    ] {
        assert!(page.lines().any(|line| line == sample), "no {sample} in\n{page}");
    }
    for start in [
        "longshore_storage_operations_total{driver=\"filesystem\",operation=\"",
        "longshore_storage_bytes_total{driver=\"filesystem\",direction=\"",
        "longshore_cache_requests_total{scope=\"repository\",result=\"",
    ] {
        assert!(page.lines().any(|line| line.starts_with(start)), "no {start}… in\n{page}");
    }
    let lost = registry.http().get(registry.admin_url("/v2/")).send().await.expect("an answer");
    lost.expect_error(404, "UNSUPPORTED").await;
    registry.finish().await;
}

#[tokio::test]
async fn a_token_is_asked_for_when_configured() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "open-sesame\n").expect("a file");
    let registry = Registry::start_with(Storage::Memory, |config| config.http.admin_token_file = Some(file)).await;
    let ask = async |token: Option<&str>| {
        let mut request = registry.http().get(registry.admin_url("/livez"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.send().await.expect("an answer")
    };
    ask(None).await.expect_error(401, "UNAUTHORIZED").await;
    ask(Some("wrong")).await.expect_error(401, "UNAUTHORIZED").await;
    ask(Some("open-sesame")).await.expect(200).await;
    registry.stop_unchecked().await;
}

#[tokio::test]
async fn a_warm_head_makes_no_driver_call() {
    let registry = Registry::start(Storage::Filesystem).await;
    let (digest, _) = registry.push("repo1", &random(1000)).await;
    let path = format!("/v2/repo1/blobs/{digest}");
    registry.head(&path).await.expect(200).await;
    let calls = async || {
        let page = registry.http().get(registry.admin_url("/metrics")).send().await.expect("an answer");
        let page = page.text().await.expect("text");
        let lines = page.lines().filter(|line| line.starts_with("longshore_storage_operations_total"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let before = calls().await;
    for _ in 0..10 {
        registry.head(&path).await.expect(200).await;
    }
    assert_eq!(calls().await, before);
    registry.finish().await;
}

#[tokio::test]
async fn the_api_is_described_and_is_not_for_web_pages() {
    let registry = Registry::start(Storage::Memory).await;
    let described = registry.http().get(registry.admin_url("/admin/v1/openapi.json")).send().await.expect("an answer");
    assert_eq!(described.expect(200).await.document().await["openapi"], "3.1.0");
    let scan = registry.admin_url("/admin/v1/scan");
    registry.http().get(&scan).send().await.expect("an answer").expect(200).await;
    let other_host = registry.http().get(&scan).header("host", "evil.example");
    other_host.send().await.expect("an answer").expect_error(421, "DENIED").await;
    let post = || registry.http().post(&scan).body("{\"dry_run\":false}");
    let form = post().header("content-type", "text/plain");
    form.send().await.expect("an answer").expect_error(415, "UNSUPPORTED").await;
    let page = post().header("content-type", "application/json").header("origin", "http://evil.example");
    page.send().await.expect("an answer").expect_error(403, "DENIED").await;
    registry.finish().await;
}

#[tokio::test]
async fn a_body_that_brings_nothing_is_ended_and_can_be_gone_on_with() {
    let quickly = |config: &mut longshore::config::Config| config.http.body_timeout = Duration::from_millis(200);
    let registry = Registry::start_with(Storage::Filesystem, quickly).await;
    let data = random(1000);
    let location = registry.begin("repo1").await;
    let mut request = raw_head("PATCH", &location, "Content-Length: 1000\r\n").into_bytes();
    request.extend_from_slice(&data[..400]);
    let reply = raw_exchange(registry.address(), request).await.expect("an answer");
    assert_eq!((reply.status, reply.header("connection"), reply.header("range")), (408, Some("close"), Some("0-399")));
    let location = reply.header("location").expect("an address").to_owned();
    registry.patch(&location, data.slice(400..), None).await.expect(202).await;
    registry.put(&with_digest(&location, &digest_of(&data)), "").await.expect(201).await;
    registry.finish().await;
}
