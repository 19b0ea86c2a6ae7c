//! Errors have one form, whoever makes them.

use reqwest::Method;

use crate::harness::{
    Registry, ReplyExt as _, Storage, code_of, digest_of, random, raw_exchange, raw_head, with_digest,
};

on_both_drivers! {
    unknown_paths_and_methods_are_told,
    names_against_the_grammar_are_refused,
    answers_to_head_have_no_body,
    request_ids_are_taken_over,
}

async fn unknown_paths_and_methods_are_told(registry: &Registry) {
    for path in ["/", "/v1/search", "/v2/name", "/v2/name/unknown/x", "/v3/", "/metrics", "/livez"] {
        registry.get(path).await.expect_error(404, "UNSUPPORTED").await;
    }
    let digest = digest_of(b"");
    for (method, path) in [
        (Method::POST, "/v2/".to_string()),
        (Method::PUT, "/v2/_catalog".to_string()),
        (Method::DELETE, "/v2/a/tags/list".to_string()),
        (Method::POST, format!("/v2/a/blobs/{digest}")),
        (Method::PATCH, "/v2/a/manifests/v1".to_string()),
        (Method::GET, "/v2/a/blobs/uploads/".to_string()),
        (Method::POST, format!("/v2/a/referrers/{digest}")),
    ] {
        let reply = registry.request(method, &path).send().await.expect("an answer");
        assert!(!reply.value("allow").is_empty(), "{path}");
        reply.expect_error(405, "UNSUPPORTED").await;
    }
}

async fn names_against_the_grammar_are_refused(registry: &Registry) {
    for name in ["UPPER", "a__-b", "-a", "a-", "a..b", "_a", &"a".repeat(256), "a/_uploads", "a%20b", "%C3%A9"] {
        for path in ["tags/list", "manifests/v1", "blobs/uploads/"] {
            let method = if path.ends_with('/') { Method::POST } else { Method::GET };
            let reply = registry.request(method, &format!("/v2/{name}/{path}")).send().await.expect("an answer");
            reply.expect_error(400, "NAME_INVALID").await;
        }
    }
    let longest = "a".repeat(255);
    registry.get(&format!("/v2/{longest}/tags/list")).await.expect_error(404, "NAME_UNKNOWN").await;
}

async fn answers_to_head_have_no_body(registry: &Registry) {
    for path in ["/v2/a/manifests/v1".to_string(), format!("/v2/a/blobs/{}", digest_of(b"")), "/nowhere".to_string()] {
        let request = raw_head("HEAD", &path, "Connection: close\r\n");
        let mut stream = tokio::net::TcpStream::connect(registry.address()).await.expect("a connection");
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.expect("a request");
        let text = String::from_utf8(crate::harness::read_to_close(&mut stream).await).expect("text");
        assert!(text.starts_with("HTTP/1.1 404 ") && text.ends_with("\r\n\r\n"), "{text}");
    }
}

async fn request_ids_are_taken_over(registry: &Registry) {
    let reply = registry.request(Method::GET, "/v2/").header("x-request-id", "from-a-proxy.7").send().await;
    assert_eq!(reply.expect("an answer").value("x-request-id"), "from-a-proxy.7");
    let request = raw_head("GET", "/nowhere", "X-Request-Id: \"quoted\"\r\nConnection: close\r\n");
    let reply = raw_exchange(registry.address(), request).await.expect("an answer");
    assert_eq!((reply.status, code_of(&reply.body).as_str()), (404, "UNSUPPORTED"));
    assert!(reply.header("x-request-id").is_some_and(|id| !id.contains('"')));
}

#[tokio::test]
async fn a_full_store_says_so_and_keeps_what_it_has() {
    let registry = Registry::start_with(Storage::Memory, |config| config.storage.memory.max_size = 4 << 20).await;
    let kept = random(1 << 20);
    let (digest, _) = registry.push("repo1", &kept).await;
    let location = registry.begin("repo1").await;
    let data = random(8 << 20);
    let refused =
        registry.send_streamed(Method::PATCH, &location, vec![data.clone()], "application/octet-stream").await;
    refused.expect_error(507, "UNKNOWN").await;
    let path = format!("/v2/repo1/blobs/uploads/?digest={}", digest_of(&data));
    let refused = registry.post(&path, data).await;
    refused.expect_error(507, "UNKNOWN").await;
    registry.delete(&location).await.expect(204).await;
    assert_eq!(registry.get(&format!("/v2/repo1/blobs/{digest}")).await.expect(200).await.data().await, kept);
    // What was freed can be used.
    let location = registry.begin("repo1").await;
    let small = random(2 << 20);
    registry.put(&with_digest(&location, &digest_of(&small)), small).await.expect(201).await;
    registry.finish().await;
}
