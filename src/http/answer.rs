//! Answers: what handlers give back, and how it goes out.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use prometheus_client::metrics::counter::Counter;

use super::access_log::RequestRecord;
use super::connection_state::ConnectionState;
use super::error::ApiError;
use super::request_id::REQUEST_ID;
use crate::oci::Digest;
use crate::registry::RegistryError;

/// Docker's name for the digest of what an answer is about.
pub(super) const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Docker's name for the id of an upload.
pub(super) const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// The largest piece handed to actix-http at once: it copies each into its write buffer.
const MAX_PIECE_BYTES: usize = 64 * 1024;

/// What a handler answers.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    content: Content,
}

/// The body of an answer.
pub(super) enum Content {
    /// None, with a length of zero where the status has one.
    Empty,
    /// So many bytes that are not sent, because only the head was asked for.
    Length(u64),
    /// Some bytes.
    Whole(Bytes),
    /// Bytes that come as they are read; `sent` counts them.
    Stream { length: u64, stream: BoxStream<'static, Result<Bytes, RegistryError>>, sent: Counter },
}

impl Answer {
    pub(super) fn new(status: StatusCode) -> Self {
        Answer { status, headers: Vec::new(), content: Content::Empty }
    }

    /// A JSON document.
    pub(super) fn json(status: StatusCode, document: &serde_json::Value) -> Self {
        Answer::new(status)
            .header_static(CONTENT_TYPE, "application/json")
            .content(Content::Whole(document.to_string().into()))
    }

    pub(super) fn header_static(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// Adds a header whose value is text of ours, or text of a client's that was checked.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.headers.push((name, value)),
            Err(_) => log::warn!(header = name.as_str(); "a header was left out, its value cannot stand in one"),
        }
        self
    }

    pub(super) fn location(self, location: &str) -> Self {
        self.header(LOCATION, location)
    }

    pub(super) fn digest(self, digest: &Digest) -> Self {
        self.header(DOCKER_CONTENT_DIGEST, &digest.to_string())
    }

    pub(super) fn content(mut self, content: Content) -> Self {
        self.content = content;
        self
    }
}

impl From<&ApiError> for Answer {
    fn from(error: &ApiError) -> Self {
        let mut answer = Answer::json(error.status(), &error.body());
        answer.headers.extend(error.headers().iter().cloned());
        answer
    }
}

/// How an answer goes out.
pub(super) struct Delivery {
    /// Only the head was asked for.
    pub(super) head_only: bool,
    /// The connection ends after it.
    pub(super) close: bool,
    /// What is left of the request's body.
    pub(super) payload: web::Payload,
    pub(super) record: Rc<RequestRecord>,
}

impl Answer {
    pub(super) fn into_response(self, delivery: Delivery) -> HttpResponse {
        delivery.record.answered(self.status);
        let mut response = HttpResponse::build(self.status);
        for (name, value) in self.headers {
            response.append_header((name, value));
        }
        response.insert_header((REQUEST_ID, delivery.record.id()));
        if delivery.close {
            response.force_close();
        }
        let has_body = !matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let content = match self.content {
            Content::Whole(bytes) if delivery.head_only => Content::Length(bytes.len() as u64),
            Content::Stream { length, .. } if delivery.head_only => Content::Length(length),
            content => content,
        };
        let body = AnswerBody {
            size: if has_body { BodySize::Sized(content.len()) } else { BodySize::None },
            content,
            pending: Bytes::new(),
            connection: delivery.record.connection(),
            is_offering: false,
            record: delivery.record,
            _payload: delivery.payload,
        };
        response.body(BoxBody::new(body))
    }
}

impl Content {
    fn len(&self) -> u64 {
        match self {
            Content::Empty => 0,
            Content::Length(length) => *length,
            Content::Whole(bytes) => bytes.len() as u64,
            Content::Stream { length, .. } => *length,
        }
    }
}

/// The body on its way out. It holds the request's payload and record until it is written.
struct AnswerBody {
    size: BodySize,
    content: Content,
    pending: Bytes,
    connection: Option<Rc<ConnectionState>>,
    /// The client has not taken the last piece yet.
    is_offering: bool,
    record: Rc<RequestRecord>,
    _payload: web::Payload,
}

impl MessageBody for AnswerBody {
    type Error = StreamBroke;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamBroke>>> {
        self.taken();
        if self.pending.is_empty() {
            let next = match &mut self.content {
                Content::Empty | Content::Length(_) => None,
                Content::Whole(bytes) if bytes.is_empty() => None,
                Content::Whole(bytes) => Some(std::mem::take(bytes)),
                Content::Stream { stream, .. } => match ready!(stream.as_mut().poll_next(cx)) {
                    Some(Ok(piece)) => Some(piece),
                    None => None,
                    Some(Err(error)) => return Poll::Ready(Some(Err(self.broke(&error.to_string())))),
                },
            };
            match next {
                None if self.is_short() => return Poll::Ready(Some(Err(self.broke("it is shorter than its size")))),
                None => return Poll::Ready(None),
                Some(piece) => self.pending = piece,
            }
        }
        let length = self.pending.len().min(MAX_PIECE_BYTES);
        let piece = self.pending.split_to(length);
        self.record.add_bytes_out(length as u64);
        if let Content::Stream { length: left, sent, .. } = &mut self.content {
            *left = left.saturating_sub(length as u64);
            sent.inc_by(length as u64);
        }
        self.offer();
        Poll::Ready(Some(Ok(piece)))
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.taken();
    }
}

impl AnswerBody {
    fn offer(&mut self) {
        self.is_offering = true;
        if let Some(connection) = &self.connection {
            connection.offer();
        }
    }

    fn taken(&mut self) {
        if std::mem::take(&mut self.is_offering)
            && let Some(connection) = &self.connection
        {
            connection.taken();
        }
    }

    /// The head is out, so all that can be done is to break off: the client sees that bytes are missing.
    fn broke(&self, cause: &str) -> StreamBroke {
        log::error!(request_id = self.record.id(), cause; "content could not be read to its end");
        StreamBroke
    }

    fn is_short(&self) -> bool {
        matches!(self.content, Content::Stream { length: left, .. } if left > 0)
    }
}

/// Content ended before its length.
#[derive(Debug)]
struct StreamBroke;

impl fmt::Display for StreamBroke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("content ended before its length")
    }
}

impl std::error::Error for StreamBroke {}
