//! Content that goes to the socket past actix-http.

use bytes::Bytes;

use super::*;

/// More than sockets and buffers on the way take.
const LARGE_BYTES: usize = 32 << 20;

fn blob(size_bytes: usize, seed: usize) -> Bytes {
    (0..size_bytes).map(|at| (at / 251 + at + seed) as u8).collect()
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: t\r\n{headers}\r\n")
}

/// Reads one answer of a connection that stays open: its head, and a body of the length that this tells.
async fn read_answer(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.expect("nothing comes").unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().unwrap()];
    timeout(PATIENCE, stream.read_exact(&mut body)).await.expect("the body does not come").unwrap();
    (head, body)
}

#[tokio::test]
async fn answers_on_one_connection_stay_in_order() {
    let server = start(patient());
    server.registry.offer_senders();
    let (large, small) = (blob(LARGE_BYTES, 1), blob(70_000, 2));
    let large_path = format!("/v2/a/blobs/{}", server.registry.add_blob(large.clone()));
    let small_path = format!("/v2/a/blobs/{}", server.registry.add_blob(small.clone()));
    let mut stream = server.connect().await;
    for _ in 0..3 {
        let requests = [
            get(&large_path, ""),
            get("/v2/", ""),
            get(&small_path, ""),
            get(&large_path, "Range: bytes=1000-20000999\r\n"),
            get("/v2/a/blobs/none", ""),
        ];
        stream.write_all(requests.concat().as_bytes()).await.unwrap();
        let (head, body) = read_answer(&mut stream).await;
        assert!(head.starts_with("http/1.1 200 ") && !head.contains("transfer-encoding"), "{head}");
        assert!(body == large);
        assert_eq!(read_answer(&mut stream).await.1, b"{}");
        assert!(read_answer(&mut stream).await.1 == small);
        let (head, body) = read_answer(&mut stream).await;
        assert!(head.starts_with("http/1.1 206 "), "{head}");
        assert!(body == large[1000..20_001_000]);
        let (head, _) = read_answer(&mut stream).await;
        assert!(head.starts_with("http/1.1 400 "), "{head}");
    }
    assert_eq!(server.registry.sent_directly(), 3 * (LARGE_BYTES as u64 + 70_000 + 20_000_000));
    let labels = crate::telemetry::DirectionLabels { direction: "out" };
    assert_eq!(server.metrics.blob_bytes.get_or_create_owned(&labels).get(), server.registry.sent_directly());
}

#[tokio::test]
async fn heads_alone_and_closing_clients_are_served() {
    let server = start(patient());
    server.registry.offer_senders();
    let data = blob(1_000_000, 1);
    let path = format!("/v2/a/blobs/{}", server.registry.add_blob(data.clone()));
    let head = server.ask("HEAD", &path, "").await;
    assert_eq!((head.status, head.header("content-length"), head.body.as_str()), (200, Some("1000000"), ""));
    let mut old = server.connect().await;
    old.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    assert!(read_answer(&mut old).await.1 == data);
    assert_eq!(old.read(&mut [0]).await.unwrap(), 0, "an old client's connection stays open");
    // The end of what the client sends is not the end of what it wants.
    let mut half_closed = server.connect().await;
    half_closed.write_all(get(&path, "").as_bytes()).await.unwrap();
    half_closed.shutdown().await.unwrap();
    assert!(read_answer(&mut half_closed).await.1 == data);
    assert_eq!(half_closed.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(server.registry.sent_directly(), 2_000_000);
}

#[tokio::test]
async fn content_that_is_too_short_ends_the_connection() {
    let server = start(patient());
    server.registry.offer_senders();
    let path = format!("/v2/a/blobs/{}", server.registry.add_blob(blob(1_000_000, 1)));
    server.registry.cut_streams();
    let mut stream = server.connect().await;
    stream.write_all([get(&path, ""), get("/v2/", "")].concat().as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server does not close");
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    assert_eq!(bytes.len() - head, 500_000, "something follows what could be read");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_dropped() {
    let server = start_with_stall(patient(), Duration::from_millis(300));
    server.registry.offer_senders();
    let path = format!("/v2/a/blobs/{}", server.registry.add_blob(blob(LARGE_BYTES, 1)));
    let holders = server.registry.holders();
    let mut stream = server.connect().await;
    stream.write_all(get(&path, "").as_bytes()).await.unwrap();
    timeout(PATIENCE, until(|| server.registry.sent_directly() > 0)).await.expect("it begins");
    timeout(PATIENCE, until(|| server.registry.holders() == holders)).await.expect("its content stays open");
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the server does not close");
    assert!(rest.len() < LARGE_BYTES);
}

#[tokio::test]
async fn a_client_that_leaves_leaves_nothing_behind() {
    let server = start(patient());
    server.registry.offer_senders();
    let path = format!("/v2/a/blobs/{}", server.registry.add_blob(blob(LARGE_BYTES, 1)));
    let holders = server.registry.holders();
    for _ in 0..20 {
        let mut stream = server.connect().await;
        stream.write_all(get(&path, "").as_bytes()).await.unwrap();
        stream.read_exact(&mut [0; 1000]).await.unwrap();
    }
    timeout(PATIENCE, until(|| server.registry.holders() == holders)).await.expect("content stays open");
    timeout(PATIENCE, server.server.stop(PATIENCE)).await.expect("the stop waits for who has left");
}

#[tokio::test]
async fn a_stop_waits_for_content_that_is_on_its_way() {
    let server = start(patient());
    server.registry.offer_senders();
    let data = blob(LARGE_BYTES, 1);
    let path = format!("/v2/a/blobs/{}", server.registry.add_blob(data.clone()));
    let (registry, address) = (server.registry.clone(), server.address());
    let mut stream = server.connect().await;
    stream.write_all(get(&path, "").as_bytes()).await.unwrap();
    timeout(PATIENCE, until(|| registry.sent_directly() > 0)).await.expect("it begins");
    let stopping = tokio::spawn(server.server.stop(PATIENCE));
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(read_answer(&mut stream).await.1 == data);
    drop(stream);
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}
