//! Answers: what handlers give back, and how it goes out.

use std::cell::Cell;
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
use super::direct::{DirectContent, DirectEnd};
use super::error::ApiError;
use super::request_id::REQUEST_ID;
use crate::oci::Digest;
use crate::registry::{BlobSender, RegistryError};

/// Docker's name for the digest of what an answer is about.
pub(super) const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Docker's name for the id of an upload.
pub(super) const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// The largest piece handed to actix-http at once: it copies each into its write buffer.
const MAX_PIECE_BYTES: usize = 64 * 1024;

/// Few answers have more.
const USUAL_HEADERS: usize = 8;

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
    /// Bytes that come as they are read, or go out by themselves; `sent` counts them.
    Stream {
        length: u64,
        stream: BoxStream<'static, Result<Bytes, RegistryError>>,
        sender: Option<Box<dyn BlobSender>>,
        sent: Counter,
    },
}

impl Answer {
    pub(super) fn new(status: StatusCode) -> Self {
        Answer { status, headers: Vec::with_capacity(USUAL_HEADERS), content: Content::Empty }
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
    pub(super) fn header<T>(mut self, name: HeaderName, value: T) -> Self
    where
        HeaderValue: TryFrom<T>,
    {
        match HeaderValue::try_from(value) {
            Ok(value) => self.headers.push((name, value)),
            Err(_) => log::warn!(header = name.as_str(); "a header was left out, its value cannot stand in one"),
        }
        self
    }

    pub(super) fn location(self, location: String) -> Self {
        self.header(LOCATION, location)
    }

    pub(super) fn digest(self, digest: &Digest) -> Self {
        self.header(DOCKER_CONTENT_DIGEST, digest.as_str())
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
        let mut content = match self.content {
            Content::Whole(bytes) if delivery.head_only => Content::Length(bytes.len() as u64),
            Content::Stream { length, .. } if delivery.head_only => Content::Length(length),
            content => content,
        };
        let mut size = if has_body { BodySize::Sized(content.len()) } else { BodySize::None };
        let connection = delivery.record.connection();
        let direct = connection.as_deref().and_then(|connection| content.take_direct(connection));
        if let Some(direct) = &direct {
            // The length stands in the head, and actix-http gets no byte to count.
            response.no_chunking(direct.length);
            size = BodySize::Stream;
        }
        let sent_directly = direct.as_ref().map(|direct| Rc::clone(&direct.sent_bytes)).unwrap_or_default();
        let body = AnswerBody {
            size,
            content,
            direct: direct.map_or(Direct::No, Direct::Wanted),
            sent_directly,
            pending: Bytes::new(),
            connection,
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

    /// What is to go past actix-http, if it can and there is any.
    fn take_direct(&mut self, connection: &ConnectionState) -> Option<DirectContent> {
        let Content::Stream { length, sender, sent, .. } = self else { return None };
        let sender = sender.take()?;
        let slot = connection.direct_slot()?;
        Some(DirectContent { sender, length: *length, slot, sent_bytes: Rc::default(), sent: sent.clone() })
    }
}

/// The body on its way out. It holds the request's payload and record until it is written.
struct AnswerBody {
    size: BodySize,
    content: Content,
    direct: Direct,
    /// How many bytes went past actix-http.
    sent_directly: Rc<Cell<u64>>,
    pending: Bytes,
    connection: Option<Rc<ConnectionState>>,
    /// The client has not taken the last piece yet.
    is_offering: bool,
    record: Rc<RequestRecord>,
    _payload: web::Payload,
}

/// What of a body goes past actix-http.
enum Direct {
    No,
    /// The head is about to be written.
    Wanted(DirectContent),
    /// The connection has it.
    Offered,
}

impl MessageBody for AnswerBody {
    type Error = StreamBroke;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamBroke>>> {
        self.taken();
        match ready!(self.poll_direct()) {
            None => {}
            Some(Ok(())) => return Poll::Ready(None),
            Some(Err(broke)) => return Poll::Ready(Some(Err(broke))),
        }
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
        self.record.add_bytes_out(self.sent_directly.get());
        if let (Direct::Offered, Some(connection)) = (&self.direct, &self.connection) {
            connection.direct().cut();
        }
    }
}

impl AnswerBody {
    /// Waits for what goes past actix-http. Ready with `None` when the content is to be given as pieces, with the end of
    /// the body otherwise.
    fn poll_direct(&mut self) -> Poll<Option<Result<(), StreamBroke>>> {
        let Some(connection) = self.connection.clone() else { return Poll::Ready(None) };
        match std::mem::replace(&mut self.direct, Direct::No) {
            Direct::No => return Poll::Ready(None),
            Direct::Wanted(content) => connection.direct().offer(content),
            Direct::Offered => {}
        }
        self.direct = Direct::Offered;
        let end = ready!(connection.direct().poll_end());
        self.direct = Direct::No;
        Poll::Ready(match end {
            DirectEnd::NotBegun => None,
            DirectEnd::Sent => Some(Ok(())),
            DirectEnd::Failed(error) => Some(Err(self.broke(&error.to_string()))),
        })
    }

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
