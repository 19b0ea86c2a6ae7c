//! HTTP/2, TLS, proxies.

use std::time::Duration;

use longshore::config::TlsConfig;
use reqwest::Method;

use crate::harness::{Alg, Registry, ReplyExt as _, Storage, digest_of, random, with_digest};

#[tokio::test]
async fn http2_in_clear_text() {
    let registry = Registry::start(Storage::Filesystem).await;
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().expect("a client");
    let base = format!("http://{}", registry.address());
    assert_eq!(push_and_pull(&client, &base).await, reqwest::Version::HTTP_2);
    registry.finish().await;
}

#[tokio::test]
async fn tls_with_certificate_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_string()]).expect("a certificate");
    let (certificate_file, key_file) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate_file, issued.cert.pem()).expect("a file");
    std::fs::write(&key_file, issued.signing_key.serialize_pem()).expect("a file");
    let tls = TlsConfig { certificate_file, key_file };
    let registry = Registry::start_with(Storage::Filesystem, |config| config.http.tls = Some(tls)).await;
    let base = format!("https://{}", registry.address());
    let root = reqwest::Certificate::from_pem(issued.cert.pem().as_bytes()).expect("a certificate");
    let builder = || reqwest::Client::builder().no_proxy().tls_certs_only([root.clone()]);
    let client = builder().build().expect("a client");
    assert_eq!(push_and_pull(&client, &base).await, reqwest::Version::HTTP_2);
    let client = builder().http1_only().build().expect("a client");
    assert_eq!(push_and_pull(&client, &base).await, reqwest::Version::HTTP_11);
    registry.finish().await;
}

async fn push_and_pull(client: &reqwest::Client, base: &str) -> reqwest::Version {
    let data = random(3_000_000);
    let digest = digest_of(&data);
    let send =
        |method: Method, path: &str, body: bytes::Bytes| client.request(method, format!("{base}{path}")).body(body);
    let started = send(Method::POST, "/v2/repo1/blobs/uploads/", "".into()).send().await.expect("an answer");
    let location = started.expect(202).await.value("location");
    let patched = send(Method::PATCH, &location, data.slice(..2_000_000)).header("content-range", "0-1999999");
    let location = patched.send().await.expect("an answer").expect(202).await.value("location");
    let last = send(Method::PUT, &with_digest(&location, &digest), data.slice(2_000_000..));
    last.send().await.expect("an answer").expect(201).await;
    // A body that is not wanted: its stream is reset, the answer comes nevertheless.
    let refused = send(Method::PATCH, &location, data.clone()).send().await.expect("an answer");
    refused.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
    let got = send(Method::GET, &format!("/v2/repo1/blobs/{digest}"), "".into()).send().await.expect("an answer");
    let got = got.expect(200).await;
    let version = got.version();
    assert_eq!(got.data().await, data);
    version
}

#[tokio::test]
async fn many_requests_on_one_http2_connection() {
    let registry = Registry::start(Storage::Memory).await;
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().expect("a client");
    let url = format!("http://{}/v2/", registry.address());
    let asked = (0..500).map(|_| async { client.get(&url).send().await.expect("an answer").status().as_u16() });
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().all(|status| matches!(status, 200 | 429)), "{answers:?}");
    assert!(answers.iter().filter(|status| **status == 200).count() >= 100);
    registry.finish().await;
}

#[tokio::test]
async fn locations_are_relative_unless_configured() {
    let registry = Registry::start(Storage::Memory).await;
    let forwarded = [("x-forwarded-proto", "https"), ("x-forwarded-host", "registry.example.org")];
    let started = registry.send(Method::POST, "/v2/a/blobs/uploads/", "", &forwarded).await.expect(202).await;
    assert!(started.value("location").starts_with("/v2/a/blobs/uploads/"));
    registry.delete(&started.value("location")).await.expect(204).await;
    registry.finish().await;
}

#[tokio::test]
async fn locations_suit_a_trusted_proxy() {
    for (trusted, origin) in [("127.0.0.0/8", "https://registry.example.org"), ("10.0.0.0/8", "http://127.0.0.1")] {
        let registry = Registry::start_with(Storage::Memory, |config| {
            config.http.relative_urls = false;
            config.http.trusted_proxies = vec![trusted.parse().expect("a network")];
        })
        .await;
        let forwarded = [("x-forwarded-proto", "https"), ("x-forwarded-host", "registry.example.org")];
        let started = registry.send(Method::POST, "/v2/a/blobs/uploads/", "", &forwarded).await.expect(202).await;
        let location = started.value("location");
        assert!(location.starts_with(origin), "{location}");
        let path = location[location.find("/v2/").expect("a path")..].to_string();
        let data = random(100);
        let finish = with_digest(&path, &digest_of(&data));
        let created = registry.send(Method::PUT, &finish, data.clone(), &forwarded).await.expect(201).await;
        let location = created.value("location");
        assert!(location.starts_with(origin), "{location}");
        registry.finish().await;
    }
}

#[tokio::test]
async fn absolute_addresses_work_without_a_proxy() {
    let registry = Registry::start_with(Storage::Memory, |config| config.http.relative_urls = false).await;
    let data = random(1000);
    let location = registry.begin("repo1").await;
    assert!(location.starts_with(&format!("http://{}/v2/", registry.address())), "{location}");
    let created = registry.put(&with_digest(&location, &digest_of(&data)), data.clone()).await;
    registry.check_pushed("repo1", &data, Alg::Sha256, created).await;
    registry.finish().await;
}

#[tokio::test]
async fn a_connection_is_used_again_and_closed_when_idle() {
    let registry = Registry::start_with(Storage::Memory, |config| {
        config.http.keep_alive = Duration::from_millis(300);
        config.http.head_timeout = Duration::from_millis(300);
    })
    .await;
    let mut stream = tokio::net::TcpStream::connect(registry.address()).await.expect("a connection");
    for _ in 0..3 {
        let request = crate::harness::raw_head("GET", "/v2/", "");
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.expect("a request");
        assert_eq!(crate::harness::read_reply(&mut stream).await.expect("an answer").status, 200);
    }
    assert!(crate::harness::read_to_close(&mut stream).await.is_empty());
    registry.finish().await;
}
