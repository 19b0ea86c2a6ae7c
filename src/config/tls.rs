//! `http.tls` as the file has it (two keys, each of which may be empty) and as the program wants it
//! (both, or no TLS).

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `http.tls`: the files of a certificate, PEM both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate, followed by those of its issuers.
    pub certificate_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TlsKeys {
    certificate_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

pub(super) fn serialize<S: Serializer>(tls: &Option<TlsConfig>, serializer: S) -> Result<S::Ok, S::Error> {
    let keys = match tls {
        None => TlsKeys::default(),
        Some(tls) => {
            TlsKeys { certificate_file: Some(tls.certificate_file.clone()), key_file: Some(tls.key_file.clone()) }
        }
    };
    keys.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TlsConfig>, D::Error> {
    let keys = TlsKeys::deserialize(deserializer)?;
    match (keys.certificate_file, keys.key_file) {
        (None, None) => Ok(None),
        (Some(certificate_file), Some(key_file)) => Ok(Some(TlsConfig { certificate_file, key_file })),
        (Some(_), None) => Err(de::Error::custom("certificate_file is given without key_file")),
        (None, Some(_)) => Err(de::Error::custom("key_file is given without certificate_file")),
    }
}
