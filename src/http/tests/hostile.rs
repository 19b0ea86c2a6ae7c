//! Requests that try to be read in another way than they were meant, and clients that take nothing.

use bytes::Bytes;
use futures_util::future::join_all;

use super::early_answers::{IN_FLIGHT, flood};
use super::*;

#[tokio::test]
async fn what_follows_an_answer_that_closes_is_not_a_request() {
    let server = start(quick());
    let start_upload = "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n";
    for first in [
        // Refused before its body, which is whole and in the same packet, was read.
        "POST /nowhere HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "PUT /v2/UPPER/manifests/v1 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        // The client itself wants the end.
        "GET /v2/ HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
    ] {
        let text = server.converse(format!("{first}{start_upload}")).await;
        let closed = text.find("connection: close").unwrap_or_else(|| panic!("{first}: {text}"));
        assert!(!text[closed..].contains("HTTP/1.1 2"), "{first}: {text}");
        assert!(server.registry.upload_offsets().is_empty(), "{first}: {text}");
    }
}

#[tokio::test]
async fn a_tunnel_is_not_offered() {
    let server = start(quick());
    for head in [
        "GET /v2/ HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "CONNECT t:80 HTTP/1.1\r\nHost: t\r\n\r\n",
    ] {
        let (answer, taken) = flood(server.address(), head).await;
        let reply = Reply::parse(&answer);
        assert!(matches!(reply.status, 200 | 400 | 404 | 405), "{head}: {reply:?}");
        assert!(taken < IN_FLIGHT, "{head}: {taken} bytes were taken");
    }
}

#[tokio::test]
async fn heads_with_two_meanings_are_refused() {
    let server = start(quick());
    let hidden = "0\r\n\r\nPOST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n";
    for head in [
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding : chunked\r\n\r\n",
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "PUT /v2/a/manifests/v1 HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n",
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: t\r\nContent-Length: +5\r\n\r\n",
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: t\r\nX: a\r\n Content-Length: 5\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n",
    ] {
        let text = server.converse(format!("{head}{hidden}")).await;
        assert!(text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.0 4"), "{head}: {text}");
        assert!(server.registry.upload_offsets().is_empty(), "{head}: {text}");
    }
}

#[tokio::test]
async fn a_request_without_a_host_is_refused() {
    let server = start(quick());
    let reply = Reply::parse(&server.converse("GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n").await);
    assert_eq!(reply.status, 400);
    let reply = Reply::parse(&server.converse("GET /v2/ HTTP/1.0\r\n\r\n").await);
    assert_eq!(reply.status, 200);
    let reply =
        Reply::parse(&server.converse("GET http://t/v2/ HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await);
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_client_that_has_sent_all_and_half_closed_is_answered() {
    let server = start(quick());
    let digest = server.registry.add_blob(Bytes::from(vec![7; 1 << 20]));
    let mut stream = server.connect().await;
    let request = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: t\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let reply = Reply::parse(&read_to_end(&mut stream).await);
    assert_eq!((reply.status, reply.body.len()), (200, 1 << 20));
}

#[tokio::test]
async fn a_body_that_waits_to_be_asked_for_is_refused_without_it() {
    let server = start(quick());
    let head =
        "PUT /v2/UPPER/manifests/v1 HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n";
    let text = server.converse(head).await;
    let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
    let reply = Reply::parse(text);
    assert_eq!((reply.status, reply.header("connection")), (400, Some("close")));
}

#[tokio::test]
async fn unread_bodies_do_not_starve_an_http2_connection() {
    let server = start(patient());
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let base = format!("http://{}", server.address());
    let refused = (0..40).map(|_| async {
        let sent = client.put(format!("{base}/v2/UPPER/manifests/v1")).body(vec![0; 3 << 20]).send().await;
        sent.expect("an answer").status().as_u16()
    });
    let statuses = timeout(PATIENCE, join_all(refused)).await.expect("starved");
    assert!(statuses.iter().all(|status| *status == 400), "{statuses:?}");
    let started = client.post(format!("{base}/v2/a/blobs/uploads/")).send().await.unwrap();
    let location = started.headers()["location"].to_str().unwrap().to_string();
    let patched = client.patch(format!("{base}{location}")).body(vec![0; 5 << 20]).send();
    assert_eq!(timeout(PATIENCE, patched).await.expect("starved").unwrap().status(), 202);
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A connection that lets the server send nothing of a body, and asks for `path` on every stream. The
/// header block is HPACK: `:method: GET`, `:scheme: http`, `:authority: t`, `:path` in full.
async fn ask_with_a_closed_window(server: &TestServer, path: &str, streams: u32) -> TcpStream {
    const SETTINGS: u8 = 4;
    const HEADERS: u8 = 1;
    const END_STREAM_AND_HEADERS: u8 = 5;
    const INITIAL_WINDOW_SIZE: [u8; 6] = [0, 4, 0, 0, 0, 0];
    let mut stream = server.connect().await;
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(SETTINGS, 0, 0, &INITIAL_WINDOW_SIZE));
    let length = u8::try_from(path.len()).unwrap();
    assert!(length < 127);
    let block = [&[0x82, 0x86, 0x01, 1, b't', 0x04, length], path.as_bytes()].concat();
    for n in 0..streams {
        sent.extend(frame(HEADERS, END_STREAM_AND_HEADERS, 2 * n + 1, &block));
    }
    stream.write_all(&sent).await.unwrap();
    stream
}

/// Answers what the server asks, until it closes.
async fn stay_alive(mut stream: TcpStream) {
    const PING: u8 = 6;
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if stream.read_exact(&mut payload).await.is_err() {
            return;
        }
        if head[3] == PING && head[4] == 0 && stream.write_all(&frame(PING, 1, 0, &payload)).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let config = HttpConfig { head_timeout: Duration::from_millis(300), ..patient() };
    let server = start_with_stall(config, Duration::from_millis(500));
    let digest = server.registry.add_blob(Bytes::from(vec![7; 32 << 20]));
    let path = format!("/v2/a/blobs/{digest}");
    // Of HTTP/1.1 the kernel's buffers are full; of HTTP/2 the client's window is closed.
    let mut plain = server.connect().await;
    plain.write_all(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes()).await.unwrap();
    let framed = ask_with_a_closed_window(&server, &path, 10).await;
    timeout(PATIENCE, stay_alive(framed)).await.expect("the connection lives on");
    timeout(PATIENCE, server.server.stop(PATIENCE)).await.expect("the server does not end");
    drop(plain);
}
