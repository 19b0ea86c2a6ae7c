//! A registry in this process, and requests to it.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use longshore::app::App;
use longshore::config::Config;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::connection::Connection;

/// What a connection of the test itself takes, and is not the registry's.
pub const CONNECTION_BYTES: i64 = 64 * 1024;

/// What all bodies together may have waiting.
pub const MAX_MEMORY_BYTES: u64 = 4 * 1024 * 1024;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

pub struct Registry {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Registry {
    pub fn start() -> Registry {
        Registry::start_in(tempfile::tempdir().expect("a folder"))
    }

    /// Whose storage keeps nothing in memory for later: there is a folder where its journal would be.
    pub fn start_without_journal() -> Registry {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("data/longshore.journal")).expect("a folder");
        Registry::start_in(folder)
    }

    fn start_in(folder: TempDir) -> Registry {
        let mut config = Config::default();
        config.http.addr = free_port();
        config.http.admin_addr = free_port();
        config.http.shutdown_grace = Duration::from_secs(5);
        config.storage.filesystem.root = folder.path().join("data");
        config.uploads.max_memory = MAX_MEMORY_BYTES;
        config.uploads.passivate_after = Duration::from_secs(1);
        let (started, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            actix::System::new().block_on(async move {
                let app = App::start(config).await.expect("the registry starts");
                started.send(app.addr()).expect("the test waits");
                let _ = stopped.await;
                app.stop().await;
            });
        });
        let address = address.recv().expect("the registry starts");
        Registry { address, stop: Some(stop), thread: Some(thread), _folder: folder }
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the registry ends");
        }
    }
}

/// A whole request; `accept` may be empty.
pub fn request(method: &str, path: &str, accept: &str, body: &[u8]) -> Vec<u8> {
    let mut request = head(method, path, accept, body.len());
    request.extend_from_slice(body);
    request
}

/// The same without the body.
pub fn head(method: &str, path: &str, accept: &str, body_bytes: usize) -> Vec<u8> {
    let path = path.split_once("/v2/").map_or(path.to_owned(), |(_, rest)| format!("/v2/{rest}"));
    let accept = if accept.is_empty() { String::new() } else { format!("Accept: {accept}\r\n") };
    let kind = if method == "PUT" && path.contains("/manifests/") { MANIFEST_TYPE } else { "application/octet-stream" };
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{accept}Content-Type: {kind}\r\nContent-Length: {body_bytes}\r\n\r\n"
    )
    .into_bytes()
}

/// The head of a request whose body comes in chunks.
pub fn chunked_head(method: &str, path: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes()
}

/// Begins an upload; its location.
pub fn begin(connection: &mut Connection) -> String {
    assert_eq!(connection.exchange(&request("POST", "/v2/repo/blobs/uploads/", "", b"")), 202);
    connection.header("location")
}

pub fn with_digest(location: &str, content: &[u8]) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}digest={}", digest_of(content))
}

/// Pushes an image of one layer, which is its configuration too, as `latest`; the blob's digest and the manifest's type.
pub fn push_image(connection: &mut Connection) -> (String, String) {
    let content = [1; 1000];
    let digest = digest_of(&content);
    let location = with_digest(&begin(connection), &content);
    assert_eq!(connection.exchange(&request("PUT", &location, "", &content)), 201);
    let descriptor = |kind: &str| format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{}}}"#, content.len());
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{},"layers":[{}]}}"#,
        descriptor("application/vnd.oci.image.config.v1+json"),
        descriptor("application/vnd.oci.image.layer.v1.tar"),
    );
    let put = request("PUT", "/v2/repo/manifests/latest", "", manifest.as_bytes());
    assert_eq!(connection.exchange(&put), 201);
    (digest, MANIFEST_TYPE.to_owned())
}

fn digest_of(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn free_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
