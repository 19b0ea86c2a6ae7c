//! Content that goes from its store to the socket past actix-http.
//!
//! actix-http copies what a body gives into its write buffer, and from there it is copied into the socket; before that,
//! it was copied out of the file. Here the body hands a sender to the connection and gives actix-http no byte. The head
//! announces the length, as always. Where the head ends needs no telling: actix-http flushes the connection when all that
//! it has was written, and while the body says that it is not through, it has nothing more. So the connection sends the
//! content in that flush. A write before the content is out is refused: then the connection breaks, and bytes never mix.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::registry::{BlobSender, RegistryError, SharedSocket};

/// What a sender is asked to send at once.
const MOST_AT_ONCE_BYTES: u64 = 1 << 20;

/// What goes past actix-http on one connection: one content at a time.
pub(super) struct DirectSend {
    state: RefCell<State>,
    /// How many connections may send so at once: each has its socket open a second time meanwhile.
    slots: Arc<Semaphore>,
}

/// Content that is to be sent.
pub(super) struct DirectContent {
    pub(super) sender: Box<dyn BlobSender>,
    pub(super) length: u64,
    pub(super) slot: DirectSlot,
    /// How many bytes went out, and the same for the metrics.
    pub(super) sent_bytes: Rc<Cell<u64>>,
    pub(super) sent: Counter,
}

/// The right to send so.
pub(super) struct DirectSlot {
    _permit: OwnedSemaphorePermit,
}

/// How sending ended, where the connection goes on.
#[derive(Debug)]
pub(super) enum DirectEnd {
    /// Everything is out.
    Sent,
    /// Nothing is, since the socket could not be opened a second time: send it in the usual way.
    NotBegun,
    /// A part may be, and then the store failed.
    Failed(RegistryError),
}

enum State {
    Idle,
    /// The head may not be out yet.
    Offered(DirectContent),
    Sending(Pin<Box<dyn Future<Output = io::Result<DirectEnd>>>>),
    /// The body has not been told yet.
    Ended(DirectEnd),
    /// The body is gone and its content is not out, or the socket failed.
    Cut,
}

impl DirectSend {
    pub(super) fn new(slots: Arc<Semaphore>) -> Self {
        DirectSend { state: RefCell::new(State::Idle), slots }
    }

    /// The right to send one content, unless too many do already.
    pub(super) fn slot(&self) -> Option<DirectSlot> {
        Arc::clone(&self.slots).try_acquire_owned().ok().map(|permit| DirectSlot { _permit: permit })
    }

    /// Told by the body, which then waits in [`DirectSend::poll_end`].
    pub(super) fn offer(&self, content: DirectContent) {
        self.state.replace(State::Offered(content));
    }

    /// Asked by the body, whose task is woken when there is something to tell.
    pub(super) fn poll_end(&self) -> Poll<DirectEnd> {
        let mut state = self.state.borrow_mut();
        match std::mem::replace(&mut *state, State::Idle) {
            State::Ended(end) => Poll::Ready(end),
            other => {
                *state = other;
                Poll::Pending
            }
        }
    }

    /// Told by a body that is dropped before it was told an end.
    pub(super) fn cut(&self) {
        self.state.replace(State::Cut);
    }

    /// Refuses bytes of actix-http that would stand among those of the content, or in their place.
    pub(super) fn check_write(&self) -> io::Result<()> {
        match *self.state.borrow() {
            State::Idle | State::Offered(_) | State::Ended(_) => Ok(()),
            State::Sending(_) | State::Cut => Err(io::Error::other("the content of an answer is not out")),
        }
    }

    /// Sends what was offered. To be called when all that stands before it was written; ready when nothing is left.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>, tcp: &TcpStream, stall: Duration) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        *state = match std::mem::replace(&mut *state, State::Cut) {
            State::Offered(content) => match open_again(tcp) {
                Ok(socket) => State::Sending(Box::pin(send(content, socket, stall))),
                Err(error) => {
                    log::debug!(error:% = error; "a socket could not be opened a second time");
                    cx.waker().wake_by_ref();
                    State::Ended(DirectEnd::NotBegun)
                }
            },
            other => other,
        };
        match &mut *state {
            State::Idle | State::Ended(_) | State::Offered(_) => Poll::Ready(Ok(())),
            State::Cut => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            State::Sending(sending) => {
                let ended = ready!(sending.as_mut().poll(cx));
                *state = State::Cut;
                *state = State::Ended(ended?);
                // The body is polled by the same task.
                cx.waker().wake_by_ref();
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// The same socket once more, for threads that outlive the connection's task when it is dropped.
fn open_again(tcp: &TcpStream) -> io::Result<Arc<TcpStream>> {
    let again = std::net::TcpStream::from(tcp.as_fd().try_clone_to_owned()?);
    Ok(Arc::new(TcpStream::from_std(again)?))
}

async fn send(content: DirectContent, socket: Arc<TcpStream>, stall: Duration) -> io::Result<DirectEnd> {
    let DirectContent { mut sender, length, slot: _slot, sent_bytes, sent: counter } = content;
    let mut left = length;
    while left > 0 {
        timeout(stall, socket.writable()).await.map_err(|_| stalled())??;
        let wanted = left.min(MOST_AT_ONCE_BYTES);
        let sent = match sender.send(Arc::clone(&socket) as SharedSocket, wanted).await {
            Ok(taken) => taken?,
            Err(error) => return Ok(DirectEnd::Failed(error)),
        };
        if sent < wanted {
            forget_room(&socket)?;
        }
        sent_bytes.set(sent_bytes.get() + sent);
        counter.inc_by(sent);
        left = left.saturating_sub(sent);
    }
    Ok(DirectEnd::Sent)
}

/// Lets the next wait for room begin anew, if there is none. The sender's finding is not enough: room that came since
/// would never be told again.
fn forget_room(socket: &TcpStream) -> io::Result<()> {
    let looked = socket.try_io(Interest::WRITABLE, || {
        let mut sockets = [PollFd::new(socket, PollFlags::OUT)];
        match poll(&mut sockets, Some(&Timespec::default()))? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        }
    });
    match looked {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

fn stalled() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "client does not take its answer")
}
