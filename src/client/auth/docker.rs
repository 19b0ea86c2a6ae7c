//! Credentials from docker's configuration.

use std::collections::HashMap;
use std::env;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::credentials::{CredentialSource, Credentials};
use super::helper;

/// A configuration that is larger is none.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// docker's configuration files and credential helpers: `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, then
/// `$XDG_RUNTIME_DIR/containers/auth.json`. The first that has credentials for a registry counts.
///
/// In each, a helper of the registry (`credHelpers`) goes before the one for all (`credsStore`), and both before what
/// stands in the file itself (`auths`).
#[derive(Clone, Debug)]
pub struct DockerCredentials {
    files: Vec<PathBuf>,
}

impl DockerCredentials {
    /// From where the environment says that they are.
    pub fn from_environment() -> Self {
        let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let docker = folder("DOCKER_CONFIG").or_else(|| folder("HOME").map(|home| home.join(".docker")));
        let containers = folder("XDG_RUNTIME_DIR").map(|runtime| runtime.join("containers").join("auth.json"));
        DockerCredentials {
            files: docker.map(|docker| docker.join("config.json")).into_iter().chain(containers).collect(),
        }
    }

    /// From these files, of which each need not be there.
    pub fn from_files(files: impl IntoIterator<Item = PathBuf>) -> Self {
        DockerCredentials { files: files.into_iter().collect() }
    }
}

#[async_trait]
impl CredentialSource for DockerCredentials {
    async fn credentials(&self, authority: &str) -> Result<Credentials, String> {
        for file in &self.files {
            let Some(config) = read(file).await? else { continue };
            let unusable = |cause: String| format!("{}: {cause}", file.display());
            let found = config.credentials(authority).await.map_err(unusable)?;
            if found != Credentials::Anonymous {
                return Ok(found);
            }
        }
        Ok(Credentials::Anonymous)
    }
}

/// The file, without what is of no use here.
#[derive(Default, Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: HashMap<String, Auth>,
    #[serde(default, rename = "credHelpers")]
    helpers: HashMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
struct Auth {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default, rename = "identitytoken")]
    identity_token: Option<String>,
    #[serde(default, rename = "registrytoken")]
    registry_token: Option<String>,
}

async fn read(file: &Path) -> Result<Option<DockerConfig>, String> {
    use tokio::io::AsyncReadExt as _;

    let unusable = |cause: &dyn std::fmt::Display| format!("{}: {cause}", file.display());
    let opened = match tokio::fs::File::open(file).await {
        Ok(opened) => opened,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(unusable(&error)),
    };
    let mut text = Vec::new();
    opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut text).await.map_err(|error| unusable(&error))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(unusable(&format_args!("it is over {MAX_FILE_BYTES} bytes")));
    }
    // The error of the parser may repeat what stands there, so it says no more than where.
    let config = serde_json::from_slice(&text).map_err(|error| {
        unusable(&format_args!("it is no docker configuration (line {}, column {})", error.line(), error.column()))
    })?;
    Ok(Some(config))
}

impl DockerConfig {
    async fn credentials(&self, authority: &str) -> Result<Credentials, String> {
        let helpers = [of_host(&self.helpers, authority), self.store.as_ref()];
        for name in helpers.into_iter().flatten().filter(|name| !name.is_empty()) {
            let found = helper::ask(name, authority).await?;
            if found != Credentials::Anonymous {
                return Ok(found);
            }
        }
        match of_host(&self.auths, authority) {
            Some(auth) => {
                auth.credentials().ok_or_else(|| format!("auth of {authority} is not base64 of user:password"))
            }
            None => Ok(Credentials::Anonymous),
        }
    }
}

/// The entry of a host: under its own name, else under one with a scheme or a path (`https://registry.example/v1/`).
fn of_host<'a, T>(entries: &'a HashMap<String, T>, authority: &str) -> Option<&'a T> {
    if let Some(entry) = entries.get(authority) {
        return Some(entry);
    }
    let mut keys: Vec<&String> = entries.keys().filter(|key| host_of(key) == authority).collect();
    // The order of a map is chance; the shortest is of the host itself, not of a part of it.
    keys.sort_by_key(|key| (key.len(), *key));
    keys.first().and_then(|key| entries.get(*key))
}

fn host_of(key: &str) -> &str {
    let without_scheme = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    without_scheme.split('/').next().unwrap_or(without_scheme)
}

impl Auth {
    /// `None`: it cannot be read.
    fn credentials(&self) -> Option<Credentials> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.identity_token) {
            return Some(Credentials::IdentityToken(token));
        }
        if let Some(token) = given(&self.registry_token) {
            return Some(Credentials::RegistryToken(token));
        }
        if let Some(auth) = given(&self.auth) {
            let decoded = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
            // Some writers pad it with zeros.
            let (username, password) = decoded.trim_end_matches('\0').split_once(':')?;
            return Some(Credentials::Basic { username: username.to_owned(), password: password.to_owned() });
        }
        match (given(&self.username), given(&self.password)) {
            (Some(username), Some(password)) => Some(Credentials::Basic { username, password }),
            _ => Some(Credentials::Anonymous),
        }
    }
}

#[cfg(test)]
#[path = "docker_tests.rs"]
mod tests;
