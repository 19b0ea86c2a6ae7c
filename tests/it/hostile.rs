//! What nobody means well with.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::{
    Registry, ReplyExt as _, Storage, code_of, digest_of, eventually, files_below, random, raw_exchange, raw_head,
    read_reply, read_to_close, with_digest,
};

on_both_drivers! {
    path_tricks_touch_nothing,
    requests_that_could_be_read_in_two_ways_are_refused,
    garbage_is_survived,
}

async fn path_tricks_touch_nothing(registry: &Registry) {
    let digest = digest_of(b"x");
    for path in [
        "/v2/../../etc/passwd".to_string(),
        "/v2/a/../b/tags/list".to_string(),
        "/v2/a/%2e%2e/tags/list".to_string(),
        "/v2/a%2f..%2fb/tags/list".to_string(),
        "/v2/a/manifests/..%2f..%2f..%2fetc%2fpasswd".to_string(),
        "/v2/a%00b/tags/list".to_string(),
        "/v2/a/manifests/v1%00".to_string(),
        "/v2/a\\b/tags/list".to_string(),
        "/v2/a%5c..%5cb/tags/list".to_string(),
        "/v2//tags/list".to_string(),
        "//v2/a/tags/list".to_string(),
        "/v2/a/blobs/sha256:../../../../etc/passwd".to_string(),
        format!("/v2/a/blobs/{}/../x", digest),
        "/v2/a/blobs/uploads/..%2f..%2fx".to_string(),
        "/v2/a/%ff%fe/tags/list".to_string(),
        format!("/v2/{}/tags/list", "a/".repeat(500)),
        format!("/v2/{}/tags/list", "a".repeat(100_000)),
        format!("/v2/a/manifests/{}", "a".repeat(5000)),
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let request = raw_head(method, &path, "Content-Length: 0\r\nConnection: close\r\n");
            let reply = raw_exchange(registry.address(), request).await.expect("an answer");
            assert!(matches!(reply.status, 400 | 404 | 405), "{method} {path}: {}", reply.head);
            if !reply.body.is_empty() {
                code_of(&reply.body);
            }
        }
    }
    let root = registry.root();
    if root.exists() {
        let kept: Vec<_> = files_below(&root).into_iter().filter(|file| file.starts_with("docker")).collect();
        assert!(kept.is_empty(), "{kept:?}");
    }
}

async fn requests_that_could_be_read_in_two_ways_are_refused(registry: &Registry) {
    let location = registry.begin("repo1").await;
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 5x\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Transfer-Encoding: gzip, chunked, identity\r\n",
    ] {
        let request = format!("{}0\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: t\r\n\r\n", raw_head("PATCH", &location, headers));
        let mut stream = TcpStream::connect(registry.address()).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("a request");
        let reply = read_reply(&mut stream).await.expect("an answer");
        assert!(matches!(reply.status, 400 | 408 | 501), "{headers}: {}", reply.head);
        assert!(read_reply(&mut stream).await.is_none(), "{headers}: what followed was taken for a request");
    }
    assert_eq!(registry.stands_at(&location).await, "0-0");
    registry.delete(&location).await.expect(204).await;
}

/// Sends pieces until the server takes no more; gives how many bytes it took, buffers included.
async fn flood(stream: &mut tokio::net::tcp::OwnedWriteHalf) -> u64 {
    let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).into_bytes();
    let mut taken = 0;
    while stream.write_all(&piece).await.is_ok() {
        taken += piece.len() as u64;
    }
    taken
}

#[tokio::test]
async fn endless_bodies_that_nobody_wants_are_not_read() {
    let closing = Duration::from_millis(500);
    let registry = Registry::start_with(Storage::Filesystem, |config| config.http.disconnect_timeout = closing).await;
    let location = registry.begin("repo1").await;
    let unknown = location.replace("repo1", "repo2");
    for (head, status) in [
        (raw_head("PATCH", &location, "Transfer-Encoding: chunked\r\nContent-Range: 7-99999999\r\n"), 416),
        (raw_head("PATCH", &unknown, "Transfer-Encoding: chunked\r\n"), 404),
        (raw_head("PUT", "/v2/repo1/manifests/v1", "Transfer-Encoding: chunked\r\n"), 413),
        (raw_head("POST", "/nowhere", "Transfer-Encoding: chunked\r\n"), 404),
    ] {
        let stream = TcpStream::connect(registry.address()).await.expect("a connection");
        let (mut read_half, mut write_half) = stream.into_split();
        write_half.write_all(head.as_bytes()).await.expect("a head");
        let begun = Instant::now();
        let flooding = tokio::spawn(async move { flood(&mut write_half).await });
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut read_half, &mut answer).await;
        let taken = flooding.await.expect("no panic");
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {text}");
        // What both kernels hold for a connection, and no body without end.
        assert!(taken < 64 << 20, "{head}: {taken} bytes were taken");
        assert!(begun.elapsed() < closing + Duration::from_secs(3), "{head}: closed after {:?}", begun.elapsed());
    }
    registry.delete(&location).await.expect(204).await;
    registry.finish().await;
}

async fn garbage_is_survived(registry: &Registry) {
    for garbage in [
        b"\0\0\0\0\0\0\0\0".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame at all".to_vec(),
        random(5000).to_vec(),
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX: \x01\x02\r\n\r\n".to_vec(),
        [b"GET /".to_vec(), vec![b'a'; 300_000], b" HTTP/1.1\r\n\r\n".to_vec()].concat(),
    ] {
        let mut stream = TcpStream::connect(registry.address()).await.expect("a connection");
        // The server may close before it took all.
        let _ = stream.write_all(&garbage).await;
        let _ = stream.shutdown().await;
        read_to_close(&mut stream).await;
    }
    registry.get("/v2/").await.expect(200).await;
}

#[tokio::test]
async fn a_thousand_half_sent_heads_stop_nobody() {
    let registry = Registry::start_with(Storage::Memory, |config| {
        config.http.head_timeout = Duration::from_millis(500);
        config.http.keep_alive = Duration::from_millis(500);
    })
    .await;
    let mut half_sent = Vec::new();
    for n in 0..1000 {
        let mut stream = TcpStream::connect(registry.address()).await.expect("a connection");
        let piece = ["", "PR", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /v2/ HTTP/1.1\r\nHost:"][n % 4];
        stream.write_all(piece.as_bytes()).await.expect("a piece");
        half_sent.push(stream);
    }
    let asked = Instant::now();
    registry.get("/v2/").await.expect(200).await;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    for mut stream in half_sent {
        read_to_close(&mut stream).await;
    }
    registry.finish().await;
}

#[tokio::test]
async fn descriptors_come_back() {
    let registry = Registry::start_with(Storage::Filesystem, |config| {
        config.http.disconnect_timeout = Duration::from_millis(200);
    })
    .await;
    let root = registry.root();
    let files_open = || {
        let links = std::fs::read_dir("/proc/self/fd").expect("descriptors");
        let targets = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
        targets.filter(|target| target.starts_with(&root)).count()
    };
    let before = files_open();
    for _ in 0..30 {
        let location = registry.begin("repo1").await;
        let data = random(10_000);
        // Cut in the middle.
        let mut stream = TcpStream::connect(registry.address()).await.expect("a connection");
        let head = raw_head("PATCH", &location, "Content-Length: 10000\r\n");
        stream.write_all(head.as_bytes()).await.expect("a head");
        stream.write_all(&data[..5000]).await.expect("a part");
        drop(stream);
        eventually("the part", async || registry.stands_at(&location).await == "0-4999").await;
        let range = [("content-range", "5000-9999")];
        let finish = with_digest(&location, &digest_of(&data));
        registry.send(reqwest::Method::PUT, &finish, data.slice(5000..), &range).await.expect(201).await;
        // Refused before its body was read.
        let refused = raw_head("PATCH", &location, "Content-Length: 1000000\r\n");
        assert_eq!(raw_exchange(registry.address(), refused).await.expect("an answer").status, 404);
    }
    eventually("the files' end", async || files_open() <= before).await;
    registry.finish().await;
}
