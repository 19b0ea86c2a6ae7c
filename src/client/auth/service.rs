//! Asks a token service.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::Url;
use serde::Deserialize;

use super::credentials::{Credentials, basic, bearer};
use super::scope::Scopes;
use crate::client::error::{ClientError, Failure, read_refusal};
use crate::client::exchange::{Outgoing, Payload, Wire};
use crate::client::retry::Backoff;
use crate::client::transport::{ByteStream, TransportError};

pub(super) const OPERATION: &str = "get token";

/// Tokens are some kilobytes.
const MAX_ANSWER_BYTES: usize = 256 << 10;
/// How long a token is good for that does not say so.
const USUAL_LIFETIME: Duration = Duration::from_secs(60);
/// How long before its end a token is renewed, at most: clocks and requests take their time.
const RENEWED_BEFORE: Duration = Duration::from_secs(30);
/// A token that says more is renewed all the same.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Where tokens are given, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenService {
    pub(super) realm: Url,
    pub(super) service: Option<String>,
}

/// What allows something for a time.
#[derive(Clone)]
pub(super) struct Token {
    /// As it is sent.
    pub(super) authorization: HeaderValue,
    /// From when on another one is asked for.
    pub(super) renew_at: Instant,
}

#[derive(Deserialize)]
struct Given {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<String>,
}

impl TokenService {
    /// A token, and what takes the place of the identity token that was shown for it.
    pub(super) async fn ask(
        &self,
        wire: &Wire,
        scopes: &Scopes,
        credentials: &Credentials,
    ) -> Result<(Token, Option<String>), ClientError> {
        let mut backoff = Backoff::start(&wire.retries, &*wire.pace);
        loop {
            // A token's life is counted from before it was given.
            let asked_at = wire.pace.now();
            let error = match self.ask_once(wire, scopes, credentials).await {
                Ok(given) => return self.token(given, asked_at),
                Err(error) => error,
            };
            if !error.is_passing() || !backoff.wait(error.retry_after(), &*wire.pace).await {
                return Err(error);
            }
        }
    }

    async fn ask_once(&self, wire: &Wire, scopes: &Scopes, credentials: &Credentials) -> Result<Given, ClientError> {
        let mut url = self.realm.clone();
        let mut headers = HeaderMap::new();
        let (mut payload, mut authorization) = (Payload::Empty, None);
        let method = match credentials {
            Credentials::IdentityToken(token) => {
                let form = self.form(scopes, token);
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
                payload = Payload::Secret(Bytes::from(form));
                Method::POST
            }
            credentials => {
                let mut query = url.query_pairs_mut();
                query.extend_pairs(self.service.iter().map(|service| ("service", service)));
                query.extend_pairs(scopes.texts().iter().map(|scope| ("scope", scope)));
                drop(query);
                if let Credentials::Basic { username, password } = credentials {
                    authorization = basic(username, password);
                }
                Method::GET
            }
        };
        let outgoing = Outgoing {
            operation: OPERATION,
            method: &method,
            url: &url,
            headers: &headers,
            payload: &mut payload,
            authorization: authorization.map(|value| (value, &self.realm)),
        };
        let (response, _) = wire.send(outgoing).await?;
        if !response.status.is_success() {
            let refusal = read_refusal(response, wire.pace.now_utc()).await;
            return Err(self.failed(Failure::Refused(refusal)));
        }
        let body = read(response.body).await.map_err(|failure| self.failed(failure))?;
        // The error of the parser may repeat what stands there, which is a secret.
        serde_json::from_slice(&body).map_err(|_| self.failed(Failure::Answer("it is no token".to_owned())))
    }

    fn form(&self, scopes: &Scopes, refresh_token: &str) -> String {
        // Made as a query: forms are escaped in the same way.
        let mut form = self.realm.clone();
        form.set_query(None);
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .extend_pairs(self.service.iter().map(|service| ("service", service)))
            .append_pair("client_id", "longshore")
            .append_pair("scope", &scopes.to_string())
            .append_pair("refresh_token", refresh_token);
        form.query().unwrap_or_default().to_owned()
    }

    fn token(&self, given: Given, asked_at: Instant) -> Result<(Token, Option<String>), ClientError> {
        let text = given.token.filter(|text| !text.is_empty()).or(given.access_token).unwrap_or_default();
        let authorization = match text.is_empty() {
            true => None,
            false => bearer(&text),
        };
        let authorization =
            authorization.ok_or_else(|| self.failed(Failure::Answer("there is no token in it".to_owned())))?;
        let told = given.expires_in.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let lifetime = told.unwrap_or(USUAL_LIFETIME).min(MAX_LIFETIME);
        let renew_at = asked_at + (lifetime - RENEWED_BEFORE.min(lifetime / 4));
        Ok((Token { authorization, renew_at }, given.refresh_token.filter(|text| !text.is_empty())))
    }

    fn failed(&self, failure: Failure) -> ClientError {
        ClientError::new(OPERATION, &self.realm, failure)
    }
}

async fn read(mut body: ByteStream) -> Result<Vec<u8>, Failure> {
    let mut read = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| Failure::Transport(TransportError::of_io(error)))?;
        if read.len() + piece.len() > MAX_ANSWER_BYTES {
            return Err(Failure::TooLarge { limit_bytes: MAX_ANSWER_BYTES as u64 });
        }
        read.extend_from_slice(&piece);
    }
    Ok(read)
}
