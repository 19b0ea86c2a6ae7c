//! Single requests, for those who care how they go on the wire rather than what comes of them.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::Url;

use super::auth::Scopes;
use super::error::ClientError;
use super::exchange::{Call, Payload, resolve};
use super::ranges::{self, Held};
use super::repository::RepositoryClient;
use super::transport::{Body, ByteStream};
use crate::oci::RepositoryName;

/// One request to a repository. Credentials are added, redirects followed; it is tried again as the client's
/// [`RetryPolicy`](super::RetryPolicy) says, which may be never.
#[derive(Debug)]
pub struct RawCall {
    /// What it is called in an error: `start upload`.
    pub operation: &'static str,
    /// Its method.
    pub method: Method,
    /// Where to; see [`RepositoryClient::url`].
    pub url: Url,
    /// Headers of its own.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Body,
    /// What it needs leave for.
    pub access: Access,
}

/// What a request needs leave for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Pull,
    /// To write.
    Push,
    /// To write here what another repository has.
    Mount(RepositoryName),
    /// To take away.
    Delete,
}

/// An answer that says yes.
pub struct RawAnswer {
    /// Its status, from 200 to 299.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Where it came from.
    pub url: Url,
    /// Its body. Read to its end, its connection can be used again.
    pub body: ByteStream,
}

impl RawCall {
    /// A request without a body.
    pub fn new(operation: &'static str, method: Method, url: Url, access: Access) -> Self {
        RawCall { operation, method, url, headers: HeaderMap::new(), body: Body::Empty, access }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
}

impl RawAnswer {
    /// Where to go on: `Location`, its query kept. `None` when the answer does not say, or nothing that can be used.
    pub fn location(&self) -> Option<Url> {
        let text = self.headers.get(http::header::LOCATION)?.to_str().ok()?;
        resolve(&self.url, text).ok()
    }

    /// How many bytes an upload holds (`Range`); `None` when the answer does not say. `0-0` may be none or one: it is
    /// one where `acknowledged` is.
    pub fn held_bytes(&self, acknowledged: u64) -> Option<u64> {
        match ranges::held_bytes(&self.headers)? {
            Held::Exactly(bytes) => Some(bytes),
            Held::NoneOrOne => Some(acknowledged.min(1)),
        }
    }
}

impl RepositoryClient {
    /// An address below this repository's: `blobs`, `uploads`, an empty one for the slash at the end.
    pub fn url<'a>(&'a self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        self.endpoint(segments)
    }

    /// Sends one request.
    ///
    /// # Errors
    /// [`Failure::Refused`](super::Failure::Refused) for each status from 400 on.
    pub async fn send(&self, call: RawCall) -> Result<RawAnswer, ClientError> {
        let scopes = match &call.access {
            Access::Pull => Scopes::pull(self.name()),
            Access::Push => Scopes::push(self.name()),
            Access::Mount(from) => Scopes::push(self.name()).and(&Scopes::pull(from)),
            Access::Delete => Scopes::delete(self.name()),
        };
        let payload = match call.body {
            Body::Empty => Payload::Empty,
            Body::Bytes(bytes) => Payload::Bytes(bytes),
            Body::Stream { length, stream } => Payload::Stream(Some((length, stream))),
        };
        let mut sent = Call::new(call.operation, call.method, call.url, scopes).payload(payload).stream();
        for (name, value) in &call.headers {
            sent = sent.header(name.clone(), value.clone());
        }
        let answer = self.exchange.send(sent).await?;
        let body = answer.stream.unwrap_or_else(|| Box::pin(futures_util::stream::empty::<std::io::Result<Bytes>>()));
        Ok(RawAnswer { status: answer.status, headers: answer.headers, url: answer.url, body })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;
    use http::header::{CONTENT_RANGE, LOCATION, RANGE};

    use super::*;
    use crate::client::testing::{ScriptedTransport, builder, reply};
    use crate::client::{Failure, RetryPolicy};

    fn answer(location: &str, range: &str) -> RawAnswer {
        let headers =
            [(LOCATION, location), (RANGE, range)].map(|(name, value)| (name, HeaderValue::from_str(value).unwrap()));
        RawAnswer {
            status: StatusCode::ACCEPTED,
            headers: HeaderMap::from_iter(headers),
            url: "https://registry.example/v2/a/blobs/uploads/1".parse().unwrap(),
            body: Box::pin(futures_util::stream::empty()),
        }
    }

    #[tokio::test]
    async fn a_request_goes_as_it_is_and_its_answer_comes_so() {
        let transport = ScriptedTransport::replies([reply(202).header("x-own", "1").body("held"), reply(503)]);
        let client = builder("registry.example", &transport).0.retries(RetryPolicy::none()).build().unwrap();
        let repository = client.repository(&"a/b".parse().unwrap());
        let call = || {
            let url = repository.url(["blobs", "uploads", "7"]);
            RawCall::new("write to upload", Method::PATCH, url, Access::Push)
                .header(CONTENT_RANGE, HeaderValue::from_static("0-2"))
                .body(Body::Bytes("abc".into()))
        };
        let answer = repository.send(call()).await.unwrap();
        assert_eq!((answer.status, answer.headers["x-own"].to_str().unwrap()), (StatusCode::ACCEPTED, "1"));
        let body: Vec<Bytes> = answer.body.try_collect().await.unwrap();
        assert_eq!(body.concat(), b"held");
        let error = repository.send(call()).await.err().unwrap();
        assert!(matches!(error.failure(), Failure::Refused(refusal) if refusal.status == 503), "{error}");
        let seen = transport.seen();
        assert_eq!(seen.len(), 2, "nothing was tried again");
        assert_eq!(seen[0].line(), "PATCH https://registry.example/v2/a/b/blobs/uploads/7");
        assert_eq!((seen[0].header("content-range"), &seen[0].body[..]), (Some("0-2"), &b"abc"[..]));
    }

    #[test]
    fn where_an_upload_goes_on_and_stands_is_read() {
        let told = answer("/v2/a/blobs/uploads/2?state=x%20y", "0-99");
        assert_eq!(told.location().unwrap().as_str(), "https://registry.example/v2/a/blobs/uploads/2?state=x%20y");
        assert_eq!(told.held_bytes(0), Some(100));
        let unclear = answer("ftp://registry.example/", "0-0");
        assert_eq!((unclear.location(), unclear.held_bytes(0), unclear.held_bytes(1)), (None, Some(0), Some(1)));
        assert_eq!(answer("/", "nonsense").held_bytes(5), None);
    }
}
