use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Body as _, Incoming};

use super::failure;
use super::live::{Live, Patience};
use super::shared::Shared;
use super::watch::Record;
use crate::client::transport::{TransportError, TransportErrorKind};

/// An answer's body on its way in. At its end the connection is free for the next request; dropped before, it is closed.
pub(super) struct Answer {
    live: Option<Live>,
    incoming: Incoming,
    patience: Patience,
    record: Record,
    shared: Arc<Shared>,
}

impl Answer {
    /// Ready at once where the answer has no body.
    pub(super) fn new(live: Live, incoming: Incoming, record: Record, shared: Arc<Shared>) -> Self {
        let patience = Patience::new(shared.options.silence_timeout);
        Answer { live: Some(live), incoming, patience, record, shared }
    }

    /// Lets go of the connection if the answer has come whole.
    pub(super) fn finish_if_whole(&mut self, cx: &mut Context<'_>) {
        if self.incoming.is_end_stream() {
            self.finish(cx);
        }
    }

    fn finish(&mut self, cx: &mut Context<'_>) {
        let Some(mut live) = self.live.take() else { return };
        self.record.end(&live.marks);
        if live.is_free(cx) {
            self.shared.keep(live);
        }
    }

    fn fail(&mut self, error: TransportError) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(live) = self.live.take() {
            self.record.end(&live.marks);
            if error.kind() != TransportErrorKind::Timeout {
                live.broke();
            }
        }
        Poll::Ready(Some(Err(error.into_io())))
    }
}

impl Stream for Answer {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = self.get_mut();
        let Some(live) = &mut this.live else { return Poll::Ready(None) };
        let marks = live.marks.clone();
        // The connection first: the body's pieces come out of it.
        let has_ended = live.drive(cx).is_ready();
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let piece = frame.into_data().unwrap_or_default();
                this.record.lock().received_bytes += piece.len() as u64;
                this.finish_if_whole(cx);
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(None) => {
                this.finish(cx);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => this.fail(failure::of(&error, &marks)),
            Poll::Pending if has_ended => this.fail(failure::ended()),
            Poll::Pending if this.patience.poll(&marks, cx).is_ready() => {
                this.fail(failure::silent(this.shared.options.silence_timeout))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(live) = &self.live {
            self.record.end(&live.marks);
        }
    }
}
