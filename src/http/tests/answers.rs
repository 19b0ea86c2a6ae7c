use bytes::Bytes;

use super::*;
use crate::http::fake::digest_of;
use crate::telemetry::DirectionLabels;

#[tokio::test]
async fn the_base_says_that_this_is_a_registry() {
    let server = start(patient());
    for path in ["/v2/", "/v2"] {
        let reply = server.ask("GET", path, "").await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "{}"));
        assert_eq!(reply.header("docker-distribution-api-version"), Some("registry/2.0"));
    }
}

#[tokio::test]
async fn blobs_are_pulled_whole_in_parts_and_under_conditions() {
    let server = start(patient());
    let data: Vec<u8> = (0..200_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
    let digest = server.registry.add_blob(Bytes::from(data.clone()));
    let path = format!("/v2/a/blobs/{digest}");
    let text = String::from_utf8(data).unwrap();

    let whole = server.ask("GET", &path, "").await;
    assert_eq!((whole.status, whole.body.as_str()), (200, text.as_str()));
    assert_eq!(whole.header("content-length"), Some("200000"));
    assert_eq!(whole.header("content-type"), Some("application/octet-stream"));
    assert_eq!(whole.header("docker-content-digest"), Some(digest.to_string().as_str()));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let etag = whole.header("etag").unwrap().to_string();
    let date = whole.header("last-modified").unwrap().to_string();

    let head = server.ask("HEAD", &path, "Range: bytes=0-1\r\n").await;
    assert_eq!((head.status, head.body.as_str(), head.header("content-length")), (200, "", Some("200000")));

    for (headers, status, body) in [
        ("Range: bytes=5-9\r\n".to_string(), 206, &text[5..10]),
        ("Range: bytes=199990-300000\r\n".to_string(), 206, &text[199_990..]),
        ("Range: bytes=-3\r\n".to_string(), 206, &text[199_997..]),
        ("Range: bytes=0-1,4-5\r\n".to_string(), 200, text.as_str()),
        (format!("Range: bytes=5-9\r\nIf-Range: {etag}\r\n"), 206, &text[5..10]),
        (format!("Range: bytes=5-9\r\nIf-Range: {date}\r\n"), 206, &text[5..10]),
        ("Range: bytes=5-9\r\nIf-Range: \"other\"\r\n".to_string(), 200, text.as_str()),
        (format!("If-None-Match: {etag}\r\n"), 304, ""),
        (format!("If-Modified-Since: {date}\r\n"), 304, ""),
        ("If-None-Match: \"other\"\r\n".to_string(), 200, text.as_str()),
    ] {
        let reply = server.ask("GET", &path, &headers).await;
        assert_eq!((reply.status, reply.body == body), (status, true), "{headers}");
        if status == 206 {
            assert_eq!(reply.header("content-length"), Some(body.len().to_string().as_str()), "{headers}");
            assert!(reply.header("content-range").unwrap().ends_with("/200000"), "{headers}");
        }
    }
    let reply = server.ask("GET", &path, "Range: bytes=200000-\r\n").await;
    assert_eq!((reply.status, reply.header("content-range")), (416, Some("bytes */200000")));
    assert_eq!(reply.code(), "BLOB_UPLOAD_INVALID");

    let sent = server.metrics.blob_bytes.get_or_create(&DirectionLabels { direction: "out" }).get();
    assert_eq!(sent, 200_000 * 4 + 5 * 3 + 10 + 3);
    assert_eq!(server.ask("DELETE", &path, "").await.status, 202);
    let gone = server.ask("GET", &path, "").await;
    assert_eq!((gone.status, gone.code().as_str()), (404, "BLOB_UNKNOWN"));
}

#[tokio::test]
async fn a_blob_that_breaks_off_is_not_passed_off_as_whole() {
    let server = start(patient());
    let digest = server.registry.add_blob(Bytes::from(vec![b'x'; 1_000_000]));
    server.registry.cut_streams();
    let reply = server.ask("GET", &format!("/v2/a/blobs/{digest}"), "").await;
    assert_eq!(reply.header("content-length"), Some("1000000"));
    assert!(reply.body.len() < 1_000_000);
}

#[tokio::test]
async fn uploads_tell_where_to_go_on() {
    let server = start(patient());
    let started = server.send("POST", "/v2/a/blobs/uploads/", "", b"").await;
    assert_eq!((started.status, started.header("range")), (202, Some("0-0")));
    let id = started.header("docker-upload-uuid").unwrap().to_string();
    let location = started.header("location").unwrap().to_string();
    assert_eq!(location, format!("/v2/a/blobs/uploads/{id}?offset=0"));

    let appended = server.send("PATCH", &location, "Content-Range: 0-4\r\n", b"hello").await;
    assert_eq!((appended.status, appended.header("range")), (202, Some("0-4")));
    assert_eq!(appended.header("location"), Some(format!("/v2/a/blobs/uploads/{id}?offset=5").as_str()));

    let late = server.send("PATCH", &location, "Content-Range: bytes 7-8/*\r\n", b"xx").await;
    assert_eq!((late.status, late.code().as_str(), late.header("range")), (416, "BLOB_UPLOAD_INVALID", Some("0-4")));
    let longer = server.send("PATCH", &location, "Content-Range: 5-6\r\n", b"xxx").await;
    assert_eq!((longer.status, longer.code().as_str()), (400, "SIZE_INVALID"));
    let shorter = server.send("PATCH", &location, "Content-Range: 5-9\r\n", b" wor").await;
    assert_eq!((shorter.status, shorter.code().as_str(), shorter.header("range")), (400, "SIZE_INVALID", Some("0-8")));
    let garbled = server.send("PATCH", &location, "Content-Range: five\r\n", b"x").await;
    assert_eq!((garbled.status, garbled.code().as_str()), (400, "BLOB_UPLOAD_INVALID"));

    let status = server.ask("GET", &format!("{location}&digest=sha256:nonsense"), "").await;
    assert_eq!((status.status, status.header("range"), status.body.as_str()), (204, Some("0-8"), ""));
    assert_eq!(server.ask("HEAD", &location, "").await.status, 204);

    let digest = digest_of(b"hello world");
    let finish = format!("/v2/a/blobs/uploads/{id}?_state=foreign&digest={digest}");
    let done = server.send("PUT", &finish, "", b"ld").await;
    assert_eq!(done.status, 201, "{done:?}");
    assert_eq!(done.header("location"), Some(format!("/v2/a/blobs/{digest}").as_str()));
    assert_eq!(done.header("docker-content-digest"), Some(digest.to_string().as_str()));
    // The answer was lost; the client sends it again.
    assert_eq!(server.send("PUT", &finish, "", b"ld").await.status, 201);
    let unknown = server.send("PUT", &finish.replace(digest.hex(), digest_of(b"other").hex()), "", b"").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"));
    let no_digest = server.send("PUT", &location, "", b"").await;
    assert_eq!((no_digest.status, no_digest.code().as_str()), (400, "DIGEST_INVALID"));
}

#[tokio::test]
async fn a_single_post_leaves_nothing_when_it_fails() {
    let server = start(patient());
    let digest = digest_of(b"hello");
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    let wrong = server.send("POST", &path, "", b"other").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "DIGEST_INVALID"));
    assert!(server.registry.upload_offsets().is_empty());
    assert_eq!(server.send("POST", &path, "", b"hello").await.status, 201);
    let mount = server.send("POST", &format!("/v2/b/blobs/uploads/?mount={digest}&from=a"), "", b"").await;
    assert_eq!((mount.status, mount.header("location")), (201, Some(format!("/v2/b/blobs/{digest}").as_str())));
    let unknown = digest_of(b"unknown");
    let mount = server.send("POST", &format!("/v2/b/blobs/uploads/?mount={unknown}&from=a"), "", b"").await;
    assert_eq!(mount.status, 202);
    for query in ["digest=sha256:x", "mount=nothing", "digest-algorithm=md5"] {
        let reply = server.send("POST", &format!("/v2/b/blobs/uploads/?{query}"), "", b"").await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "DIGEST_INVALID"), "{query}");
    }
}

#[tokio::test]
async fn manifests_keep_their_type_and_name_what_was_done() {
    let server = start(patient());
    let data = b"{\"schemaVersion\":2}";
    let digest = digest_of(data);
    let path = format!("/v2/a/manifests/{digest}?tag=v1&tag=v2");
    let headers = "Content-Type: application/vnd.oci.image.manifest.v1+json; charset=utf-8\r\n";
    let put = server.send("PUT", &path, headers, data).await;
    assert_eq!(put.status, 201, "{put:?}");
    assert_eq!(put.header("location"), Some(format!("/v2/a/manifests/{digest}").as_str()));
    assert_eq!(put.header("oci-subject"), Some(digest.to_string().as_str()));
    let tags: Vec<&str> = put.head.lines().filter(|line| line.starts_with("oci-tag")).collect();
    assert_eq!(tags, ["oci-tag: v1", "oci-tag: v2"]);

    let got = server.ask("GET", &format!("/v2/a/manifests/{digest}"), "Accept-Encoding: gzip\r\n").await;
    assert_eq!((got.status, got.body.as_bytes()), (200, &data[..]));
    assert_eq!(got.header("content-type"), Some("application/vnd.oci.image.manifest.v1+json"));
    let etag = got.header("etag").unwrap().to_string();
    let same = server.ask("GET", &format!("/v2/a/manifests/{digest}"), &format!("If-None-Match: {etag}\r\n")).await;
    assert_eq!((same.status, same.body.as_str()), (304, ""));

    let bad_tag = server.send("PUT", "/v2/a/manifests/-bad", headers, data).await;
    assert_eq!((bad_tag.status, bad_tag.code().as_str()), (400, "MANIFEST_INVALID"));
    let bad_digest = server.send("PUT", "/v2/a/manifests/sha256:bad", headers, data).await;
    assert_eq!((bad_digest.status, bad_digest.code().as_str()), (400, "DIGEST_INVALID"));
    let tags_on_tag = server.send("PUT", "/v2/a/manifests/v1?tag=v2", headers, data).await;
    assert_eq!((tags_on_tag.status, tags_on_tag.code().as_str()), (400, "MANIFEST_INVALID"));
    let many: Vec<String> = (0..101).map(|n| format!("tag=t{n}")).collect();
    let many = server.send("PUT", &format!("/v2/a/manifests/{digest}?{}", many.join("&")), headers, data).await;
    assert_eq!((many.status, many.code().as_str()), (414, "MANIFEST_INVALID"));
    assert_eq!(server.ask("GET", "/v2/a/manifests/-bad", "").await.code(), "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn lists_are_paged() {
    let server = start(patient());
    for (path, first, link) in [
        ("/v2/a/tags/list", "\"tags\":[\"a\",\"b\"]", "</v2/a/tags/list?last=b&n=2>; rel=\"next\""),
        ("/v2/_catalog", "\"repositories\":[\"a\",\"a/b\"]", "</v2/_catalog?last=a/b&n=2>; rel=\"next\""),
    ] {
        let page = server.ask("GET", &format!("{path}?n=2"), "").await;
        assert!(page.body.contains(first), "{page:?}");
        assert_eq!(page.header("link"), Some(link));
        let last = server.ask("GET", &format!("{path}?n=2&last=b"), "").await;
        assert_eq!(last.header("link"), None);
        let none = server.ask("GET", &format!("{path}?n=0"), "").await;
        assert!(none.body.contains(":[]") && none.header("link").is_none(), "{none:?}");
        assert_eq!(server.ask("GET", &format!("{path}?n=x"), "").await.status, 400);
    }
    let digest = digest_of(b"subject");
    let path = format!("/v2/a/referrers/{digest}?n=1&artifactType=a/b%2Bjson");
    let page = server.ask("GET", &path, "").await;
    assert_eq!(page.header("content-type"), Some("application/vnd.oci.image.index.v1+json"));
    assert_eq!(page.header("oci-filters-applied"), Some("artifactType"));
    let next =
        format!("</v2/a/referrers/{digest}?last=sha256:{}&n=1&artifactType=a/b%2Bjson>; rel=\"next\"", "1".repeat(64));
    assert_eq!(page.header("link"), Some(next.as_str()));
    assert_eq!(server.ask("GET", "/v2/a/referrers/sha256:x", "").await.status, 400);
    let foreign = server.ask("GET", "/v2/a/referrers/md5:d41d8cd98f00b204e9800998ecf8427e", "").await;
    assert_eq!(foreign.status, 200);
    assert!(foreign.body.contains("\"manifests\":[]"));
}

#[tokio::test]
async fn locations_are_absolute_when_configured() {
    let server =
        start(HttpConfig { relative_urls: false, trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..patient() });
    let plain = server.send("POST", "/v2/a/blobs/uploads/", "", b"").await;
    assert!(plain.header("location").unwrap().starts_with("http://test/v2/a/blobs/uploads/"), "{plain:?}");
    let forwarded = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: registry.example.org\r\n";
    let proxied = server.send("POST", "/v2/a/blobs/uploads/", forwarded, b"").await;
    assert!(proxied.header("location").unwrap().starts_with("https://registry.example.org/v2/"), "{proxied:?}");
}
