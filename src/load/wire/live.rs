use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::body::Outgoing;
use super::dial::Origin;
use super::failure;
use super::marks::{BodyState, Marks};
use super::tap::{Socket, Tap};
use crate::client::transport::TransportError;
use crate::load::measure::Recorder;

/// Room for a head, and for what is read at once. A connection has it twice, so ten thousand of them need little.
const BUFFER_BYTES: usize = 64 << 10;

/// An open connection. Nobody drives it but who uses it: no task stands behind it, and a dropped one is closed.
pub(super) struct Live {
    pub(super) origin: Origin,
    pub(super) marks: Marks,
    pub(super) sender: SendRequest<Outgoing>,
    connection: Option<Connection<TokioIo<Tap>, Outgoing>>,
    recorder: Option<Recorder>,
    is_broken: bool,
    /// The right to have a request under way, while there is one.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// Ends what waits for a server that is silent for too long.
pub(super) struct Patience {
    longest: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Live {
    pub(super) async fn new(
        socket: Socket,
        origin: Origin,
        recorder: Option<Recorder>,
    ) -> Result<Self, TransportError> {
        let marks = Marks::new();
        let io = TokioIo::new(Tap::new(socket, marks.clone()));
        let handshake = http1::Builder::new().max_buf_size(BUFFER_BYTES).handshake(io).await;
        let (sender, connection) = handshake.map_err(|error| failure::of(&error, &marks))?;
        Ok(Live { origin, marks, sender, connection: Some(connection), recorder, is_broken: false, permit: None })
    }

    /// Moves bytes both ways; ready when the connection has ended, after which nothing comes of it.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(()) };
        match Pin::new(connection).poll(cx) {
            Poll::Pending => Poll::Pending,
            // Its error, if there is one, is told to who waits for the answer.
            Poll::Ready(_) => {
                self.connection = None;
                Poll::Ready(())
            }
        }
    }

    /// Whether it can take another request: the last one and its answer are whole, and it is still open.
    pub(super) fn is_free(&mut self, cx: &mut Context<'_>) -> bool {
        let body_is_whole = self.marks.lock().body == BodyState::Whole;
        self.drive(cx).is_pending() && body_is_whole && self.sender.is_ready()
    }

    /// It broke, and nobody cut it.
    pub(super) fn broke(mut self) {
        self.is_broken = true;
    }

    /// Closes it by a reset.
    pub(super) fn reset(mut self) {
        if let Some(connection) = self.connection.take() {
            connection.into_parts().io.into_inner().reset();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(recorder) = &self.recorder {
            recorder.connection_closed(self.is_broken);
        }
    }
}

impl Patience {
    pub(super) fn new(longest: Duration) -> Self {
        Patience { longest, timer: None }
    }

    /// Ready when the server has been silent for too long while it was its turn.
    pub(super) fn poll(&mut self, marks: &Marks, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let last_progress = {
                let noted = marks.lock();
                match noted.body {
                    BodyState::Waiting => Instant::now(),
                    _ => noted.last_progress,
                }
            };
            let ends_at = last_progress + self.longest;
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(ends_at)));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= ends_at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(ends_at);
        }
    }
}
