//! The body of a request, as the handlers read it.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::access_log::RequestRecord;
use super::connection_state::ConnectionState;
use super::head::Framing;

/// The rest of a body that is dropped rather than costing the client its connection.
const SMALL_REST_BYTES: u64 = 64 * 1024;

/// How long such a rest is waited for.
const SMALL_REST_TIMEOUT: Duration = Duration::from_millis(250);

/// With less room than this, no more is received at once.
const LEAST_READ_BYTES: usize = 4096;

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
    /// Since when we have been ready to read.
    waiting_since: Option<Instant>,
    record: Rc<RequestRecord>,
    source: Source,
    /// What the next call is told.
    broken: Option<BodyError>,
}

/// Where the bytes come from.
enum Source {
    /// The connection.
    Inlet(Rc<ConnectionState>),
    /// actix-http, which has read them.
    Payload,
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
        let connection = record.connection();
        let framing = connection.as_ref().and_then(|connection| connection.inlet().begin_body());
        let content_length = match framing {
            Some(Framing::Sized(length)) => Some(length),
            Some(Framing::Chunked) => None,
            None => content_length_of(request),
        };
        let absent = match content_length {
            Some(length) => length == 0,
            None => framing.is_none() && !may_have_body(request),
        };
        let source = match connection {
            Some(connection) if framing.is_some() => Source::Inlet(connection),
            _ => Source::Payload,
        };
        RequestBody {
            payload,
            content_length,
            absent,
            received: 0,
            ended: absent,
            timeout,
            timer: None,
            waiting_since: None,
            record,
            source,
            broken: None,
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

    /// Says where in its file it will lie: it is received into memory from which it can be written there as it is.
    pub(super) fn lies_at(&self, offset: u64) {
        if let Source::Inlet(connection) = &self.source {
            connection.inlet().body_lies_at(offset);
        }
    }

    /// Whether there may be bytes that nobody has read.
    pub(super) fn is_unread(&self) -> bool {
        !self.ended
    }

    /// Whether what comes waits in the socket until it is asked for.
    pub(super) fn can_wait_unreceived(&self) -> bool {
        matches!(self.source, Source::Inlet(_))
    }

    /// Resolves when something can be received, as far as can be told without doing so, and keeps no memory for it
    /// meanwhile; with an error when nothing came for too long.
    pub(super) async fn something_there(&mut self) -> Result<(), BodyError> {
        poll_fn(|cx| {
            let is_there = match &self.source {
                Source::Inlet(connection) => connection.inlet().poll_something_there(cx).is_ready(),
                Source::Payload => true,
            };
            if is_there {
                self.waiting_since = None;
                return Poll::Ready(Ok(()));
            }
            self.poll_silence(cx).map(|()| Err(BodyError::Silent))
        })
        .await
    }

    /// Receives what is there, about so many bytes at most. What ends or breaks the body is for the next call of
    /// [`RequestBody::next_received`].
    pub(super) fn receive_now(&mut self, most_bytes: usize) -> Vec<Bytes> {
        let Source::Inlet(connection) = &self.source else { return Vec::new() };
        let connection = connection.clone();
        let mut cx = Context::from_waker(Waker::noop());
        let mut pieces = Vec::new();
        let mut left_bytes = most_bytes;
        while left_bytes >= LEAST_READ_BYTES
            && !self.ended
            && let Poll::Ready(received_bytes) = connection.inlet().poll_receive(&mut cx, left_bytes)
        {
            left_bytes = left_bytes.saturating_sub(received_bytes);
            while let Some(received) = self.next_received() {
                match received {
                    Ok(Some(piece)) => pieces.push(piece),
                    Ok(None) => return pieces,
                    Err(broken) => {
                        self.broken = Some(broken);
                        return pieces;
                    }
                }
            }
        }
        pieces
    }

    /// The next piece of what was received already, or the end; `None` when more has to be received.
    pub(super) fn next_received(&mut self) -> Option<Result<Option<Bytes>, BodyError>> {
        if let Some(broken) = self.broken {
            return Some(Err(broken));
        }
        if self.ended {
            return Some(Ok(None));
        }
        let Source::Inlet(connection) = &self.source else { return None };
        let next = connection.inlet().next_received()?;
        Some(next.inspect(|piece| self.note(piece.as_ref())))
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if let Some(received) = self.next_received() {
            return received;
        }
        let piece = poll_fn(|cx| self.poll_piece(cx)).await?;
        self.note(piece.as_ref());
        Ok(piece)
    }

    fn note(&mut self, piece: Option<&Bytes>) {
        let Some(piece) = piece else {
            self.ended = true;
            return;
        };
        self.received += piece.len() as u64;
        self.record.add_bytes_in(piece.len() as u64);
        self.ended = matches!(&self.source, Source::Inlet(connection) if connection.inlet().body_is_taken());
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let piece = match &self.source {
            Source::Inlet(connection) => connection.inlet().poll_body(cx),
            Source::Payload => Pin::new(&mut self.payload).poll_next(cx).map(|piece| match piece.transpose() {
                Ok(piece) => Ok(piece),
                Err(PayloadError::EncodingCorrupted) => Err(BodyError::Malformed),
                Err(_) => Err(BodyError::Cut),
            }),
        };
        if piece.is_ready() {
            self.waiting_since = None;
            return piece;
        }
        self.poll_silence(cx).map(|()| Err(BodyError::Silent))
    }

    /// Whether nothing has come for too long. The timer is set again when it rings, not with each piece.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let ends_at = *self.waiting_since.get_or_insert_with(Instant::now) + self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(ends_at)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if ends_at <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(ends_at);
        }
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

/// Whether a body without a length may follow: in chunks, or in HTTP/2's frames.
fn may_have_body(request: &HttpRequest) -> bool {
    request.version() >= actix_web::http::Version::HTTP_2 || request.headers().contains_key(TRANSFER_ENCODING)
}

fn content_length_of(request: &HttpRequest) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
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
