use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;

/// Who somebody says to be.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody.
    #[default]
    Anonymous,
    /// By name and password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// By a token that the registry's token service gave (`identitytoken`).
    IdentityToken(String),
    /// By a token that is sent to the registry as it is (`registrytoken`).
    RegistryToken(String),
}

/// Where credentials come from. It is asked when a registry wants some, once, and not before.
#[async_trait]
pub trait CredentialSource: Send + Sync {
    /// Those for a registry, by its host and port; [`Credentials::Anonymous`] when there are none.
    ///
    /// # Errors
    /// A text that says why they cannot be had. It holds no secret.
    async fn credentials(&self, authority: &str) -> Result<Credentials, String>;
}

#[async_trait]
impl CredentialSource for Credentials {
    async fn credentials(&self, _: &str) -> Result<Credentials, String> {
        Ok(self.clone())
    }
}

/// `Basic …`, marked as a secret; `None` when it cannot stand in a header.
pub(super) fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    secret(&format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}"))))
}

/// `Bearer …`, likewise.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    secret(&format!("Bearer {token}"))
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Without what is secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Anonymous => f.write_str("Anonymous"),
            Credentials::Basic { username, .. } => write!(f, "Basic({username:?})"),
            Credentials::IdentityToken(_) => f.write_str("IdentityToken"),
            Credentials::RegistryToken(_) => f.write_str("RegistryToken"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for credentials in [
            Credentials::Basic { username: "me".into(), password: "secret".into() },
            Credentials::IdentityToken("secret".into()),
            Credentials::RegistryToken("secret".into()),
        ] {
            assert!(!format!("{credentials:?}").contains("secret"));
        }
        assert!(!format!("{:?}", bearer("secret").unwrap()).contains("secret"));
        assert_eq!(basic("Aladdin", "open sesame").unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(bearer("a\nb"), None);
    }
}
