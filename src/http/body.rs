//! The body of a request, as the handlers read it.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::time::{Sleep, sleep, timeout};

use super::access_log::RequestRecord;
use super::connection_state::ConnectionState;

/// The rest of a body that is dropped rather than costing the client its connection.
const SMALL_REST_BYTES: u64 = 64 * 1024;

/// How long such a rest is waited for.
const SMALL_REST_TIMEOUT: Duration = Duration::from_millis(250);

/// A body that is read piece by piece.
pub(super) struct RequestBody {
    payload: web::Payload,
    content_length: Option<u64>,
    /// There is none, by the head.
    absent: bool,
    received: u64,
    ended: bool,
    /// How long it may bring no byte while we are ready to read.
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    record: Rc<RequestRecord>,
    appetite: Appetite,
}

/// Tells the connection whether the handler has taken all that came. Where nobody reads any more, it has.
struct Appetite(Option<Rc<ConnectionState>>);

impl Appetite {
    fn note(&self, has_taken_all: bool) {
        if let Some(connection) = &self.0 {
            connection.welcome_more(has_taken_all);
        }
    }
}

impl Drop for Appetite {
    fn drop(&mut self) {
        self.note(true);
    }
}

/// Why a body did not come whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// The connection ended before it.
    Cut,
    /// No byte came for too long.
    Silent,
    /// Its transfer coding is broken.
    Malformed,
}

impl RequestBody {
    pub(super) fn new(
        request: &HttpRequest,
        payload: web::Payload,
        timeout: Duration,
        record: Rc<RequestRecord>,
    ) -> Self {
        let headers = request.headers();
        let content_length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let is_framed_by_connection = request.version() >= actix_web::http::Version::HTTP_2;
        let absent = match content_length {
            Some(length) => length == 0,
            None => !is_framed_by_connection && !headers.contains_key(TRANSFER_ENCODING),
        };
        let appetite = Appetite(record.connection());
        appetite.note(absent);
        RequestBody {
            payload,
            content_length,
            absent,
            received: 0,
            ended: absent,
            timeout,
            timer: None,
            record,
            appetite,
        }
    }

    /// What `Content-Length` says.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Whether the head says that there is no body.
    pub(super) fn is_absent(&self) -> bool {
        self.absent
    }

    /// Whether there may be bytes that nobody has read.
    pub(super) fn is_unread(&self) -> bool {
        !self.ended
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.ended {
            return Ok(None);
        }
        let piece = poll_fn(|cx| self.poll_piece(cx)).await?;
        match &piece {
            Some(piece) => {
                self.received += piece.len() as u64;
                self.record.add_bytes_in(piece.len() as u64);
            }
            None => self.ended = true,
        }
        Ok(piece)
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        if let Poll::Ready(piece) = Pin::new(&mut self.payload).poll_next(cx) {
            self.timer = None;
            let is_over = !matches!(piece, Some(Ok(_)));
            self.appetite.note(is_over);
            return Poll::Ready(match piece {
                Some(Ok(piece)) => Ok(Some(piece)),
                None => Ok(None),
                Some(Err(PayloadError::EncodingCorrupted)) => Err(BodyError::Malformed),
                Some(Err(_)) => Err(BodyError::Cut),
            });
        }
        self.appetite.note(true);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.timeout)));
        timer.as_mut().poll(cx).map(|()| Err(BodyError::Silent))
    }

    /// The whole body; `None` when it is over `limit_bytes`, of which no more is read then.
    pub(super) async fn read_all(&mut self, limit_bytes: u64) -> Result<Option<Bytes>, BodyError> {
        if self.content_length.is_some_and(|length| length > limit_bytes) {
            return Ok(None);
        }
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if all.len() as u64 + piece.len() as u64 > limit_bytes {
                return Ok(None);
            }
            all.extend_from_slice(&piece);
        }
        Ok(Some(all.freeze()))
    }

    /// Reads and drops the rest, at most so many bytes; more of it costs the client its connection.
    pub(super) async fn drop_rest(&mut self, limit_bytes: u64) {
        let mut left_bytes = limit_bytes;
        while let Ok(Some(piece)) = self.next().await {
            let Some(left) = left_bytes.checked_sub(piece.len() as u64) else { return };
            left_bytes = left;
        }
    }

    /// Reads and drops the rest when it is known to be small and is there, so that the connection can
    /// be used again.
    pub(super) async fn drop_small_rest(&mut self) {
        let rest = self.content_length.map(|length| length.saturating_sub(self.received));
        if self.ended || rest.is_none_or(|rest| rest > SMALL_REST_BYTES) {
            return;
        }
        let drained = async { while let Ok(Some(_)) = self.next().await {} };
        // What does not come in time costs the connection, as a large rest does.
        let _ = timeout(SMALL_REST_TIMEOUT, drained).await;
    }

    /// The unread part, to be held until the answer is written: actix-http would read a dropped one to
    /// its end, which need not come.
    pub(super) fn into_payload(self) -> web::Payload {
        self.payload
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BodyError::Cut => "body ended before the length that was said",
            BodyError::Silent => "no byte of the body came for too long",
            BodyError::Malformed => "body has a broken transfer coding",
        })
    }
}

impl Error for BodyError {}
