use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::Url;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::options::WireOptions;
use super::tap::Socket;
use crate::client::transport::{TransportError, TransportErrorKind};

/// A server to connect to: connections to the same one can stand in for each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    host: String,
    port: u16,
    tls: bool,
}

/// Opens connections.
pub(super) struct Dialer {
    options: WireOptions,
    tls: OnceLock<TlsConnector>,
    /// Names that were looked up, once in a run: the load is for the registry and not for a name server.
    addresses: Mutex<HashMap<Origin, Arc<[SocketAddr]>>>,
}

impl Origin {
    pub(super) fn of(url: &Url) -> Result<Self, TransportError> {
        let unusable = || connect_error(format!("cannot connect to {}", url.host_str().unwrap_or("no host")));
        let host = url.host_str().ok_or_else(unusable)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
        let port = url.port_or_known_default().ok_or_else(unusable)?;
        match url.scheme() {
            "http" => Ok(Origin { host, port, tls: false }),
            "https" => Ok(Origin { host, port, tls: true }),
            _ => Err(unusable()),
        }
    }
}

impl Dialer {
    pub(super) fn new(options: WireOptions) -> Self {
        Dialer { options, tls: OnceLock::new(), addresses: Mutex::default() }
    }

    /// A connection, ready to be spoken HTTP/1.1 on.
    pub(super) async fn dial(&self, origin: &Origin) -> Result<Socket, TransportError> {
        let timeout = self.options.connect_timeout;
        match tokio::time::timeout(timeout, self.connect(origin)).await {
            Ok(connected) => connected,
            Err(_) => Err(timed_out(origin, timeout)),
        }
    }

    async fn connect(&self, origin: &Origin) -> Result<Socket, TransportError> {
        let failed = |error: io::Error| {
            connect_error(format!("cannot connect to {}:{}: {error}", origin.host, origin.port)).with_source(error)
        };
        let addresses = self.addresses_of(origin).await.map_err(failed)?;
        let tcp = TcpStream::connect(&addresses[..]).await.map_err(failed)?;
        tcp.set_nodelay(true).map_err(failed)?;
        if !origin.tls {
            return Ok(Socket::Plain(tcp));
        }
        let name = ServerName::try_from(origin.host.clone())
            .map_err(|error| connect_error(format!("{:?} is no name of a server: {error}", origin.host)))?;
        let connector = self.connector()?;
        Ok(Socket::Tls(Box::new(connector.connect(name, tcp).await.map_err(failed)?)))
    }

    async fn addresses_of(&self, origin: &Origin) -> io::Result<Arc<[SocketAddr]>> {
        let known = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).get(origin).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found: Arc<[SocketAddr]> = tokio::net::lookup_host((origin.host.as_str(), origin.port)).await?.collect();
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).insert(origin.clone(), found.clone());
        Ok(found)
    }

    fn connector(&self) -> Result<TlsConnector, TransportError> {
        if let Some(connector) = self.tls.get() {
            return Ok(connector.clone());
        }
        let made = tls_config(self.options.ca_file.as_deref()).map_err(connect_error)?;
        Ok(self.tls.get_or_init(|| TlsConnector::from(Arc::new(made))).clone())
    }
}

/// Certificates are verified against the machine's store, and `ca_file` beside it.
fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut extra = Vec::new();
    if let Some(file) = ca_file {
        let unusable = |cause: &dyn std::fmt::Display| format!("CA file {}: {cause}", file.display());
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
            extra.push(certificate.map_err(|error| unusable(&error))?);
        }
        if extra.is_empty() {
            return Err(unusable(&"it holds no certificate"));
        }
    }
    let unusable = |error: rustls::Error| format!("cannot set TLS up: {error}");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider.clone());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    // "Dangerous" is what any verifier but a list of roots is called there; this one verifies all.
    let builder =
        builder.map_err(unusable)?.dangerous().with_custom_certificate_verifier(Arc::new(verifier.map_err(unusable)?));
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn connect_error(message: String) -> TransportError {
    TransportError::new(TransportErrorKind::Connect, message)
}

fn timed_out(origin: &Origin, timeout: Duration) -> TransportError {
    let (host, port, seconds) = (&origin.host, origin.port, timeout.as_secs_f32());
    TransportError::new(TransportErrorKind::Timeout, format!("no connection to {host}:{port} within {seconds}s"))
        .never_sent()
}
