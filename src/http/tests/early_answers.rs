use bytes::Bytes;

use super::*;
use crate::http::fake::digest_of;
use crate::registry::RegistryError;

/// Sends a body without end until the server takes no more and closes; gives the answer and how many
/// bytes it took, the kernel's buffers included.
pub(super) async fn flood(address: SocketAddr, head: &str) -> (String, u64) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut read_half, mut write_half) = stream.into_split();
    write_half.write_all(head.as_bytes()).await.unwrap();
    let writing = tokio::spawn(async move {
        let piece = Bytes::from(format!("10000\r\n{}\r\n", "x".repeat(0x10000)));
        let mut taken = 0;
        while write_half.write_all(&piece).await.is_ok() {
            taken += piece.len() as u64;
        }
        taken
    });
    let mut answer = Vec::new();
    // A reset ends the answer as well as a close.
    let _ = timeout(PATIENCE, read_half.read_to_end(&mut answer)).await.expect("the server does not close");
    let taken = timeout(PATIENCE, writing).await.expect("the server does not close").unwrap();
    (String::from_utf8_lossy(&answer).into_owned(), taken)
}

/// What both kernels' buffers of a loopback connection hold at most, and some more.
pub(super) const IN_FLIGHT: u64 = 24 << 20;

#[tokio::test]
async fn an_early_answer_closes_and_reads_no_more_of_the_body() {
    let server = start(quick());
    let started = server.send("POST", "/v2/a/blobs/uploads/", "", b"").await;
    let location = started.header("location").unwrap().to_string();
    server.registry.fail_send_after(1 << 20, || RegistryError::StorageFull);
    let chunked = "Host: t\r\nTransfer-Encoding: chunked\r\n";
    for (head, status) in [
        (format!("PATCH {location} HTTP/1.1\r\n{chunked}\r\n"), 507),
        (format!("PATCH {location} HTTP/1.1\r\n{chunked}Content-Range: 7-8\r\n\r\n"), 416),
        (format!("PUT /v2/a/manifests/v1 HTTP/1.1\r\n{chunked}\r\n"), 413),
        (format!("PUT /v2/UPPER/manifests/v1 HTTP/1.1\r\n{chunked}\r\n"), 400),
        (format!("POST /nowhere HTTP/1.1\r\n{chunked}\r\n"), 404),
        ("PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: t\r\nContent-Length: 999999999999\r\n\r\n".to_string(), 413),
    ] {
        let before = server.registry.received();
        let (answer, taken) = flood(server.address(), &head).await;
        let reply = Reply::parse(&answer);
        assert_eq!(reply.status, status, "{head}");
        assert_eq!(reply.header("connection"), Some("close"), "{head}");
        reply.code();
        assert!(taken < IN_FLIGHT, "{head}: {taken} bytes were taken");
        assert!(server.registry.received() - before <= (1 << 20) + (1 << 18), "{head}");
    }
}

/// Limits and policies refuse a body before it is read, or end it while it comes.
#[tokio::test]
async fn limits_and_policies_answer_before_the_body_and_close() {
    type Refusal = (fn() -> RegistryError, u16);
    let over_limit =
        || RegistryError::OverLimit { limit: "max_open".into(), value: 1, retry_after: Duration::from_secs(7) };
    let chunked = "Host: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    let refusals: [Refusal; 4] = [
        (over_limit, 429),
        (|| RegistryError::StorageLow, 507),
        (|| RegistryError::TooLarge { limit_bytes: 1 }, 413),
        (|| RegistryError::PolicyStruck { policy: "max_age" }, 408),
    ];
    for (error, status) in refusals {
        let server = start(quick());
        let started = server.send("POST", "/v2/a/blobs/uploads/", "", b"").await;
        let location = started.header("location").unwrap().to_string();
        server.registry.fail_start(error);
        server.registry.fail_write(error);
        let digest = digest_of(b"x");
        for head in [
            format!("POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\n{chunked}"),
            format!("PATCH {location} HTTP/1.1\r\n{chunked}"),
            format!("PUT {location}&digest={digest} HTTP/1.1\r\n{chunked}"),
        ] {
            let (answer, taken) = flood(server.address(), &head).await;
            let reply = Reply::parse(&answer);
            assert_eq!((reply.status, reply.header("connection")), (status, Some("close")), "{head}");
            assert_eq!(reply.header("retry-after").is_some(), status == 429, "{head}");
            reply.code();
            assert!(taken < IN_FLIGHT, "{head}: {taken} bytes were taken");
        }
        assert_eq!(server.registry.received(), 0);
        // Only a refusal that leaves the upload as it was says where that is.
        assert_eq!(server.registry.status_calls(), if status == 413 { 2 } else { 0 }, "{status}");
    }
}

#[tokio::test]
async fn a_policy_that_strikes_ends_the_body_that_is_being_sent() {
    for takes_turns in [false, true] {
        for (policy, status) in [("min_rate", 408), ("operator", 408), ("max_size", 413)] {
            let server = start(quick());
            if takes_turns {
                server.registry.take_turns();
            }
            let started = server.send("POST", "/v2/a/blobs/uploads/", "", b"").await;
            let location = started.header("location").unwrap();
            let mut stream = server.connect().await;
            let head = format!("PATCH {location} HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\nhello");
            stream.write_all(head.as_bytes()).await.unwrap();
            while server.registry.received() < 5 {
                tokio::task::yield_now().await;
            }
            server.registry.end_writer(move || RegistryError::PolicyStruck { policy });
            let reply = Reply::parse(&read_to_end(&mut stream).await);
            assert_eq!((reply.status, reply.header("connection")), (status, Some("close")), "{policy}");
            assert!(reply.body.contains(policy), "{reply:?}");
            // There is nothing to go on with, and nobody is asked for it.
            assert_eq!((reply.header("location"), reply.header("range")), (None, None));
            assert_eq!(server.registry.status_calls(), 0);
        }
    }
}

#[tokio::test]
async fn a_small_rest_does_not_cost_the_connection() {
    let server = start(patient());
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream
            .write_all(b"PUT /v2/UPPER/manifests/v1 HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello")
            .await
            .unwrap();
        let mut start = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut start)).await.unwrap().unwrap();
        assert_eq!(&start, b"HTTP/1.1 400");
        let mut rest = Vec::new();
        while !rest.ends_with(b"}]}") {
            rest.push(stream.read_u8().await.unwrap());
        }
        assert!(!String::from_utf8_lossy(&rest).contains("connection: close"));
    }
}

#[tokio::test]
async fn a_body_that_falls_silent_is_told_and_what_came_is_kept() {
    for takes_turns in [false, true] {
        let server = start_with_body_timeout(quick(), Duration::from_millis(200));
        if takes_turns {
            server.registry.take_turns();
        }
        let started = server.send("POST", "/v2/a/blobs/uploads/", "", b"").await;
        let location = started.header("location").unwrap();
        let request = format!("PATCH {location} HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\nhello");
        let reply = Reply::parse(&server.converse(request).await);
        assert_eq!((reply.status, reply.code().as_str()), (408, "BLOB_UPLOAD_INVALID"));
        assert_eq!((reply.header("connection"), reply.header("range")), (Some("close"), Some("0-4")));
        assert_eq!(server.registry.upload_offsets(), [5]);
    }
}

/// Its upload is gone with it, and is no news to the client.
#[tokio::test]
async fn a_single_post_that_falls_silent_or_is_cut_is_told_so_and_leaves_nothing() {
    for takes_turns in [false, true] {
        let server = start_with_body_timeout(quick(), Duration::from_millis(200));
        if takes_turns {
            server.registry.take_turns();
        }
        let head = format!("POST /v2/a/blobs/uploads/?digest={}", digest_of(b"hello"));
        let request = format!("{head} HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\nhello");
        let reply = Reply::parse(&server.converse(&request).await);
        assert_eq!((reply.status, reply.code().as_str()), (408, "BLOB_UPLOAD_INVALID"));
        assert_eq!(reply.header("range"), None);
        let mut stream = server.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let reply = Reply::parse(&read_to_end(&mut stream).await);
        assert_eq!((reply.status, reply.code().as_str()), (400, "SIZE_INVALID"));
        assert!(server.registry.upload_offsets().is_empty());
    }
}

#[tokio::test]
async fn a_body_that_is_cut_is_kept() {
    for takes_turns in [false, true] {
        let server = start(patient());
        if takes_turns {
            server.registry.take_turns();
        }
        let started = server.send("POST", "/v2/a/blobs/uploads/", "", b"").await;
        let location = started.header("location").unwrap();
        let mut stream = server.connect().await;
        let request = format!("PATCH {location} HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nhello");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let reply = Reply::parse(&read_to_end(&mut stream).await);
        assert_eq!((reply.status, reply.code().as_str()), (400, "SIZE_INVALID"));
        assert_eq!(server.registry.upload_offsets(), [5]);
    }
}

#[tokio::test]
async fn a_broken_transfer_coding_is_told() {
    for takes_turns in [false, true] {
        let server = start(quick());
        if takes_turns {
            server.registry.take_turns();
        }
        let started = server.send("POST", "/v2/a/blobs/uploads/", "", b"").await;
        let location = started.header("location").unwrap();
        let head =
            format!("PATCH {location} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n");
        let text = server.converse(head).await;
        assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
        assert_eq!(server.registry.upload_offsets(), [5]);
    }
}

/// How many sockets of a process have this local address, the listener's included. (What the kernel keeps
/// of a closed one has no inode.)
fn open_sockets(local: SocketAddr) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{:04X}", local.port());
    let is_open = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&port) && fields[9] != "0"
    };
    table.lines().skip(1).filter(is_open).count()
}

#[tokio::test]
async fn early_answers_leave_no_descriptor() {
    let server = start(quick());
    let digest = digest_of(b"x");
    let head =
        format!("PUT /v2/a/blobs/{digest} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    assert_eq!(open_sockets(server.address()), 1);
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut stream = server.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 405 "));
        // The client keeps its side open.
        clients.push(stream);
    }
    let ends_at = tokio::time::Instant::now() + PATIENCE;
    while open_sockets(server.address()) > 1 {
        assert!(tokio::time::Instant::now() < ends_at, "{} sockets stay open", open_sockets(server.address()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_writer_that_was_replaced_is_told_at_once() {
    let server = start(quick());
    let started = server.send("POST", "/v2/a/blobs/uploads/", "", b"").await;
    let location = started.header("location").unwrap();
    let mut stream = server.connect().await;
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\nhello");
    stream.write_all(head.as_bytes()).await.unwrap();
    while server.registry.received() < 5 {
        tokio::task::yield_now().await;
    }
    server.registry.take_over();
    let reply = Reply::parse(&read_to_end(&mut stream).await);
    assert_eq!((reply.status, reply.code().as_str()), (409, "BLOB_UPLOAD_INVALID"));
    assert_eq!(reply.header("connection"), Some("close"));
}

#[tokio::test]
async fn an_early_answer_ends_an_http2_stream_and_not_its_connection() {
    // Another test may have installed it already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // With a keep-alive below a second a busy HTTP/2 connection is ended (see `http.keep_alive`).
    let server = start(patient());
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let base = format!("http://{}/v2", server.address());
    for _ in 0..20 {
        let taken = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counter = Arc::clone(&taken);
        let endless = futures_util::stream::repeat_with(move || {
            counter.fetch_add(1 << 16, std::sync::atomic::Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1 << 16]))
        });
        let request = client.put(format!("{base}/a/manifests/v1")).body(reqwest::Body::wrap_stream(endless));
        let refused = timeout(PATIENCE, request.send()).await.expect("an answer").unwrap();
        assert_eq!(refused.status(), 413);
        // The windows of the stream and of its connection, and what the client had ready.
        assert!(taken.load(std::sync::atomic::Ordering::Relaxed) < 16 << 20);
    }
    // The bytes that nobody read were given back to the connection's window.
    assert_eq!(client.get(format!("{base}/")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_is_told() {
    let server = start(quick());
    let head = "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let mut stream = server.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    timeout(PATIENCE, stream.read_exact(&mut interim)).await.unwrap().unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    assert_eq!(Reply::parse(&read_to_end(&mut stream).await).status, 201);
}
