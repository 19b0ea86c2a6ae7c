//! Bounds how long a server may be silent, however long a body takes.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::super::{ByteStream, TransportError};

/// What the sending of one request's body tells about the server's silence.
pub(super) struct Activity {
    timeout: Duration,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    pieces_taken: AtomicU64,
    /// The body itself has nothing to give: the server cannot be blamed.
    waits_for_body: AtomicBool,
}

impl Activity {
    pub(super) fn new(timeout: Duration) -> Self {
        Activity { timeout, progress: Arc::default() }
    }

    /// Notes each piece that the connection takes.
    pub(super) fn watch(&self, mut body: ByteStream) -> ByteStream {
        let progress = self.progress.clone();
        stream::poll_fn(move |context| {
            let polled = body.poll_next_unpin(context);
            progress.waits_for_body.store(polled.is_pending(), Ordering::Relaxed);
            if let Poll::Ready(Some(_)) = &polled {
                progress.pieces_taken.fetch_add(1, Ordering::Relaxed);
            }
            polled
        })
        .boxed()
    }

    /// `None`: the server was silent for too long.
    pub(super) async fn bound<T>(&self, sending: impl Future<Output = T>) -> Option<T> {
        let mut sending = pin!(sending);
        let mut taken_before = 0;
        loop {
            if let Ok(sent) = tokio::time::timeout(self.timeout, &mut sending).await {
                return Some(sent);
            }
            let taken = self.progress.pieces_taken.load(Ordering::Relaxed);
            if taken == taken_before && !self.progress.waits_for_body.load(Ordering::Relaxed) {
                return None;
            }
            taken_before = taken;
        }
    }
}

/// An answer's body, which ends with an error when no piece of it comes in time.
pub(super) fn bounded(body: ByteStream, timeout: Duration, silent: fn(Duration) -> TransportError) -> ByteStream {
    stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match tokio::time::timeout(timeout, body.next()).await {
            Ok(Some(piece)) => Some((piece, Some(body))),
            Ok(None) => None,
            Err(_) => Some((Err(silent(timeout).into_io()), None)),
        }
    })
    .boxed()
}
