//! The transport that is used unless another is given.

mod failure;
mod idle;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Method;
use http::header::{CONTENT_LENGTH, HeaderValue};
use reqwest::{Certificate, Url};

use super::{Body, ByteStream, Request, Response, Transport, TransportError, TransportErrorKind};
use crate::client::address::is_loopback;

/// A CA file that is larger is none.
const MAX_CA_FILE_BYTES: u64 = 4 << 20;
/// How much of a body in memory is handed to a connection at once.
const PIECE_BYTES: usize = 256 << 10;

/// Sends requests over HTTP/1.1, and over HTTP/2 where a server offers it by TLS.
///
/// Connections are kept and used again. Proxies are taken from the environment (`HTTPS_PROXY`, `HTTP_PROXY`,
/// `NO_PROXY`), except for loopback addresses. Certificates are verified against the machine's store.
#[derive(Debug)]
pub struct HttpTransport {
    options: HttpTransportOptions,
    /// For `http` on this machine: it needs neither a proxy nor the machine's certificates, which not every machine has.
    plain_loopback: OnceLock<reqwest::Client>,
    loopback: OnceLock<reqwest::Client>,
    outside: OnceLock<reqwest::Client>,
}

/// How a [`HttpTransport`] connects.
#[derive(Clone, Debug)]
pub struct HttpTransportOptions {
    /// Certificates (PEM) that are trusted beside those of the machine.
    pub ca_file: Option<PathBuf>,
    /// Takes any certificate of a server, whoever made it.
    pub accepts_any_certificate: bool,
    /// The longest that a connection may take to come about.
    pub connect_timeout: Duration,
    /// The longest that a server may be silent while it is its turn: while it takes no byte of a body, gives no answer
    /// to a request, or no byte of an answer. It may take up to twice as long until it is noticed.
    pub idle_timeout: Duration,
}

impl Default for HttpTransportOptions {
    fn default() -> Self {
        HttpTransportOptions {
            ca_file: None,
            accepts_any_certificate: false,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
        }
    }
}

impl HttpTransport {
    /// Connects when it is first used.
    pub fn new(options: HttpTransportOptions) -> Self {
        let (plain_loopback, loopback, outside) = Default::default();
        HttpTransport { options, plain_loopback, loopback, outside }
    }

    fn client_for(&self, url: &Url) -> Result<&reqwest::Client, TransportError> {
        let (slot, uses_proxy, uses_tls) = match (is_loopback(url), url.scheme()) {
            (true, "http") => (&self.plain_loopback, false, false),
            (true, _) => (&self.loopback, false, true),
            (false, _) => (&self.outside, true, true),
        };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let built = self.build(uses_proxy, uses_tls)?;
        Ok(slot.get_or_init(|| built))
    }

    fn build(&self, uses_proxy: bool, uses_tls: bool) -> Result<reqwest::Client, TransportError> {
        // Fails when there is one already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.options.connect_timeout);
        if !uses_proxy {
            builder = builder.no_proxy();
        }
        builder = match (uses_tls, &self.options.ca_file) {
            (false, _) => builder.tls_certs_only([]),
            (true, Some(file)) => builder.tls_certs_merge(read_certificates(file)?),
            (true, None) => builder,
        };
        if uses_tls && self.options.accepts_any_certificate {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        builder
            .build()
            .map_err(|error| never_sent(format!("cannot make an HTTP client: {}", failure::innermost(&error))))
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let client = self.client_for(&request.url)?;
        let Request { method, url, headers, body } = request;
        let activity = idle::Activity::new(self.options.idle_timeout);
        let mut builder = client.request(method.clone(), url.clone()).headers(headers);
        builder = match body {
            Body::Empty if matches!(method, Method::POST | Method::PUT | Method::PATCH) => {
                builder.header(CONTENT_LENGTH, HeaderValue::from_static("0"))
            }
            Body::Empty => builder,
            Body::Bytes(bytes) if bytes.len() <= PIECE_BYTES => builder.body(bytes),
            // In pieces, so that it is seen that the server takes them.
            Body::Bytes(bytes) => {
                let builder = builder.header(CONTENT_LENGTH, bytes.len());
                builder.body(reqwest::Body::wrap_stream(failure::marked(activity.watch(pieces_of(bytes)))))
            }
            Body::Stream { length, stream } => {
                if let Some(length) = length {
                    builder = builder.header(CONTENT_LENGTH, length);
                }
                builder.body(reqwest::Body::wrap_stream(failure::marked(activity.watch(stream))))
            }
        };
        let sent = activity.bound(builder.send()).await;
        let response = sent.ok_or_else(|| silent(self.options.idle_timeout))?.map_err(failure::of)?;
        let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
        let pieces = response.bytes_stream().map(|piece| piece.map_err(|error| failure::of(error).into_io())).boxed();
        let body: ByteStream = idle::bounded(pieces, self.options.idle_timeout, silent);
        Ok(Response { status, headers, body, url })
    }
}

fn pieces_of(bytes: Bytes) -> ByteStream {
    let pieces = stream::unfold(bytes, |mut rest| async move {
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        (!piece.is_empty()).then_some((Ok(piece), rest))
    });
    pieces.boxed()
}

fn silent(timeout: Duration) -> TransportError {
    TransportError::new(TransportErrorKind::Timeout, format!("server was silent for {}s", timeout.as_secs_f32()))
}

fn never_sent(message: String) -> TransportError {
    TransportError::new(TransportErrorKind::Connect, message)
}

fn read_certificates(file: &std::path::Path) -> Result<Vec<Certificate>, TransportError> {
    use std::io::Read as _;

    let unusable = |cause: &dyn std::fmt::Display| never_sent(format!("CA file {}: {cause}", file.display()));
    let mut pem = Vec::new();
    let opened = std::fs::File::open(file);
    opened.and_then(|file| file.take(MAX_CA_FILE_BYTES).read_to_end(&mut pem)).map_err(|error| unusable(&error))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(&failure::innermost(&error)))?;
    if certificates.is_empty() {
        return Err(unusable(&"it holds no certificate"));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests;
