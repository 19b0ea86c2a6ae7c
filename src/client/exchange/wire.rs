//! One request and its answer, with redirects followed and nothing tried again.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue, LOCATION, USER_AGENT};
use http::{HeaderMap, Method, StatusCode};
use reqwest::Url;

use crate::client::address::{is_loopback, is_same_origin};
use crate::client::error::{ClientError, Failure};
use crate::client::retry::{Pace, RetryPolicy};
use crate::client::transport::{Body, ByteStream, Request, Response, Transport};

/// As many as browsers follow would be for browsers; registries redirect to a store, which may redirect to another.
const MAX_REDIRECTS: usize = 10;

/// What requests of one client have in common.
pub(in crate::client) struct Wire {
    pub(in crate::client) transport: Arc<dyn Transport>,
    pub(in crate::client) user_agent: HeaderValue,
    pub(in crate::client) pace: Arc<dyn Pace>,
    pub(in crate::client) retries: RetryPolicy,
}

/// A body as it is given.
pub(in crate::client) enum Payload {
    /// None.
    Empty,
    /// Can be sent again.
    Bytes(Bytes),
    /// Likewise, but it holds a secret: it goes to the origin that was asked only, wherever a redirect leads.
    Secret(Bytes),
    /// Can be sent once; `None` when it was.
    Stream(Option<(Option<u64>, ByteStream)>),
}

/// A request, and who says it.
pub(in crate::client) struct Outgoing<'a> {
    pub(in crate::client) operation: &'static str,
    pub(in crate::client) method: &'a Method,
    pub(in crate::client) url: &'a Url,
    pub(in crate::client) headers: &'a HeaderMap,
    pub(in crate::client) payload: &'a mut Payload,
    /// Sent to the origin beside it only, wherever a redirect leads.
    pub(in crate::client) authorization: Option<(HeaderValue, &'a Url)>,
}

impl Payload {
    /// Whether it is still there to be sent.
    pub(in crate::client) fn is_there(&self) -> bool {
        !matches!(self, Payload::Stream(None))
    }

    fn take(&mut self) -> Option<Body> {
        match self {
            Payload::Empty => Some(Body::Empty),
            Payload::Bytes(bytes) | Payload::Secret(bytes) => Some(Body::Bytes(bytes.clone())),
            Payload::Stream(stream) => stream.take().map(|(length, stream)| Body::Stream { length, stream }),
        }
    }
}

impl Wire {
    /// The answer that is no redirect, whatever its status, and where it came from.
    pub(in crate::client) async fn send(&self, outgoing: Outgoing<'_>) -> Result<(Response, Url), ClientError> {
        let Outgoing { operation, method, headers, payload, authorization, .. } = outgoing;
        let mut url = outgoing.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let failed = |failure| ClientError::new(operation, &url, failure);
            let Some(body) = payload.take() else {
                return Err(failed(Failure::Answer("a redirect of a body that cannot be sent again".to_owned())));
            };
            let mut headers = headers.clone();
            headers.insert(USER_AGENT, self.user_agent.clone());
            if let Some((value, origin)) = &authorization
                && is_same_origin(origin, &url)
            {
                headers.insert(AUTHORIZATION, value.clone());
            }
            let request = Request { method: method.clone(), url: url.clone(), headers, body };
            let sent = self.transport.send(request).await;
            let response = sent.map_err(|error| failed(Failure::Transport(error)))?;
            if !is_redirect(response.status) {
                return Ok((response, url));
            }
            let next = target(&response, &url, method).map_err(|cause| failed(Failure::Answer(cause)))?;
            if matches!(payload, Payload::Secret(_)) && !is_same_origin(outgoing.url, &next) {
                let host = next.host_str().unwrap_or_default();
                return Err(failed(Failure::Credentials(format!("they are not sent on to {host}"))));
            }
            url = next;
        }
        Err(ClientError::new(operation, &url, Failure::Answer(format!("more than {MAX_REDIRECTS} redirects"))))
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads. Only 307 and 308 say that a request which changes something is to be made there.
fn target(response: &Response, url: &Url, method: &Method) -> Result<Url, String> {
    let status = response.status.as_u16();
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    if !is_read && !matches!(status, 307 | 308) {
        return Err(format!("a {status} to a {method}"));
    }
    let location = response.headers.get(LOCATION).ok_or_else(|| format!("a {status} without a location"))?;
    let text = location.to_str().map_err(|_| format!("a {status} whose location is no text"))?;
    resolve(url, text)
}

/// A `Location`, relative or absolute, of an answer from `url`; its query is kept.
///
/// What was asked by `https` does not go on by `http`: an address of the same host gets the scheme that was asked by
/// (registries behind a proxy do not know it), another one is refused.
pub(in crate::client) fn resolve(url: &Url, location: &str) -> Result<Url, String> {
    let mut target = url.join(location).map_err(|error| format!("location is no address: {error}"))?;
    if !matches!(target.scheme(), "http" | "https") {
        return Err(format!("location with scheme {:?}", target.scheme()));
    }
    if !target.username().is_empty() || target.password().is_some() {
        return Err("location with a user or a password in it".to_owned());
    }
    if url.scheme() == "https" && target.scheme() == "http" && !is_loopback(&target) {
        let is_own = target.host_str() == url.host_str() && (target.port().is_none() || target.port() == url.port());
        if !is_own || target.set_scheme("https").is_err() {
            return Err("location leads from https to http".to_owned());
        }
        if target.port().is_none() && target.set_port(url.port()).is_err() {
            return Err("location without a host".to_owned());
        }
    }
    target.set_fragment(None);
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_relative_or_absolute_and_keep_their_query() {
        let url = Url::parse("https://registry.example/v2/a/blobs/uploads/").unwrap();
        for (location, expected) in [
            (
                "/v2/a/blobs/uploads/1?_state=a%2Fb%3D&x=y",
                "https://registry.example/v2/a/blobs/uploads/1?_state=a%2Fb%3D&x=y",
            ),
            ("1?a=b#c", "https://registry.example/v2/a/blobs/uploads/1?a=b"),
            ("//other.example/x", "https://other.example/x"),
            ("https://store.example/x?sig=a+b", "https://store.example/x?sig=a+b"),
            ("http://registry.example/v2/x", "https://registry.example/v2/x"),
            ("http://127.0.0.1:9/x", "http://127.0.0.1:9/x"),
        ] {
            assert_eq!(resolve(&url, location).unwrap().as_str(), expected, "{location}");
        }
    }

    #[test]
    fn locations_that_lead_astray_are_refused() {
        let url = Url::parse("https://registry.example:5000/v2/").unwrap();
        for location in [
            "http://store.example/x",
            "http://registry.example:5001/x",
            "ftp://registry.example/x",
            "file:///etc/passwd",
            "https://user:secret@registry.example/x",
            "https://",
        ] {
            assert!(resolve(&url, location).is_err(), "{location}");
        }
        let plain = Url::parse("http://registry.example/v2/").unwrap();
        assert_eq!(resolve(&plain, "https://registry.example/x").unwrap().as_str(), "https://registry.example/x");
    }
}
