//! How a request gets to a registry: the boundary that everything else of the client stands on.
//!
//! A [`Transport`] sends one request and gives its answer's head and body. It follows no redirect, adds no credential,
//! retries nothing and keeps nothing between requests but connections; all of that is done above it, and so works with
//! any. [`HttpTransport`] is the one that is used unless another is given.

mod error;
mod http;

use std::fmt;
use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use reqwest::Url;

pub use self::error::{TransportError, TransportErrorKind};
pub use self::http::{HttpTransport, HttpTransportOptions};

/// Bytes on their way, in bounded pieces; an error ends them.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// Sends requests.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request as it is, and resolves with the head of its answer, whichever status it has. Dropping the call,
    /// or the answer's body, gives the request up.
    ///
    /// An error of the request's body ([`Body::Stream`]) breaks the request off: the server must be able to tell it
    /// from a body that is whole.
    ///
    /// # Errors
    /// [`TransportError`], when there is no answer.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;
}

/// A request to send.
#[derive(Debug)]
pub struct Request {
    /// Its method.
    pub method: ::http::Method,
    /// Where to; `http` or `https`, without a user or a fragment.
    pub url: Url,
    /// Its headers. Those of the connection, the host and the body's length are the transport's.
    pub headers: ::http::HeaderMap,
    /// Its body.
    pub body: Body,
}

/// The body of a request.
#[derive(Default)]
pub enum Body {
    /// None. A PATCH, POST or PUT tells a length of 0.
    #[default]
    Empty,
    /// Bytes that can be sent again.
    Bytes(Bytes),
    /// Bytes that can be sent once.
    Stream {
        /// How many there are (`Content-Length`); with `None` the coding shows the end. A stream that ends before is
        /// as one that breaks off.
        length: Option<u64>,
        /// The bytes.
        stream: ByteStream,
    },
}

/// An answer.
pub struct Response {
    /// Its status.
    pub status: ::http::StatusCode,
    /// Its headers.
    pub headers: ::http::HeaderMap,
    /// Its body, not yet read. An error in it wraps a [`TransportError`] where the cause is known.
    pub body: ByteStream,
    /// Where it came from.
    pub url: Url,
}

impl Body {
    /// How many bytes it has, where known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Body::Empty => Some(0),
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Stream { length, .. } => *length,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Empty => f.write_str("Empty"),
            Body::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Body::Stream { length, .. } => write!(f, "Stream({length:?})"),
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).field("headers", &self.headers).finish_non_exhaustive()
    }
}
