use std::time::Instant;

use bytes::Bytes;

use super::*;

#[tokio::test]
async fn a_connection_that_says_nothing_is_dropped() {
    for h2c in [true, false] {
        let server = start(HttpConfig { h2c, ..quick() });
        let text = server.converse("").await;
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408 "), "{text:?}");
    }
}

#[tokio::test]
async fn half_sent_heads_are_dropped_and_stop_nobody() {
    crate::http::raise_open_file_limit();
    let server = start(quick());
    let mut half_sent = Vec::new();
    for n in 0..1000 {
        let mut stream = server.connect().await;
        let piece = ["", "P", "PRI * HTTP/2", "GET /v2/ HTTP/1.1\r\nHost:"][n % 4];
        stream.write_all(piece.as_bytes()).await.unwrap();
        half_sent.push(stream);
    }
    let asked = Instant::now();
    assert_eq!(server.ask("GET", "/v2/", "").await.status, 200);
    assert!(asked.elapsed() < Duration::from_secs(5));
    for mut stream in half_sent {
        read_to_end(&mut stream).await;
    }
}

#[tokio::test]
async fn a_half_sent_second_head_is_dropped_too() {
    let server = start(quick());
    let mut stream = server.connect().await;
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: t\r\n\r\nGET /v2/ HTTP/1.1\r\nHo").await.unwrap();
    let text = read_to_end(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = start(quick());
    let text = server.converse("GET /v2/ HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert!(text.ends_with("{}"), "{text}");
}

#[tokio::test]
async fn a_long_body_is_not_an_idle_connection() {
    let server = start(quick());
    let started = server.send("POST", "/v2/a/blobs/uploads/", "", b"").await;
    let location = started.header("location").unwrap();
    let mut stream = server.connect().await;
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 20\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..20 {
        // Longer in all than the connection could be idle.
        tokio::time::sleep(Duration::from_millis(60)).await;
        stream.write_all(b"x").await.unwrap();
    }
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 202 "));
}

#[tokio::test]
async fn http2_is_spoken_in_clear_text_and_over_tls() {
    // Another test may have installed it already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let data = Bytes::from(vec![b'z'; 3_000_000]);
    let clear = start(patient());
    clear.registry.offer_senders();
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    pull_and_push(&client, &format!("http://{}", clear.address()), &clear, &data).await;

    let folder = tempfile::tempdir().unwrap();
    let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_string()]).unwrap();
    let (certificate_file, key_file) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate_file, issued.cert.pem()).unwrap();
    std::fs::write(&key_file, issued.signing_key.serialize_pem()).unwrap();
    let tls = Some(crate::config::TlsConfig { certificate_file, key_file });
    let secure = start(HttpConfig { tls, ..patient() });
    secure.registry.offer_senders();
    let root = reqwest::Certificate::from_pem(issued.cert.pem().as_bytes()).unwrap();
    for only_http1 in [false, true] {
        let builder = reqwest::Client::builder().tls_certs_only([root.clone()]);
        let builder = if only_http1 { builder.http1_only() } else { builder };
        let client = builder.build().unwrap();
        let base = format!("https://{}", secure.address());
        let version = client.get(format!("{base}/v2/")).send().await.unwrap().version();
        let wanted = if only_http1 { reqwest::Version::HTTP_11 } else { reqwest::Version::HTTP_2 };
        assert_eq!(version, wanted);
        pull_and_push(&client, &base, &secure, &data).await;
        secure.registry.take_turns();
        pull_and_push(&client, &base, &secure, &data).await;
        assert_eq!(secure.registry.turns_taken() > 0, only_http1, "frames are received before");
    }
    // Frames and records are made here, so that no content can go past what makes them.
    assert_eq!((clear.registry.sent_directly(), secure.registry.sent_directly()), (0, 0));
}

async fn pull_and_push(client: &reqwest::Client, base: &str, server: &TestServer, data: &Bytes) {
    let digest = server.registry.add_blob(data.clone());
    let path = format!("{base}/v2/a/blobs/{digest}");
    let pulled = client.get(&path).send().await.unwrap();
    assert_eq!(pulled.status(), 200);
    assert_eq!(pulled.bytes().await.unwrap(), data);
    let head = client.head(&path).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], data.len().to_string().as_str());
    let missing = client.get(path.replace(digest.hex(), &"0".repeat(64))).send().await.unwrap();
    assert_eq!(missing.status(), 404);
    let posted = client.post(format!("{base}/v2/a/blobs/uploads/?digest={digest}")).body(data.clone());
    assert_eq!(posted.send().await.unwrap().status(), 201);
    // A body that is not wanted ends its stream, not the connection.
    let refused = client.put(format!("{base}/v2/a/manifests/v1")).body(data.clone()).send().await.unwrap();
    assert_eq!(refused.status(), 413);
    assert_eq!(client.get(format!("{base}/v2/")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_silent_http2_connection_is_dropped() {
    let server = start(quick());
    let preface_and_settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut stream = server.connect().await;
    stream.write_all(preface_and_settings).await.unwrap();
    let mut frames = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut frames)).await.expect("the server does not close").unwrap();
    assert!(!frames.is_empty());
}

#[tokio::test]
async fn a_silent_tls_handshake_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    let (certificate_file, key_file) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate_file, issued.cert.pem()).unwrap();
    std::fs::write(&key_file, issued.signing_key.serialize_pem()).unwrap();
    let tls = Some(crate::config::TlsConfig { certificate_file, key_file });
    let server = start(HttpConfig { tls, ..quick() });
    assert_eq!(server.converse("").await, "");
    let missing = crate::config::TlsConfig { certificate_file: "/nowhere".into(), key_file: "/nowhere".into() };
    let error = crate::http::tls::acceptor(&missing).err().expect("an error").to_string();
    assert!(error.contains("/nowhere"), "{error}");
}

#[tokio::test]
async fn connections_over_the_limit_wait() {
    let server = start(HttpConfig { max_connections: 1, ..patient() });
    let mut first = server.connect().await;
    first.write_all(b"GET /v2/ HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = server.connect().await;
    second.write_all(b"GET /v2/ HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    let early = timeout(Duration::from_millis(200), second.read_exact(&mut byte)).await;
    assert!(early.is_err(), "a second connection was served beside the first");
    drop(first);
    timeout(PATIENCE, second.read_exact(&mut byte)).await.unwrap().unwrap();
}
