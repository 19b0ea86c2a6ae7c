//! TLS from certificate files.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::StartError;
use crate::config::TlsConfig;

/// Reads certificate and key. HTTP/2 is offered before HTTP/1.1.
pub(super) fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, StartError> {
    let certificates = CertificateDer::pem_file_iter(&config.certificate_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable("certificate_file", &config.certificate_file, &error))?;
    if certificates.is_empty() {
        return Err(unusable("certificate_file", &config.certificate_file, &"it holds no certificate in PEM"));
    }
    let key = PrivateKeyDer::from_pem_file(&config.key_file)
        .map_err(|error| unusable("key_file", &config.key_file, &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| unusable("certificate_file", &config.certificate_file, &error))?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

fn unusable(key: &str, path: &Path, cause: &dyn std::fmt::Display) -> StartError {
    StartError::new(format!("http.tls.{key} {}: {cause}", path.display()))
}
