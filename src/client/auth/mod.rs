//! Saying who one is: basic, and bearer tokens of a token service.
//!
//! A registry says by a 401 how it wants it, and is believed until it says otherwise. A token is asked for once for each
//! set of scopes, whoever waits for it, and kept until shortly before it expires.
//!
//! Source: RFC 9110, section 11; distribution's "Token Authentication" and "OAuth2 Token Authentication".

mod challenge;
mod credentials;
mod docker;
mod helper;
mod scope;
mod service;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use http::{HeaderValue, StatusCode};
use reqwest::Url;
use tokio::sync::OnceCell;

use self::challenge::{Challenge, challenges};
pub use self::credentials::{CredentialSource, Credentials};
pub use self::docker::DockerCredentials;
pub(super) use self::scope::Scopes;
use self::service::{Token, TokenService};
use super::address::{RegistryAddress, is_loopback};
use super::error::{ClientError, Failure};
use super::exchange::Wire;
use super::transport::Response;

/// More sets of scopes than this are not remembered.
const MAX_TOKENS: usize = 4096;

/// Who asks one registry, and what it wants to hear.
pub(super) struct Authenticator {
    address: RegistryAddress,
    source: Arc<dyn CredentialSource>,
    /// Whether credentials go by plain http to other machines.
    allows_plain: bool,
    credentials: OnceCell<Credentials>,
    /// What a token service gave in the place of the credentials' own token.
    renewed: Mutex<Option<String>>,
    wanted: Mutex<Wanted>,
    tokens: Mutex<HashMap<Scopes, Arc<Slot>>>,
}

/// What the registry wants.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// It was not asked yet.
    Unknown,
    Nothing,
    Basic,
    Token(TokenService),
}

/// The token of one set of scopes.
#[derive(Default)]
struct Slot {
    kept: Mutex<Kept>,
    /// Held by whoever asks for one.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    token: Option<Token>,
    /// What the registry named beside what was known to be needed.
    more: Scopes,
    /// How often somebody has asked for it, and how that failed at last.
    asked: u64,
    failure: Option<ClientError>,
}

impl Authenticator {
    pub(super) fn new(address: RegistryAddress, source: Arc<dyn CredentialSource>, allows_plain: bool) -> Self {
        Authenticator {
            address,
            source,
            allows_plain,
            credentials: OnceCell::new(),
            renewed: Mutex::default(),
            wanted: Mutex::new(Wanted::Unknown),
            tokens: Mutex::default(),
        }
    }

    /// Whether the registry was not asked yet.
    pub(super) fn is_unknown(&self) -> bool {
        *lock(&self.wanted) == Wanted::Unknown
    }

    /// What to say now, as far as is known.
    ///
    /// # Errors
    /// [`Failure::Credentials`], or what became of the question to the token service.
    pub(super) async fn authorization(
        &self,
        wire: &Wire,
        operation: &'static str,
        scopes: &Scopes,
    ) -> Result<Option<HeaderValue>, ClientError> {
        let wanted = lock(&self.wanted).clone();
        if matches!(wanted, Wanted::Unknown | Wanted::Nothing) {
            return Ok(None);
        }
        let failed = |cause: String| ClientError::new(operation, self.address.url(), Failure::Credentials(cause));
        let authority = self.address.authority();
        let credentials = self.credentials.get_or_try_init(|| self.source.credentials(&authority)).await;
        let credentials = credentials.map_err(failed)?;
        if *credentials != Credentials::Anonymous {
            self.check_plain(self.address.url()).map_err(failed)?;
        }
        let unsendable = || failed("they hold what cannot be sent".to_owned());
        match (wanted, credentials) {
            (Wanted::Token(_), Credentials::RegistryToken(token)) => {
                Ok(Some(credentials::bearer(token).ok_or_else(unsendable)?))
            }
            (Wanted::Token(service), credentials) => {
                let token = self.token(wire, &service, scopes, credentials).await?;
                Ok(Some(token.authorization))
            }
            (_, Credentials::Basic { username, password }) => {
                Ok(Some(credentials::basic(username, password).ok_or_else(unsendable)?))
            }
            _ => Ok(None),
        }
    }

    /// Takes note of what an answer of the registry says of it; `sent` is what it was told. Gives whether there is
    /// something new to say after a 401.
    pub(super) fn note(&self, response: &Response, sent: Option<&HeaderValue>, scopes: &Scopes) -> bool {
        if response.status != StatusCode::UNAUTHORIZED {
            if response.status.is_success() && self.is_unknown() {
                *lock(&self.wanted) = Wanted::Nothing;
            }
            return false;
        }
        let found = challenges(&response.headers);
        let Some((wanted, more)) = self.choose(&found) else {
            return false;
        };
        let is_new = *lock(&self.wanted) != wanted;
        let is_token = matches!(wanted, Wanted::Token(_));
        *lock(&self.wanted) = wanted;
        if !is_token {
            return is_new || sent.is_none();
        }
        let slot = self.slot(scopes);
        let mut kept = lock(&slot.kept);
        kept.more = std::mem::take(&mut kept.more).and(&more);
        if kept.token.as_ref().is_some_and(|token| Some(&token.authorization) == sent) {
            kept.token = None;
        }
        true
    }

    /// A token before basic: whoever offers both sends a token further on.
    fn choose(&self, challenges: &[Challenge]) -> Option<(Wanted, Scopes)> {
        let of_scheme = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
        if let Some(bearer) = of_scheme("bearer")
            && let Some(realm) = bearer.parameter("realm").and_then(|realm| self.address.url().join(realm).ok())
            && matches!(realm.scheme(), "http" | "https")
        {
            let service = bearer.parameter("service").map(str::to_owned);
            let more = bearer.parameter("scope").map(Scopes::parse).unwrap_or_default();
            return Some((Wanted::Token(TokenService { realm, service }), more));
        }
        of_scheme("basic").map(|_| (Wanted::Basic, Scopes::none()))
    }

    /// The token that is kept, or a new one. Of many that want the same one asks, and the others get what it got.
    async fn token(
        &self,
        wire: &Wire,
        service: &TokenService,
        scopes: &Scopes,
        credentials: &Credentials,
    ) -> Result<Token, ClientError> {
        let slot = self.slot(scopes);
        let asked_before = lock(&slot.kept).asked;
        if let Some(token) = slot.kept_token(wire.pace.now()) {
            return Ok(token);
        }
        let _asking = slot.asking.lock().await;
        if let Some(token) = slot.kept_token(wire.pace.now()) {
            return Ok(token);
        }
        let scopes = {
            let kept = lock(&slot.kept);
            if let (true, Some(failure)) = (kept.asked > asked_before, &kept.failure) {
                return Err(failure.clone());
            }
            scopes.clone().and(&kept.more)
        };
        let asked = self.ask(wire, service, &scopes, credentials).await;
        let mut kept = lock(&slot.kept);
        kept.asked += 1;
        (kept.token, kept.failure) = (asked.as_ref().ok().cloned(), asked.as_ref().err().cloned());
        asked
    }

    async fn ask(
        &self,
        wire: &Wire,
        service: &TokenService,
        scopes: &Scopes,
        credentials: &Credentials,
    ) -> Result<Token, ClientError> {
        let credentials = match (credentials, &*lock(&self.renewed)) {
            (Credentials::IdentityToken(_), Some(renewed)) => Credentials::IdentityToken(renewed.clone()),
            (credentials, _) => credentials.clone(),
        };
        if credentials != Credentials::Anonymous {
            self.check_plain(&service.realm)
                .map_err(|cause| ClientError::new(service::OPERATION, &service.realm, Failure::Credentials(cause)))?;
        }
        let (token, renewed) = service.ask(wire, scopes, &credentials).await?;
        if renewed.is_some() {
            *lock(&self.renewed) = renewed;
        }
        Ok(token)
    }

    fn check_plain(&self, url: &Url) -> Result<(), String> {
        if url.scheme() == "https" || is_loopback(url) || self.allows_plain {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        Err(format!("they are not sent by plain http to {host}, unless that is allowed"))
    }

    fn slot(&self, scopes: &Scopes) -> Arc<Slot> {
        let mut tokens = lock(&self.tokens);
        if tokens.len() >= MAX_TOKENS && !tokens.contains_key(scopes) {
            tokens.clear();
        }
        tokens.entry(scopes.clone()).or_default().clone()
    }
}

impl Slot {
    fn kept_token(&self, now: Instant) -> Option<Token> {
        lock(&self.kept).token.clone().filter(|token| now < token.renew_at)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
