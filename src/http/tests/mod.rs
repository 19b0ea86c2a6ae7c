//! The server against a registry in memory, over real sockets.

mod admin;
mod answers;
mod connections;
mod direct;
mod early_answers;
mod errors;
mod hostile;
mod pipelines;
mod stop;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::fake::FakeRegistry;
use super::listener::RunningServer;
use super::server::{self, ServerOptions};
use crate::config::HttpConfig;
use crate::telemetry::Metrics;

/// Nothing in these tests takes that long unless it is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

struct TestServer {
    server: RunningServer,
    registry: FakeRegistry,
    metrics: Metrics,
}

/// Times that are short enough for a test that waits for them to pass.
fn quick() -> HttpConfig {
    HttpConfig {
        workers: 1,
        head_timeout: Duration::from_millis(300),
        keep_alive: Duration::from_millis(300),
        disconnect_timeout: Duration::from_millis(300),
        ..HttpConfig::default()
    }
}

/// Times that never pass in a test.
fn patient() -> HttpConfig {
    HttpConfig { workers: 1, ..HttpConfig::default() }
}

fn start(config: HttpConfig) -> TestServer {
    start_with_stall(config, PATIENCE)
}

fn start_with_body_timeout(config: HttpConfig, body_timeout: Duration) -> TestServer {
    start(HttpConfig { body_timeout, ..config })
}

fn start_with_stall(config: HttpConfig, write_stall: Duration) -> TestServer {
    let registry = FakeRegistry::new();
    let metrics = Metrics::unregistered();
    let options = ServerOptions {
        config,
        registry: Arc::new(registry.clone()),
        metrics: metrics.clone(),
        manifest_max_bytes: 1000,
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = server::start(options, listener, write_stall).unwrap();
    TestServer { server, registry, metrics }
}

impl TestServer {
    fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// Sends `request` and gives everything that comes until the server closes.
    async fn converse(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        read_to_end(&mut stream).await
    }

    /// One request without a body.
    async fn ask(&self, method: &str, path: &str, headers: &str) -> Reply {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n");
        Reply::parse(&self.converse(request).await)
    }

    /// One request with a body of known length.
    async fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        Reply::parse(&self.converse(request).await)
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end too: it comes when the server closes on what it did not read.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server does not close");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer taken apart.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn parse(text: &str) -> Reply {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Reply { status: status.expect("a status"), head: head.to_string(), body: body.to_string() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The code of a body in the specification's form.
    fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        let entry = &body["errors"][0];
        assert!(entry["message"].is_string() && entry.get("detail").is_some(), "{self:?}");
        entry["code"].as_str().expect("a code").to_string()
    }
}
