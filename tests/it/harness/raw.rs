//! Requests as bytes on a socket, for what no HTTP client would send.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// An answer taken apart.
#[derive(Debug)]
pub struct RawReply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl RawReply {
    /// The detail of an error with this status and code, after which the server closes.
    pub fn last_detail(&self, status: u16, code: &str) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!((self.status, super::code_of(&self.body).as_str()), (status, code), "{}\n{text}", self.head);
        assert_eq!(self.header("connection"), Some("close"), "{}", self.head);
        let document: Value = serde_json::from_slice(&self.body).expect("JSON");
        document["errors"][0]["detail"].clone()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A request's head with a host.
pub fn raw_head(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n")
}

/// Sends the head of a request and a part of its body, and nothing more; gives the open connection.
pub async fn begin_body(address: SocketAddr, head: &str, part: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("a head");
    stream.write_all(part).await.expect("a part");
    stream
}

/// Sends bytes, and gives the answer (`None`: the server closed without one).
pub async fn raw_exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Option<RawReply> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // The server may close before it took all.
    let _ = stream.write_all(request.as_ref()).await;
    read_reply(&mut stream).await
}

/// Reads one answer; `None` when the connection ends before it.
pub async fn read_reply(stream: &mut (impl AsyncRead + Unpin)) -> Option<RawReply> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if !read_some(stream, &mut bytes).await {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let mut reply = RawReply { status, head, body: bytes.split_off(head_end + 4) };
    let length: usize = reply.header("content-length").map_or(0, |length| length.parse().expect("a length"));
    while reply.body.len() < length {
        let mut body = std::mem::take(&mut reply.body);
        let more = read_some(stream, &mut body).await;
        reply.body = body;
        if !more {
            break;
        }
    }
    Some(reply)
}

/// Reads until the server closes or resets.
pub async fn read_to_close(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while read_some(stream, &mut bytes).await {}
    bytes
}

async fn read_some(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> bool {
    let read = timeout(PATIENCE, stream.read_buf(bytes)).await.expect("the server neither answers nor closes");
    matches!(read, Ok(count) if count > 0)
}
