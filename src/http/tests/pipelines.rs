//! Several requests on one connection, in any pieces.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncRead;

use super::*;

fn content(size_bytes: usize, seed: usize) -> Bytes {
    (0..size_bytes).map(|at| (at / 253 + at * 7 + seed) as u8).collect()
}

fn digest_of(data: &[u8]) -> String {
    format!("sha256:{}", Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: t\r\n{headers}\r\n").into_bytes();
    request.extend_from_slice(body);
    request
}

fn with_length(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    request(method, path, &format!("Content-Length: {}\r\n", body.len()), body)
}

fn in_chunks(method: &str, path: &str, body: &[u8], chunk_bytes: usize) -> Vec<u8> {
    let mut chunks = Vec::new();
    for chunk in body.chunks(chunk_bytes) {
        chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunks.extend_from_slice(chunk);
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    request(method, path, "Transfer-Encoding: chunked\r\n", &chunks)
}

/// One answer: its status, its head, and its body.
type Answered = (u16, String, Vec<u8>);

/// Sends requests on one connection, in pieces, while it reads their answers.
async fn converse(server: &TestServer, requests: &[Vec<u8>], piece_bytes: usize) -> Vec<Answered> {
    let stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let all = requests.concat();
    let write = async {
        for piece in all.chunks(piece_bytes) {
            writing.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let read = async {
        let mut answers = Vec::new();
        for request in requests {
            answers.push(read_answer(&mut reading, !request.starts_with(b"HEAD")).await);
        }
        answers
    };
    let ((), answers) = tokio::join!(write, read);
    answers
}

async fn read_answer(stream: &mut (impl AsyncRead + Unpin), has_body: bool) -> Answered {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.expect("nothing comes").expect("the connection ended"));
    }
    let head = String::from_utf8(head).unwrap();
    let reply = Reply::parse(&head);
    let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; if has_body { length } else { 0 }];
    timeout(PATIENCE, stream.read_exact(&mut body)).await.expect("the body does not come").unwrap();
    (reply.status, head, body)
}

#[tokio::test]
async fn each_answer_is_that_of_its_own_request() {
    let server = start(patient());
    for offers_senders in [false, true] {
        if offers_senders {
            server.registry.offer_senders();
        }
        let data = content(30_000, 1);
        let path = format!("/v2/a/blobs/{}", server.registry.add_blob(data.clone()));
        let requests = [
            request("GET", &path, "", b""),
            request("HEAD", &path, "", b""),
            request("GET", "/v2/", "", b""),
            with_length("PUT", "/v2/a/manifests/v1", b"{}"),
            request("HEAD", "/v2/", "", b""),
            in_chunks("PUT", "/v2/a/manifests/v1", b"{}", 1),
            request("GET", &path, "", b""),
            request("HEAD", &path, "", b""),
            with_length("GET", "/v2/", b"a body that nobody wants"),
        ];
        for piece_bytes in [1, 7, 100, usize::MAX] {
            let answers = converse(&server, &requests, piece_bytes).await;
            for (number, (status, head, body)) in answers.into_iter().enumerate() {
                let case = format!("request {number} in pieces of {piece_bytes}: {head}");
                match number {
                    0 | 6 => assert!(status == 200 && body == data, "{case}"),
                    1 | 7 => assert!(status == 200 && head.contains("30000"), "{case}"),
                    3 | 5 => assert_eq!(status, 201, "{case}"),
                    4 => assert_eq!(status, 200, "{case}"),
                    _ => assert!(status == 200 && body == b"{}", "{case}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn bodies_arrive_as_they_were_sent_in_whatever_pieces() {
    let server = start(patient());
    they_arrive(&server).await;
    server.registry.take_turns();
    they_arrive(&server).await;
    assert!(server.registry.turns_taken() > 5_000_000 / 10_000);
}

async fn they_arrive(server: &TestServer) {
    for (size_bytes, chunk_bytes, piece_bytes) in [
        (0, 1, 10_000),
        (1, 1, 1),
        (5_000, 1, 3),
        (40_000, 4_096, 1_000),
        (300_000, 32_768, 65_536),
        (1_000_000, 9, 1 << 20),
        (3_000_000, 300_000, 1 << 20),
    ] {
        let data = content(2 * size_bytes, size_bytes);
        let case = format!("{size_bytes} bytes in chunks of {chunk_bytes}, in pieces of {piece_bytes}");
        let (_, head, _) = converse(server, &[with_length("POST", "/v2/a/blobs/uploads/", b"")], 1000).await.remove(0);
        let location = Reply::parse(&head).header("location").unwrap().to_owned();
        let path = location.split('?').next().unwrap();
        let digest = digest_of(&data);
        let requests = [
            in_chunks("PATCH", path, &data[..size_bytes], chunk_bytes),
            with_length("PATCH", path, &data[size_bytes..]),
            with_length("PUT", &format!("{path}?digest={digest}"), b""),
            request("GET", &format!("/v2/a/blobs/{digest}"), "", b""),
        ];
        let answers = converse(server, &requests, piece_bytes).await;
        let statuses: Vec<u16> = answers.iter().map(|(status, ..)| *status).collect();
        assert_eq!(statuses, [202, 202, 201, 200], "{case}");
        assert!(answers[3].2 == data, "{case}");
    }
}

#[tokio::test]
async fn what_comes_in_chunks_of_another_kind_is_no_request_of_its_own() {
    let server = start(patient());
    // The second request would be seen by whoever took the body for one that ends before it.
    let smuggled = b"0\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: t\r\n\r\n";
    for headers in [
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: x\r\n",
        "Content-Length: 5\r\nContent-Length: 41\r\n",
    ] {
        let text = server.converse(request("PUT", "/v2/a/manifests/v1", headers, smuggled)).await;
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{headers}: {text}");
        assert!(text.starts_with("HTTP/1.1 400 "), "{headers}: {text}");
    }
}

/// So that a disk can take it from where it was received.
#[tokio::test]
async fn a_large_body_lies_in_memory_as_in_its_file() {
    const LARGE: usize = 3_000_000;
    let server = start(patient());
    for (first_bytes, chunk_bytes) in [(0, None), (5_001, None), (0, Some(1 << 20)), (70_000, Some(100_000))] {
        let (_, head, _) = converse(&server, &[with_length("POST", "/v2/a/blobs/uploads/", b"")], 1000).await.remove(0);
        let location = Reply::parse(&head).header("location").unwrap().to_owned();
        let data = content(first_bytes + LARGE, 1);
        let (first, second) = data.split_at(first_bytes);
        let (_, head, _) = converse(&server, &[with_length("PATCH", &location, first)], 1 << 20).await.remove(0);
        let location = Reply::parse(&head).header("location").unwrap().to_owned();
        let placed_before = server.registry.placed();
        let patch = match chunk_bytes {
            Some(chunk_bytes) => in_chunks("PATCH", &location, second, chunk_bytes),
            None => with_length("PATCH", &location, second),
        };
        let (status, head, _) = converse(&server, &[patch], 1 << 20).await.remove(0);
        assert_eq!(status, 202, "{head}");
        assert!(server.registry.upload_offsets().contains(&data.len()));
        let placed = server.registry.placed() - placed_before;
        // What came with the head lies anywhere, and what came with the line before a chunk.
        let elsewhere = 16 * 1024 + LARGE / chunk_bytes.unwrap_or(LARGE) * 64;
        assert!(
            placed as usize >= LARGE - elsewhere,
            "{placed} of {LARGE} behind {first_bytes} in chunks of {chunk_bytes:?}"
        );
    }
}
