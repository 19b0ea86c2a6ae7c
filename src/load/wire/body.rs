use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt as _;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::cut::Cut;
use super::marks::{BodyState, Marks};
use crate::client::transport::{Body as RequestBody, ByteStream};

/// A request's body on its way out. It never ends by an error of its own: what breaks off stays where it is, and
/// [`Marks`] tell who drives the connection to break it off.
pub(super) struct Outgoing {
    pieces: Pieces,
    /// How many bytes are still to come, where their number was said.
    remaining: Option<u64>,
    marks: Marks,
}

enum Pieces {
    None,
    One(Bytes),
    Many(ByteStream),
}

impl Outgoing {
    pub(super) fn new(body: RequestBody, marks: Marks) -> Self {
        let remaining = body.length();
        let pieces = match body {
            RequestBody::Empty => Pieces::None,
            RequestBody::Bytes(bytes) if bytes.is_empty() => Pieces::None,
            RequestBody::Bytes(bytes) => Pieces::One(bytes),
            RequestBody::Stream { stream, .. } => Pieces::Many(stream),
        };
        if matches!(pieces, Pieces::None) {
            marks.lock().body = BodyState::Whole;
        }
        Outgoing { pieces, remaining, marks }
    }

    /// Takes a piece that is ready, or the reason why there is none.
    fn took(&mut self, piece: Bytes) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = piece.len() as u64;
        let mut noted = self.marks.lock();
        if let Some(remaining) = &mut self.remaining {
            match remaining.checked_sub(length) {
                Some(left) => *remaining = left,
                None => {
                    noted.body = BodyState::Failed("body has more bytes than it said".to_owned());
                    return Poll::Pending;
                }
            }
        }
        noted.body_bytes += length;
        noted.last_progress = Instant::now();
        noted.body = match self.remaining {
            Some(0) => BodyState::Whole,
            _ => BodyState::Sending,
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn ended(&mut self) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut noted = self.marks.lock();
        if let Some(remaining @ 1..) = self.remaining {
            noted.body = BodyState::Failed(format!("body ended {remaining} bytes before its end"));
            return Poll::Pending;
        }
        noted.body = BodyState::Whole;
        Poll::Ready(None)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if matches!(this.marks.lock().body, BodyState::CutAsked(_) | BodyState::Cut(_) | BodyState::Failed(_)) {
            return Poll::Pending;
        }
        let polled = match &mut this.pieces {
            Pieces::None => return this.ended(),
            Pieces::One(bytes) => {
                let bytes = std::mem::take(bytes);
                this.pieces = Pieces::None;
                return this.took(bytes);
            }
            Pieces::Many(stream) => stream.poll_next_unpin(cx),
        };
        if polled.is_pending() {
            this.marks.lock().body = BodyState::Waiting;
        }
        match ready!(polled) {
            Some(Ok(piece)) => this.took(piece),
            None => this.ended(),
            Some(Err(error)) => {
                this.marks.lock().body = match Cut::of_io(&error) {
                    Some(kind) => BodyState::CutAsked(kind),
                    None => BodyState::Failed(error.to_string()),
                };
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.pieces {
            Pieces::None => true,
            Pieces::One(_) => false,
            Pieces::Many(_) => self.remaining == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.remaining {
            Some(remaining) => SizeHint::with_exact(remaining),
            None => SizeHint::new(),
        }
    }
}
