use super::*;
use crate::http::fake::digest_of;

#[tokio::test]
async fn a_running_request_ends_before_the_server_does() {
    let server = start(patient());
    server.registry.hold_commits().await;
    let digest = digest_of(b"hello");
    let mut stream = server.connect().await;
    let request =
        format!("POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut idle = server.connect().await;
    idle.write_all(b"GET /v2/ HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    while server.registry.received() < 5 {
        tokio::task::yield_now().await;
    }
    let (registry, address) = (server.registry.clone(), server.address());
    let stopping = tokio::spawn(server.server.stop(PATIENCE));
    // The listener goes first.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished());
    registry.release_commits();
    let reply = Reply::parse(&read_to_end(&mut stream).await);
    assert_eq!((reply.status, reply.header("connection")), (201, Some("close")));
    read_to_end(&mut idle).await;
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut() {
    let server = start(patient());
    let started = server.send("POST", "/v2/a/blobs/uploads/", "", b"").await;
    let location = started.header("location").unwrap();
    let mut stream = server.connect().await;
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: t\r\nContent-Length: 50\r\n\r\nhello");
    stream.write_all(head.as_bytes()).await.unwrap();
    while server.registry.received() < 5 {
        tokio::task::yield_now().await;
    }
    timeout(PATIENCE, server.server.stop(Duration::from_millis(50))).await.unwrap();
    let mut rest = Vec::new();
    // Closed or reset: both are an end.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the connection lives on");
    assert!(rest.is_empty());
}
